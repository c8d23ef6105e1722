// extism.hpp: objects that free what they own, errors as exceptions, and each function of a plugin.
#include "guest.h"

#include <extism.hpp>

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

} // namespace

int main()
{
    plugins_are_called_and_changed();
    plugins_move();
    calls_are_cancelled();
    return check_done();
}
