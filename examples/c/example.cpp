// C++: contexts and plugins that free themselves, and errors as exceptions: example PLUGIN.wasm [TEXT]
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern "C" {
#include <extism.h>
}

namespace {

struct FreeContext {
    void operator()(ExtismContext *ctx) const { extism_context_free(ctx); }
};
using Context = std::unique_ptr<ExtismContext, FreeContext>;

// Must not outlive the context that it was made in.
class Plugin {
public:
    Plugin(const Context &context, const std::vector<std::uint8_t> &wasm, bool with_wasi)
        : ctx(context.get()), id(extism_plugin_new(ctx, wasm.data(), wasm.size(), with_wasi))
    {
        if (id < 0)
            throw std::runtime_error(error());
    }
    Plugin(Plugin &&other) noexcept : ctx(other.ctx), id(std::exchange(other.id, -1)) {}
    Plugin(const Plugin &) = delete;
    Plugin &operator=(const Plugin &) = delete;
    Plugin &operator=(Plugin &&) = delete;
    ~Plugin() { extism_plugin_free(ctx, id); }

    bool has(const std::string &function) const { return extism_plugin_function_exists(ctx, id, function.c_str()); }

    // The result is valid until this plugin is called again, or destroyed.
    std::string_view call(const std::string &function, std::string_view input)
    {
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(input.data());
        if (extism_plugin_call(ctx, id, function.c_str(), bytes, input.size()) != 0)
            throw std::runtime_error(error());
        const auto length = static_cast<std::size_t>(extism_plugin_output_length(ctx, id));
        return {reinterpret_cast<const char *>(extism_plugin_output_data(ctx, id)), length};
    }

private:
    std::string error() const
    {
        const char *text = extism_error(ctx, id);
        return text ? text : "the plugin failed and did not say why";
    }

    ExtismContext *ctx;
    ExtismPlugin id;
};

std::vector<std::uint8_t> read_file(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error("cannot open " + path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

} // namespace

int main(int argc, char *argv[])
try {
    if (argc < 2)
        throw std::runtime_error("usage: example PLUGIN.wasm [TEXT]");
    Context context(extism_context_new());
    Plugin plugin(context, read_file(argv[1]), false);

    if (!plugin.has("count_vowels"))
        throw std::runtime_error(std::string(argv[1]) + " has no count_vowels");
    std::cout << plugin.call("count_vowels", argc > 2 ? argv[2] : "this is a test") << '\n';
    return 0;
} catch (const std::exception &error) {
    std::cerr << "example: " << error.what() << '\n';
    return 1;
}
