/* Fuel: the number of instructions that a call may execute, and the number that it has executed. */
#include "guest.h"

/* The second function executes more instructions than the first. */
#define COUNTED                                                                                                        \
    "(module (func (export \"little\") (drop (i32.const 1)))"                                                          \
    "(func (export \"more\") (local i32)"                                                                              \
    "  (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100)))))"               \
    "(func (export \"forever\") (loop (br 0))))"

int main(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new_in(ctx, "{\"wasm\": [{\"data\": \"%s\"}], \"fuel\": 5000}", COUNTED);
    ExtismPlugin uncounted = guest_new(ctx, COUNTED);

    CHECK(extism_plugin_fuel_used(ctx, plugin) == 0);
    int32_t rc = guest_call(ctx, plugin, "little", "");
    CHECK(rc == 0);
    uint64_t little = extism_plugin_fuel_used(ctx, plugin);
    rc = guest_call(ctx, plugin, "more", "");
    CHECK(rc == 0);
    uint64_t more = extism_plugin_fuel_used(ctx, plugin);
    CHECK(little > 0 && little < 100 && more > little && more < 5000);
    rc = guest_call(ctx, plugin, "more", "");
    CHECK(rc == 0);
    CHECK(extism_plugin_fuel_used(ctx, plugin) == more); /* the same in each run */

    rc = guest_call(ctx, plugin, "forever", "");
    CHECK(rc == -1);
    CHECK_HAS(extism_error(ctx, plugin), "out of fuel");
    CHECK(extism_plugin_fuel_used(ctx, plugin) <= 5000);
    CHECK_HAS(extism_error(ctx, plugin), "out of fuel"); /* asking for the fuel leaves it */

    rc = guest_call(ctx, uncounted, "more", "");
    CHECK(rc == 0);
    CHECK(extism_plugin_fuel_used(ctx, uncounted) == 0);
    CHECK(extism_plugin_fuel_used(ctx, 77) == 0);
    CHECK(extism_plugin_fuel_used(NULL, 0) == 0);
    extism_context_free(ctx);
    return check_done();
}
