// A store of keys and values that plugins read and write, one for each user: kv_store
//
// Two plugins are made of one compiled plugin. Which store a call uses is its host context.
#include <cstring>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include <extism.h>

namespace {

using Store = std::map<std::string, std::string>;

// `add` appends the input to the value of the key `texts`, and outputs the new value.
const char guest[] = R"((module
  (import "extism:host/user" "kv_read" (func $read (param i64) (result i64)))
  (import "extism:host/user" "kv_write" (func $write (param i64 i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load (param i64) (result i32)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (func $append (param $to i64) (param $from i64) (result i64) (local $i i64)
    (block $done (loop $next
      (br_if $done (i64.ge_u (local.get $i) (call $length (local.get $from))))
      (call $store (local.get $to) (call $load (i64.add (local.get $from) (local.get $i))))
      (local.set $to (i64.add (local.get $to) (i64.const 1)))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br $next)))
    (local.get $to))
  (func (export "add") (local $key i64) (local $old i64) (local $new i64)
    (local.set $key (call $alloc (i64.const 1)))
    (call $store (local.get $key) (i32.const 107)) ;; k
    (local.set $old (call $read (local.get $key)))
    (local.set $new (call $alloc (i64.add (call $length (local.get $old)) (call $length (call $input)))))
    (drop (call $append (call $append (local.get $new) (local.get $old)) (call $input)))
    (call $write (local.get $key) (local.get $new))
    (call $output (local.get $new) (call $length (local.get $new)))))
)";

std::string text_of(ExtismCurrentPlugin *plugin, const ExtismVal &handle)
{
    const auto block = static_cast<ExtismMemoryHandle>(handle.v.i64);
    const auto *begin = reinterpret_cast<const char *>(extism_current_plugin_memory(plugin)) + block;
    return {begin, extism_current_plugin_memory_length(plugin, block)};
}

Store &store_of(ExtismCurrentPlugin *plugin)
{
    return *static_cast<Store *>(extism_current_plugin_host_context(plugin));
}

// No exception may leave a host function: it becomes the error of the plugin's call.
template <typename Work> void refuse_exceptions(ExtismCurrentPlugin *plugin, Work work)
{
    try {
        work();
    } catch (const std::exception &error) {
        extism_current_plugin_error_set(plugin, error.what());
    }
}

extern "C" void kv_read(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize, ExtismVal *outputs, ExtismSize,
                        void *)
{
    refuse_exceptions(plugin, [&] {
        const std::string &value = store_of(plugin)[text_of(plugin, inputs[0])];
        // Of an empty value, the handle is 0, whose length is 0.
        const ExtismMemoryHandle block = extism_current_plugin_memory_alloc(plugin, value.size());
        if (block == 0 && !value.empty())
            throw std::bad_alloc();
        std::memcpy(extism_current_plugin_memory(plugin) + block, value.data(), value.size());
        outputs[0].v.i64 = static_cast<int64_t>(block);
    });
}

extern "C" void kv_write(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize, ExtismVal *, ExtismSize, void *)
{
    refuse_exceptions(plugin, [&] { store_of(plugin)[text_of(plugin, inputs[0])] = text_of(plugin, inputs[1]); });
}

struct Free {
    void operator()(ExtismFunction *function) const { extism_function_free(function); }
    void operator()(ExtismCompiledPlugin *compiled) const { extism_compiled_plugin_free(compiled); }
    void operator()(ExtismPlugin *plugin) const { extism_plugin_free(plugin); }
};

// Throws with the text that the library has put into `why`, if it has made nothing.
template <typename Made> std::unique_ptr<Made, Free> made(Made *thing, char *why)
{
    if (thing)
        return std::unique_ptr<Made, Free>(thing);
    const std::string text = why ? why : "not made";
    extism_plugin_new_error_free(why);
    throw std::runtime_error(text);
}

std::string add(ExtismPlugin *plugin, const std::string &text, Store &store)
{
    const auto *input = reinterpret_cast<const uint8_t *>(text.data());
    if (extism_plugin_call_with_host_context(plugin, "add", input, text.size(), &store) != EXTISM_SUCCESS) {
        const char *error = extism_plugin_error(plugin);
        throw std::runtime_error(error ? error : "the plugin did not say why");
    }
    return {reinterpret_cast<const char *>(extism_plugin_output_data(plugin)), extism_plugin_output_length(plugin)};
}

void run()
{
    const ExtismValType handles[] = {EXTISM_PTR, EXTISM_PTR};
    const auto read = made(extism_function_new("kv_read", handles, 1, handles, 1, kv_read, nullptr, nullptr), nullptr);
    const auto write = made(extism_function_new("kv_write", handles, 2, nullptr, 0, kv_write, nullptr, nullptr), nullptr);
    const ExtismFunction *functions[] = {read.get(), write.get()};
    char *why = nullptr;
    auto *code = extism_compiled_plugin_new(reinterpret_cast<const uint8_t *>(guest), sizeof guest - 1, functions, 2, false,
                                            &why);
    const auto compiled = made(code, why);
    const auto first = made(extism_plugin_new_from_compiled(compiled.get(), &why), why);
    const auto second = made(extism_plugin_new_from_compiled(compiled.get(), &why), why);

    Store anna, ben;
    add(first.get(), "one ", anna);
    add(second.get(), "uno ", ben);
    std::cout << add(second.get(), "two", anna) << ", " << add(first.get(), "due", ben) << std::endl;
}

} // namespace

int main()
{
    try {
        run();
    } catch (const std::exception &error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
}
