/* What a plugin keeps between calls, through traps, exits and stops, and when its start code runs. */
#include "guest.h"

/* All state of a plugin: a global, a variable, its config. */
#define STATE                                                                                                          \
    "(module " GUEST "(global $n (mut i32) (i32.const 0)) (data (i32.const 0) \"k\")"                                  \
    "(func (export \"count\") (result i32)"                                                                            \
    "  (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"                                       \
    "(func $answer (param $at i64) (result i32)"                                                                       \
    "  (if (i64.eqz (local.get $at)) (then (return (i32.const 99))))"                                                  \
    "  (call $output (local.get $at)) (i32.const 0))"                                                                  \
    "(func (export \"config\") (result i32) (call $answer (call $config_get (call $input))))"                          \
    "(func $k (result i64) (call $block (i32.const 0) (i32.const 1)))"                                                 \
    "(func (export \"set_var\") (call $var_set (call $k) (call $input)))"                                              \
    "(func (export \"var\") (result i32) (call $answer (call $var_get (call $k))))"                                    \
    "(func (export \"loop\") (loop (br 0))) (func (export \"_start\"))"                                                \
    "(func (export \"fail\") unreachable))"

/* Makes a plugin with a counter of 2, the variable "kept" and the config a=1. */
static ExtismPlugin *used(const char *more)
{
    ExtismPlugin *plugin = guest_new(manifest_of(STATE, more));
    CHECK(plugin != NULL);
    int32_t rc = guest_call(plugin, "count", "");
    CHECK(rc == 1);
    rc = guest_call(plugin, "count", "");
    CHECK(rc == 2);
    rc = guest_call(plugin, "set_var", "kept");
    CHECK(rc == 0);
    CHECK(guest_config(plugin, "{\"a\": \"1\"}"));
    return plugin;
}

static void check_state(ExtismPlugin *plugin, int32_t count, bool vars)
{
    int32_t rc = guest_call(plugin, "count", "");
    CHECK(rc == count);
    CHECK(guest_answers(plugin, "config", "a", "1"));
    CHECK(!vars || guest_answers(plugin, "var", "", "kept"));
}

static void persists(void)
{
    ExtismPlugin *plugin = used("");

    check_state(plugin, 3, true);
    check_state(plugin, 4, true);
    extism_plugin_free(plugin);
}

/* Variables and config stay in any case; the instance is new, but for `after_trap`. */
static void check_failure(const char *function, const char *more, int32_t count)
{
    ExtismPlugin *plugin = used(more);

    int32_t rc = guest_call(plugin, function, "");
    CHECK(rc == 134);
    CHECK(extism_plugin_error(plugin) != NULL);
    CHECK(guest_answers(plugin, "config", "a", "1"));
    CHECK(guest_answers(plugin, "var", "", "kept"));
    rc = guest_call(plugin, "count", "");
    CHECK(count == 0 ? rc >= 1 : rc == count);
    extism_plugin_free(plugin);
}

static void vars_after_trap(void) { check_failure("fail", "", 0); }
static void vars_after_stop(void) { check_failure("loop", ", \"timeout_ms\": 300", 0); }
static void renewed_after_trap(void) { check_failure("fail", "", 1); }
static void renewed_after_stop(void) { check_failure("loop", ", \"timeout_ms\": 300", 1); }
static void kept_after_trap(void) { check_failure("fail", ", \"after_trap\": \"keep\"", 3); }

/* `_start` ends an instance; the id and the cancel handle are the plugin's and stay. */
static void check_after_start(bool vars)
{
    ExtismPlugin *plugin = used("");
    const uint8_t *id = extism_plugin_id(plugin);
    uint8_t bytes[16];
    const ExtismCancelHandle *handle = extism_plugin_cancel_handle(plugin);

    memcpy(bytes, id, 16);
    int32_t rc = guest_call(plugin, "_start", "");
    CHECK(rc == 0);
    check_state(plugin, 1, vars);
    CHECK(extism_plugin_id(plugin) == id && memcmp(id, bytes, 16) == 0);
    CHECK(extism_plugin_cancel_handle(plugin) == handle);
    CHECK(extism_plugin_cancel(handle));
    extism_plugin_free(plugin);
}

static void after_start(void) { check_after_start(false); }
static void vars_after_start(void) { check_after_start(true); }

static void adds(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                 void *data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out;
    ++*(int *)data;
}

static void start_section_once(void)
{
    int count = 0;
    ExtismPlugin *plugin = guest_hosted("(module " USER "\"tick\" (func $tick)) (start $tick)"
                                        "(func (export \"six\") (result i32) (i32.const 6)))",
                                        "tick", "", "", adds, &count);

    for (int i = 0; i < 3; i++) {
        int32_t rc = guest_call(plugin, "six", "");
        CHECK(rc == 6);
    }
    CHECK(count == 1);
    extism_plugin_free(plugin);
}

/* An initialiser runs before the first call, and never again. The test bears its name. */
static void initialiser_once(void)
{
    char text[512];
    int count = 0;

    snprintf(text, sizeof text,
             "(module " USER "\"tick\" (func $tick)) (func (export \"%s\") (call $tick))"
             "(func (export \"six\") (result i32) (i32.const 6)))",
             test_name);
    ExtismPlugin *plugin = guest_hosted(text, "tick", "", "", adds, &count);
    for (int c = 0; c < 3; c++) {
        int32_t rc = guest_call(plugin, "six", "");
        CHECK(rc == 6);
    }
    CHECK(count == 1);
    extism_plugin_free(plugin);
}

static void twins_share_nothing(void)
{
    ExtismPlugin *one = used(""), *two = used("");

    CHECK(guest_config(two, "{\"a\": \"2\"}"));
    CHECK(guest_answers(one, "config", "a", "1"));
    CHECK(guest_answers(two, "config", "a", "2"));
    int32_t rc = guest_call(two, "set_var", "other");
    CHECK(rc == 0);
    CHECK(guest_answers(one, "var", "", "kept"));
    extism_plugin_free(two);
    check_state(one, 3, true);
    extism_plugin_free(one);
}

static void config(void)
{
    static const char *const bad[] = {
        "", "{", "[1]", "1", "null", "\"a\"", "{\"b\": 1}", "{\"b\": []}", "{\"b\" 1}", "{\"a\": \"2\", \"b\": 2}",
    };
    ExtismPlugin *plugin = used(", \"config\": {\"gone\": \"0\"}");

    CHECK(guest_config(plugin, "{\"b\": \"2\", \"gone\": null, \"absent\": null}"));
    CHECK(guest_answers(plugin, "config", "a", "1"));
    CHECK(guest_answers(plugin, "config", "b", "2"));
    int32_t rc = guest_call(plugin, "config", "gone");
    CHECK(rc == 99);
    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK_CASE(bad[i], !guest_config(plugin, bad[i]));
        CHECK_CASE(bad[i], extism_plugin_error(plugin) == NULL);
        CHECK_CASE(bad[i], guest_answers(plugin, "config", "a", "1"));
        CHECK_CASE(bad[i], guest_answers(plugin, "config", "b", "2"));
    }
    CHECK(!extism_plugin_config(plugin, (const uint8_t *)"{\"a\": \"\xff\"}", 10));
    CHECK(guest_config(plugin, "{}"));
    CHECK(guest_answers(plugin, "config", "a", "1"));
    extism_plugin_free(plugin);
}

static const struct test tests[] = {
    {NULL, "state persists", persists},
    {NULL, "variables and config after a trap", vars_after_trap},
    {NULL, "variables and config after a stop", vars_after_stop},
    {"renewed", "a new instance after a trap", renewed_after_trap},
    {"renewed", "a new instance after a stop", renewed_after_stop},
    {"addition", "the old instance with after_trap", kept_after_trap},
    {NULL, "a new instance after _start", after_start},
    {"W26", "variables after _start", vars_after_start},
    {"W29", "the start section runs once", start_section_once},
    {"W29", "_initialize", initialiser_once},
    {NULL, "__wasm_call_ctors", initialiser_once},
    {NULL, "twins share nothing", twins_share_nothing},
    {NULL, "config", config},
};

RUN_TESTS(tests)
