// libextism on Wasmer for C++17: contexts, plugins and cancel handles that free themselves, and errors as exceptions.
// A header over extism.h, which is the reference: limits, threads and lifetimes are those of the C functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

extern "C" {
#include "extism.h"
}

namespace extism {

// Why a plugin could not be made, changed or called.
class Error : public std::runtime_error {
public:
    // `code` is the result of extism_plugin_call, or -1.
    explicit Error(const std::string &text, std::int32_t code = -1) : std::runtime_error(text), code(code) {}

    const std::int32_t code;
};

namespace detail {

struct Free {
    void operator()(ExtismContext *ctx) const { extism_context_free(ctx); }
    void operator()(const ExtismCancelHandle *handle) const { extism_cancel_handle_free(handle); }
};

inline Error error(ExtismContext *ctx, ExtismPlugin id, const char *otherwise, std::int32_t code = -1)
{
    const char *text = extism_error(ctx, id);
    return Error(text ? text : otherwise, code);
}

inline const std::uint8_t *bytes(std::string_view text) { return reinterpret_cast<const std::uint8_t *>(text.data()); }

} // namespace detail

// A set of plugins. They must be destroyed before it, or not be used after it.
class Context {
public:
    Context() : ctx(extism_context_new())
    {
        if (!ctx)
            throw Error("no context could be made");
    }

    ExtismContext *get() const { return ctx.get(); }

private:
    std::unique_ptr<ExtismContext, detail::Free> ctx;
};

// Stops calls of one plugin, from any thread, also when the plugin is gone.
class CancelHandle {
public:
    explicit CancelHandle(const ExtismCancelHandle *handle) : handle(handle) {}

    // False if no call was running.
    bool cancel() const { return extism_plugin_cancel(handle.get()); }

private:
    std::unique_ptr<const ExtismCancelHandle, detail::Free> handle;
};

// One plugin. It is freed with this object, which can be moved.
class Plugin {
public:
    // A plugin of a module (binary or text) or of a manifest (JSON or TOML). Throws an Error.
    Plugin(const Context &context, std::string_view module_or_manifest, bool with_wasi = false)
        : ctx(context.get()),
          id(extism_plugin_new(ctx, detail::bytes(module_or_manifest), module_or_manifest.size(), with_wasi))
    {
        if (id < 0)
            throw detail::error(ctx, -1, "the plugin could not be made");
    }

    Plugin(Plugin &&other) noexcept : ctx(other.ctx), id(std::exchange(other.id, -1)) {}

    Plugin &operator=(Plugin &&other) noexcept
    {
        std::swap(ctx, other.ctx);
        std::swap(id, other.id);
        return *this;
    }

    ~Plugin()
    {
        if (id >= 0)
            extism_plugin_free(ctx, id);
    }

    // Calls a function. The output is valid until this plugin is called again, changed or destroyed. Throws an Error.
    std::string_view call(const std::string &function, std::string_view input = {})
    {
        const std::int32_t code = extism_plugin_call(ctx, id, function.c_str(), detail::bytes(input), input.size());
        if (code != 0)
            throw detail::error(ctx, id, "the plugin failed and did not say why", code);
        const auto length = static_cast<std::size_t>(extism_plugin_output_length(ctx, id));
        return {reinterpret_cast<const char *>(extism_plugin_output_data(ctx, id)), length};
    }

    bool has(const std::string &function) const { return extism_plugin_function_exists(ctx, id, function.c_str()); }

    // Changes the configuration: a JSON object of texts, in which null removes a key. Throws an Error.
    void configure(std::string_view json)
    {
        if (!extism_plugin_config(ctx, id, detail::bytes(json), json.size()))
            throw detail::error(ctx, id, "the configuration is not changed");
    }

    // Takes other code, and forgets all state. The plugin stays as it was if an Error is thrown.
    void update(std::string_view module_or_manifest, bool with_wasi = false)
    {
        if (!extism_plugin_update(ctx, id, detail::bytes(module_or_manifest), module_or_manifest.size(), with_wasi))
            throw detail::error(ctx, -1, "the plugin is not updated");
    }

    // The instructions that the last call executed; 0 unless the manifest has `fuel`.
    std::uint64_t fuel_used() const { return extism_plugin_fuel_used(ctx, id); }

    CancelHandle cancel_handle() const { return CancelHandle(extism_plugin_cancel_handle(ctx, id)); }

private:
    ExtismContext *ctx;
    ExtismPlugin id;
};

} // namespace extism
