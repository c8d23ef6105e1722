/* Outputs and reset: how long an output stays, and what a reset takes away. */
#include "guest.h"

#define OUT                                                                                                            \
    "(module " GUEST "(global $n (mut i32) (i32.const 0)) (data (i32.const 0) \"k\")"                                  \
    "(func $k (result i64) (call $block (i32.const 0) (i32.const 1)))"                                                 \
    "(func (export \"echo\") (call $output (call $input)))"                                                            \
    "(func (export \"in_place\") (call $output_set (call $input_offset) (call $input_length)))"                        \
    "(func (export \"part\") (call $output_set (i64.add (call $input) (i64.const 2)) (i64.const 3)))"                  \
    "(func (export \"twice\") (call $output (call $block (i32.const 0) (i32.const 1))) (call $output (call $input)))"  \
    "(func (export \"outside\") (call $output_set (i64.const 99999999) (i64.const 3)))"                                \
    "(func (export \"none\")) (func (export \"fail\") unreachable)"                                                    \
    "(func (export \"keep\") (global.set $n (i32.add (global.get $n) (i32.const 1)))"                                  \
    "  (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))"                             \
    "  (call $var_set (call $k) (call $input)))"                                                                       \
    "(func (export \"count\") (result i32) (i32.add (global.get $n) (i32.load8_u (i32.const 100))))"                   \
    "(func (export \"var\") (call $output (call $var_get (call $k))))"                                                 \
    "(func (export \"config\") (call $output (call $config_get (call $input)))))"

static void none(void)
{
    ExtismPlugin *plugin = guest_new(OUT);

    CHECK(extism_plugin_output_length(plugin) == 0);
    CHECK(extism_plugin_output_data(plugin) != NULL);
    CHECK(guest_call(plugin, "none", "input") == 0);
    CHECK(extism_plugin_output_length(plugin) == 0);
    CHECK(extism_plugin_output_data(plugin) != NULL);
    CHECK(guest_answers(plugin, "echo", "input", "input"));
    CHECK(guest_call(plugin, "none", "input") == 0);
    CHECK(extism_plugin_output_length(plugin) == 0);
    CHECK(guest_answers(plugin, "echo", "input", "input"));
    CHECK(guest_call(plugin, "outside", "input") == 0);
    CHECK(extism_plugin_output_length(plugin) == 0);
    CHECK(extism_plugin_output_data(plugin) != NULL);
    CHECK(guest_call(plugin, "fail", "input") == 134);
    CHECK(extism_plugin_output_data(plugin) != NULL);
    extism_plugin_free(plugin);
}

static void bytes(void)
{
    static char big[3 << 20];
    ExtismPlugin *plugin = guest_new(OUT);

    CHECK(guest_answers(plugin, "in_place", "input", "input"));
    CHECK(guest_answers(plugin, "part", "abcdefgh", "cde"));
    CHECK(guest_answers(plugin, "twice", "last", "last"));
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7);
    CHECK(extism_plugin_call(plugin, "in_place", (const uint8_t *)big, sizeof big) == 0);
    CHECK(guest_output_is(plugin, big, sizeof big));
    CHECK(extism_plugin_call(plugin, "echo", (const uint8_t *)"a\0b", 3) == 0);
    CHECK(guest_output_is(plugin, "a\0b", 3));
    extism_plugin_free(plugin);
}

/* An output may be read in place until the plugin's next call, whatever else happens. */
static void stays_in_place(void)
{
    ExtismPlugin *plugin = guest_new(OUT), *other = guest_new(OUT);

    CHECK(guest_answers(plugin, "echo", "an output", "an output"));
    const uint8_t *data = extism_plugin_output_data(plugin);
    extism_plugin_error(plugin);
    guest_config(plugin, "{\"a\": \"b\"}");
    guest_config(plugin, "nonsense");
    extism_plugin_function_exists(plugin, "echo");
    extism_plugin_id(plugin);
    extism_plugin_allow_http_response_headers(plugin);
    extism_plugin_cancel(extism_plugin_cancel_handle(plugin));
    CHECK(guest_answers(other, "echo", "of another plugin", "of another plugin"));
    extism_plugin_free(other);
    extism_plugin_free(guest_new(OUT));
    CHECK(extism_plugin_output_data(plugin) == data);
    CHECK(guest_output_is(plugin, "an output", 9));
    CHECK(memcmp(data, "an output", 9) == 0);
    extism_plugin_free(plugin);
}

static void reset_keeps(void)
{
    ExtismPlugin *plugin = guest_new(OUT);

    CHECK(extism_plugin_reset(plugin));
    CHECK(guest_config(plugin, "{\"a\": \"b\"}"));
    CHECK(guest_call(plugin, "keep", "value") == 0);
    CHECK(extism_plugin_reset(plugin));
    CHECK(extism_plugin_reset(plugin));
    CHECK(guest_call(plugin, "count", "") == 2);
    CHECK(guest_answers(plugin, "var", "", "value"));
    CHECK(guest_answers(plugin, "config", "a", "b"));
    extism_plugin_free(plugin);
}

static void reset_drops_output(void)
{
    ExtismPlugin *plugin = guest_new(OUT);

    CHECK(guest_answers(plugin, "echo", "output", "output"));
    CHECK(extism_plugin_reset(plugin));
    CHECK(extism_plugin_output_length(plugin) == 0);
    CHECK(extism_plugin_output_data(plugin) != NULL);
    CHECK(guest_answers(plugin, "echo", "output", "output"));
    extism_plugin_free(plugin);
}

static void reset_after_failures(void)
{
    ExtismPlugin *plugin = guest_new(OUT);

    CHECK(guest_call(plugin, "fail", "") == 134);
    CHECK(extism_plugin_reset(plugin));
    CHECK(extism_plugin_error(plugin) != NULL);
    CHECK(guest_answers(plugin, "echo", "output", "output"));
    extism_plugin_free(plugin);
}

static const struct test tests[] = {
    {NULL, "no output", none},
    {NULL, "bytes", bytes},
    {NULL, "stays in place", stays_in_place},
    {NULL, "reset keeps", reset_keeps},
    {"W21", "reset drops the output", reset_drops_output},
    {NULL, "reset after failures", reset_after_failures},
};

RUN_TESTS(tests)
