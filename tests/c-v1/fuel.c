/* Fuel: a limit of instructions for each call. */
#include "guest.h"

#define WORK                                                                                                           \
    "(module (func (export \"loop\") (loop (br 0))) (func (export \"six\") (result i32) (i32.const 6))"                \
    "(func $work (param i32) (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))"                \
    "(func (export \"some\") (call $work (i32.const 1000))) (func (export \"more\") (call $work (i32.const 10000))))"

static ExtismPlugin *fuelled(const char *wat, uint64_t fuel)
{
    return extism_plugin_new_with_fuel_limit((const uint8_t *)wat, strlen(wat), NULL, 0, false, fuel, take_error());
}

static void runs_out(void)
{
    ExtismPlugin *plugin = fuelled(WORK, 100000);

    CHECK(plugin != NULL);
    for (int round = 0; round < 3; round++) {
        CHECK(guest_call(plugin, "loop", "") == -1);
        CHECK_HAS(extism_plugin_error(plugin), "fuel");
        CHECK(guest_call(plugin, "six", "") == 6);
        CHECK(extism_plugin_error(plugin) == NULL);
    }
    extism_plugin_free(plugin);
}

/* Each call has the whole of it. */
static void refilled(void)
{
    ExtismPlugin *plugin = fuelled(WORK, 100000);

    for (int round = 0; round < 40; round++) {
        CHECK(guest_call(plugin, "some", "") == 0);
        CHECK(extism_plugin_error(plugin) == NULL);
    }
    extism_plugin_free(plugin);
}

static void each_instance_has_it(void)
{
    ExtismCompiledPlugin *compiled = extism_compiled_plugin_new_with_fuel_limit((const uint8_t *)WORK, strlen(WORK),
                                                                                NULL, 0, false, 100000, take_error());
    ExtismPlugin *one = guest_instance(compiled), *two = guest_instance(compiled);

    extism_compiled_plugin_free(compiled);
    CHECK(guest_call(one, "loop", "") == -1);
    CHECK_HAS(extism_plugin_error(one), "fuel");
    CHECK(guest_call(two, "some", "") == 0);
    CHECK(guest_call(two, "loop", "") == -1);
    CHECK_HAS(extism_plugin_error(two), "fuel");
    extism_plugin_free(one);
    extism_plugin_free(two);
}

/* Too little for a start section shows at creation or at the first call. */
static void start_section_counts(void)
{
    ExtismPlugin *plugin =
        fuelled("(module (func $f (loop (br 0))) (start $f) (func (export \"six\") (result i32) (i32.const 6)))", 1000);

    if (plugin) {
        CHECK(guest_call(plugin, "six", "") == -1);
        CHECK_HAS(extism_plugin_error(plugin), "fuel");
    } else {
        CHECK_HAS(creation_error, "fuel");
    }
    extism_plugin_free(plugin);
}

static void consumed(void)
{
    ExtismPlugin *plugin = fuelled(WORK, 100000000), *other = guest_new(WORK);

    CHECK(guest_call(plugin, "some", "") == 0);
    uint64_t some = extism_plugin_fuel_consumed(plugin);
    CHECK(some >= 1000 && some < 100000000);
    CHECK(guest_call(plugin, "more", "") == 0);
    uint64_t more = extism_plugin_fuel_consumed(plugin);
    CHECK(more > some && more >= 10000 && more < 100000000);
    CHECK(guest_call(plugin, "some", "") == 0);
    CHECK(extism_plugin_fuel_consumed(plugin) <= some);
    CHECK(guest_call(plugin, "loop", "") == -1);
    CHECK(extism_plugin_fuel_consumed(plugin) >= 100000000 - 1000);

    /* Nothing is counted without a limit, and for no plugin. */
    CHECK(guest_call(other, "some", "") == 0);
    CHECK(extism_plugin_fuel_consumed(other) == 0);
    CHECK(extism_plugin_fuel_consumed(NULL) == 0);
    extism_plugin_free(plugin);
    extism_plugin_free(other);
}

static const struct test tests[] = {
    {NULL, "runs out", runs_out},
    {NULL, "refilled at each call", refilled},
    {NULL, "each instance has it", each_instance_has_it},
    {NULL, "start sections count", start_section_counts},
    {"addition", "fuel consumed", consumed},
};

RUN_TESTS(tests)
