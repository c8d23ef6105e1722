// libextism on Wasmer for C++17: contexts, plugins, host functions and cancel handles that free themselves, and errors
// as exceptions. A header over extism.h, which is the reference: limits, threads and lifetimes are those of the C
// functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
    void operator()(ExtismFunction *function) const { extism_function_free(function); }
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

// The plugin that calls a host function, until that returns.
class CurrentPlugin {
public:
    explicit CurrentPlugin(ExtismCurrentPlugin *plugin) : plugin(plugin) {}

    ExtismCurrentPlugin *get() const { return plugin; }

    // The bytes of a block, good until the plugin's call ends. Empty if no block begins at `handle`: a plugin may pass
    // any number.
    std::string_view bytes(ExtismMemoryHandle handle) const
    {
        const auto length = static_cast<std::size_t>(extism_current_plugin_memory_length(plugin, handle));
        if (length == 0)
            return {};
        return {reinterpret_cast<const char *>(extism_current_plugin_memory(plugin)) + handle, length};
    }

    // The handle of a new block with these bytes; 0 if there are none. Throws an Error if there is no room.
    ExtismMemoryHandle give(std::string_view bytes) const
    {
        if (bytes.empty())
            return 0;
        const ExtismMemoryHandle handle = extism_current_plugin_memory_alloc(plugin, bytes.size());
        if (handle == 0)
            throw Error("the plugin's memory has no room for the bytes of a host function");
        std::memcpy(extism_current_plugin_memory(plugin) + handle, bytes.data(), bytes.size());
        return handle;
    }

private:
    ExtismCurrentPlugin *plugin;
};

// A function of the program that plugins can call. Plugins that are made with it keep what they need of it.
class Function {
public:
    // Gets the arguments and the place for the results, as many as there are types, and sets the results' `v`. It runs
    // on the thread that calls the plugin, on several at the same time if several call. If it throws, the plugin's call
    // ends with the exception's text as its error.
    using Work = std::function<void(CurrentPlugin plugin, const ExtismVal *inputs, ExtismVal *outputs)>;

    // Plugins import it as `name`. `work` is destroyed with the last of this object and the plugins that have it, on
    // the thread that destroys that. Throws an Error.
    Function(const std::string &name, const std::vector<ExtismValType> &inputs,
             const std::vector<ExtismValType> &outputs, Work work)
    {
        auto owned = std::make_unique<Work>(std::move(work));
        function.reset(extism_function_new(name.c_str(), inputs.data(), inputs.size(), outputs.data(), outputs.size(),
                                           call, owned.get(), destroy));
        if (!function)
            throw Error("no host function could be made: its name is not UTF-8, or it has more than 1000 types");
        owned.release();
    }

    // Sets the namespace, `extism:host/user` until then, for plugins that are made later.
    void set_namespace(const std::string &name) { extism_function_set_namespace(function.get(), name.c_str()); }

    const ExtismFunction *get() const { return function.get(); }

private:
    static void call(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize, ExtismVal *outputs, ExtismSize,
                     void *work)
    {
        try {
            (*static_cast<const Work *>(work))(CurrentPlugin(plugin), inputs, outputs);
        } catch (const std::exception &error) {
            extism_current_plugin_error_set(plugin, error.what());
        } catch (...) {
            extism_current_plugin_error_set(plugin, "the host function has failed and did not say why");
        }
    }

    static void destroy(void *work) { delete static_cast<Work *>(work); }

    std::unique_ptr<ExtismFunction, detail::Free> function;
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

    // A plugin that can import these functions, such as `{lookup, store}`. Throws an Error.
    Plugin(const Context &context, std::string_view module_or_manifest,
           const std::vector<std::reference_wrapper<const Function>> &functions, bool with_wasi = false)
        : ctx(context.get()), id(-1)
    {
        std::vector<const ExtismFunction *> pointers;
        for (const Function &function : functions)
            pointers.push_back(function.get());
        id = extism_plugin_new_with_functions(ctx, detail::bytes(module_or_manifest), module_or_manifest.size(),
                                              pointers.data(), pointers.size(), with_wasi);
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

    // Takes other code, and forgets all state but its host functions. The plugin stays as it was if an Error is thrown.
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
