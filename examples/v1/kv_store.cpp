// Variables that the program keeps for its plugins: kv_read and kv_write over a std::map, which several plugins share.
#include <extism.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

// Adds the length of the input to the number that is kept under it, and returns the sum. Numbers have four bytes, as in
// the tutorial of Extism; sums stay below 256 here.
constexpr std::string_view plugin_wat = R"((module
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "load_u8" (func $load (param i64) (result i32)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/user" "kv_read" (func $kv_read (param i64) (result i64)))
    (import "extism:host/user" "kv_write" (func $kv_write (param i64 i64)))
    (func (export "add") (result i32) (local $sum i32) (local $value i64)
        (local.set $sum (i32.add (call $load (call $kv_read (call $input))) (i32.wrap_i64 (call $input_length))))
        (local.set $value (call $alloc (i64.const 4)))
        (call $store (local.get $value) (local.get $sum))
        (call $kv_write (call $input) (local.get $value))
        (local.get $sum))))";

struct Free {
    void operator()(ExtismPlugin *plugin) const { extism_plugin_free(plugin); }
    void operator()(ExtismFunction *function) const { extism_function_free(function); }
};
using Plugin = std::unique_ptr<ExtismPlugin, Free>;
using Function = std::unique_ptr<ExtismFunction, Free>;

// Plugins that threads call at the same time may share a store.
struct Store {
    std::mutex mutex;
    std::map<std::string, std::string> values;
};

// The bytes of a block. Empty if the plugin has passed a number that is no block's handle.
std::string_view block(ExtismCurrentPlugin *plugin, const ExtismVal &handle)
{
    const auto offset = static_cast<ExtismMemoryHandle>(handle.v.i64);
    const ExtismSize length = extism_current_plugin_memory_length(plugin, offset);
    if (length == 0)
        return {};
    return {reinterpret_cast<const char *>(extism_current_plugin_memory(plugin)) + offset, length};
}

// No exception may leave a host function: it becomes the error of the plugin's call.
template <typename Work> void guarded(ExtismCurrentPlugin *plugin, Work work)
{
    try {
        work();
    } catch (const std::exception &error) {
        extism_current_plugin_error_set(plugin, error.what());
    }
}

// kv_read(key) -> value. A key that is not there has four bytes of 0.
void kv_read(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize, ExtismVal *outputs, ExtismSize,
             void *data)
{
    guarded(plugin, [&] {
        auto &store = *static_cast<Store *>(data);
        const std::lock_guard<std::mutex> lock(store.mutex);
        const auto found = store.values.find(std::string(block(plugin, inputs[0])));
        const std::string value = found == store.values.end() ? std::string(4, '\0') : found->second;
        const ExtismMemoryHandle answer = extism_current_plugin_memory_alloc(plugin, value.size());
        if (answer == 0)
            throw std::runtime_error("kv_read: no room for a value");
        std::copy(value.begin(), value.end(), extism_current_plugin_memory(plugin) + answer);
        outputs[0].v.i64 = static_cast<std::int64_t>(answer);
    });
}

// kv_write(key, value). Takes the value: its block is freed.
void kv_write(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize, ExtismVal *, ExtismSize, void *data)
{
    guarded(plugin, [&] {
        auto &store = *static_cast<Store *>(data);
        const std::lock_guard<std::mutex> lock(store.mutex);
        store.values[std::string(block(plugin, inputs[0]))] = block(plugin, inputs[1]);
        extism_current_plugin_memory_free(plugin, static_cast<ExtismMemoryHandle>(inputs[1].v.i64));
    });
}

// A plugin with both functions, on this store. It keeps what it needs of the functions, which are freed here.
Plugin make_plugin(Store &store)
{
    const std::array<ExtismValType, 2> handles{EXTISM_PTR, EXTISM_PTR};
    const Function read(extism_function_new("kv_read", handles.data(), 1, handles.data(), 1, kv_read, &store, nullptr));
    const Function write(extism_function_new("kv_write", handles.data(), 2, nullptr, 0, kv_write, &store, nullptr));
    // Set to what it is already, unless a program wants another one.
    extism_function_set_namespace(read.get(), "extism:host/user");
    extism_function_set_namespace(write.get(), "extism:host/user");

    std::array<const ExtismFunction *, 2> functions{read.get(), write.get()};
    const auto *wasm = reinterpret_cast<const std::uint8_t *>(plugin_wat.data());
    char *text = nullptr;
    Plugin plugin(extism_plugin_new(wasm, plugin_wat.size(), functions.data(), functions.size(), false, &text));
    if (!plugin) {
        const std::string error = text ? text : "no reason given";
        extism_plugin_new_error_free(text);
        throw std::runtime_error(error);
    }
    return plugin;
}

std::int32_t add(const Plugin &plugin, std::string_view input)
{
    const auto *data = reinterpret_cast<const std::uint8_t *>(input.data());
    const std::int32_t sum = extism_plugin_call(plugin.get(), "add", data, input.size());
    if (const char *error = extism_plugin_error(plugin.get()))
        throw std::runtime_error(error);
    return sum;
}

} // namespace

int main()
try {
    Store store; // destroyed after the plugins, whose functions use it
    const Plugin first = make_plugin(store);
    const Plugin second = make_plugin(store);

    std::cout << add(first, "apple") << ' ' << add(second, "apple") << ' ' << add(first, "fig") << '\n';
    std::cout << store.values.size() << " values are kept\n";
    return 0;
} catch (const std::exception &error) {
    std::cerr << "kv_store: " << error.what() << '\n';
    return 1;
}
