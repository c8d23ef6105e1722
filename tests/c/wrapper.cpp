// extism.hpp: objects that free what they own, errors as exceptions, and each function of a plugin.
#include "guest.h"

#include <extism.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace {

const char *const GREETER = "(module (import \"env\" \"extism_output_set\" (func $output (param i64 i64)))"
                            "(import \"env\" \"extism_alloc\" (func $alloc (param i64) (result i64)))"
                            "(import \"env\" \"extism_store_u8\" (func $store (param i64 i32)))"
                            "(func (export \"letter\") (local i64) (local.set 0 (call $alloc (i64.const 1)))"
                            "  (call $store (local.get 0) (i32.const 65)) (call $output (local.get 0) (i64.const 1)))"
                            "(func (export \"code\") (result i32) (i32.const 7))"
                            "(func (export \"trap\") unreachable)"
                            "(func (export \"forever\") (loop (br 0))))";

// Checks that `work` throws an error with this code and with this in its text.
template <typename Work> void check_error(Work work, std::int32_t code, const char *text)
{
    try {
        work();
        CHECK_HAS("no error", text);
    } catch (const extism::Error &error) {
        CHECK(error.code == code);
        CHECK_HAS(error.what(), text);
    }
}

void plugins_are_called_and_changed()
{
    const extism::Context context;
    extism::Plugin plugin(context, GREETER);

    CHECK(plugin.has("letter") && !plugin.has("nothing"));
    CHECK(plugin.call("letter") == "A");
    CHECK(plugin.fuel_used() == 0);
    check_error([&] { plugin.call("trap", "input"); }, -1, "unreachable");
    check_error([&] { plugin.call("code"); }, 7, "the plugin failed and did not say why");
    plugin.configure("{\"key\": \"value\", \"other\": null}");
    check_error([&] { plugin.configure("[1]"); }, -1, "config");
    check_error([&] { plugin.update("nonsense"); }, -1, "neither a WebAssembly module");
    CHECK(plugin.call("letter") == "A");
    plugin.update("(module (func (export \"other\")))");
    CHECK(plugin.has("other") && plugin.call("other").empty());
    check_error([&] { extism::Plugin(context, "{\"wasm\": []}"); }, -1, "wasm");
}

void plugins_move()
{
    static_assert(!std::is_copy_constructible<extism::Plugin>::value, "a plugin has one owner");
    const extism::Context context;
    extism::Plugin first(context, GREETER);
    extism::Plugin second(std::move(first));
    extism::Plugin third(context, "(module (func (export \"other\")))");

    CHECK(second.call("letter") == "A");
    third = std::move(second);
    CHECK(third.call("letter") == "A");
}

void calls_are_cancelled()
{
    const extism::Context context;
    extism::Plugin plugin(context, GREETER);
    const extism::CancelHandle handle = plugin.cancel_handle();

    CHECK(!handle.cancel());
    std::string error;
    std::thread caller([&] {
        try {
            plugin.call("forever");
        } catch (const extism::Error &found) {
            error = found.what();
        }
    });
    while (!handle.cancel())
        ;
    caller.join();
    CHECK_HAS(error.c_str(), "cancelled");
}

const char *const CALLER = "(module (import \"extism:host/env\" \"input_offset\" (func $input (result i64)))"
                           "(import \"extism:host/env\" \"length\" (func $length (param i64) (result i64)))"
                           "(import \"extism:host/env\" \"output_set\" (func $output (param i64 i64)))"
                           "(import \"extism:host/user\" \"greet\" (func $greet (param i64) (result i64)))"
                           "(func (export \"greet\") (local i64) (local.set 0 (call $greet (call $input)))"
                           "  (call $output (local.get 0) (call $length (local.get 0))))"
                           "(func (export \"lie\") (drop (call $greet (i64.const 123456789)))))";

// Greets by name. Fails without a name, and throws what is no exception for 7.
extism::Function greeter(const std::shared_ptr<int> &greeted)
{
    return {"greet", {ExtismValType_I64}, {ExtismValType_I64},
            [greeted](extism::CurrentPlugin plugin, const ExtismVal *inputs, ExtismVal *outputs) {
                const std::string name(plugin.bytes(static_cast<ExtismMemoryHandle>(inputs[0].v.i64)));
                if (name == "7")
                    throw 7;
                if (name.empty())
                    throw std::invalid_argument("greet needs a name");
                *greeted += 1;
                const ExtismMemoryHandle answer = plugin.give(name == "quiet" ? "" : "Hello, " + name);
                outputs[0].v.i64 = static_cast<std::int64_t>(answer);
            }};
}

void plugins_call_the_program()
{
    static_assert(!std::is_copy_constructible<extism::Function>::value, "a function has one owner");
    const auto greeted = std::make_shared<int>(0);
    const extism::Context context;
    {
        extism::Function function = greeter(greeted);
        extism::Plugin plugin(context, CALLER, {function});
        {
            // The plugin has what it needs.
            const extism::Function gone(std::move(function));
        }
        CHECK(plugin.call("greet", "Ada") == "Hello, Ada");
        CHECK(plugin.call("greet", "quiet").empty());
        check_error([&] { plugin.call("lie"); }, -1, "greet needs a name");
        check_error([&] { plugin.call("greet", "7"); }, -1, "the host function has failed and did not say why");
        CHECK(plugin.call("greet", "Grace") == "Hello, Grace");
        plugin.update(CALLER);
        CHECK(plugin.call("greet", "Ada") == "Hello, Ada");
        CHECK(*greeted == 4 && greeted.use_count() == 2);
    }
    CHECK(greeted.use_count() == 1);
}

void functions_are_found_by_name_and_type()
{
    const auto greeted = std::make_shared<int>(0);
    const extism::Context context;
    extism::Function function = greeter(greeted);

    function.set_namespace("elsewhere");
    check_error([&] { extism::Plugin(context, CALLER, {function}); }, -1, "extism:host/user");
    function.set_namespace("extism:host/user");
    const extism::Function vector("greet", {ExtismValType_V128}, {}, {});
    check_error([&] { extism::Plugin(context, CALLER, {function, vector}); }, -1, "V128");
    CHECK(extism::Plugin(context, CALLER, {function}).call("greet", "Ada") == "Hello, Ada");
    check_error([&] { extism::Function("\xff", {}, {}, {}); }, -1, "not UTF-8");
    const extism::Function empty("greet", {ExtismValType_I64}, {ExtismValType_I64}, {});
    extism::Plugin without_work(context, CALLER, {empty});
    check_error([&] { without_work.call("greet", "Ada"); }, -1, "bad_function_call");
}

} // namespace

int main()
{
    plugins_are_called_and_changed();
    plugins_move();
    calls_are_cancelled();
    plugins_call_the_program();
    functions_are_found_by_name_and_type();
    return check_done();
}
