/* Plugins: making, updating, configuring and freeing them, and the functions that they have. */
#include "guest.h"

/* All state of a plugin between calls: a global, a variable, its config. */
#define STATE                                                                                                          \
    "(module " GUEST "(global $n (mut i32) (i32.const 0)) (data (i32.const 0) \"k\")"                                  \
    "(func (export \"count\") (result i32)"                                                                            \
    "  (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"                                       \
    "(func $answer (param $at i64) (result i32)"                                                                       \
    "  (if (i64.eqz (local.get $at)) (then (return (i32.const 1))))"                                                   \
    "  (call $output (local.get $at)) (i32.const 0))"                                                                  \
    "(func (export \"config\") (result i32) (call $answer (call $config_get (call $input))))"                          \
    "(func $k (result i64) (call $block (i32.const 0) (i32.const 1)))"                                                 \
    "(func (export \"set_var\") (call $var_set (call $k) (call $input)))"                                              \
    "(func (export \"var\") (result i32) (call $answer (call $var_get (call $k))))"                                    \
    "(func (export \"fail\") unreachable))"

#define EMPTY "(module)"

static void what_makes_a_plugin(void)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
    } cases[] = {
        {"binary", "\0asm\1\0\0\0", 8},
        {"text", "(module)", 8},
        {"text after a comment", ";; a comment\n(module)", 21},
    };
    ExtismContext *ctx = extism_context_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int wasi = 0; wasi < 2; wasi++) {
            ExtismPlugin plugin = extism_plugin_new(ctx, (const uint8_t *)cases[i].bytes, cases[i].len, wasi == 1);
            CHECK_CASE(cases[i].name, plugin >= 0);
        }
    }
    CHECK(extism_error(ctx, -1) == NULL);
    extism_context_free(ctx);
}

/* Plugins of the same bytes share their code and nothing else. */
static void twins_share_nothing(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin one = guest_new(ctx, STATE);
    ExtismPlugin two = guest_new(ctx, STATE);

    int32_t rc = guest_call(ctx, one, "count", "");
    CHECK(rc == 1);
    rc = guest_call(ctx, one, "count", "");
    CHECK(rc == 2);
    rc = guest_call(ctx, two, "count", "");
    CHECK(rc == 1);

    rc = guest_call(ctx, one, "set_var", "mine");
    CHECK(rc == 0);
    rc = guest_call(ctx, two, "var", "");
    CHECK(rc == 1);
    bool ok = guest_config(ctx, one, "{\"a\": \"mine\"}");
    CHECK(ok);
    rc = guest_call(ctx, two, "config", "a");
    CHECK(rc == 1);

    extism_plugin_free(ctx, one);
    rc = guest_call(ctx, two, "count", "");
    CHECK(rc == 2);
    extism_context_free(ctx);
}

static void update(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin other = guest_new(ctx, STATE);
    ExtismPlugin plugin = guest_new_in(ctx, "{\"wasm\": [{\"data\": \"%s\"}], \"config\": {\"a\": \"old\"}}", STATE);
    CHECK(plugin == 1);

    int32_t rc = guest_call(ctx, plugin, "count", "");
    CHECK(rc == 1);
    rc = guest_call(ctx, plugin, "set_var", "kept");
    CHECK(rc == 0);
    bool ok = guest_config(ctx, plugin, "{\"b\": \"later\"}");
    CHECK(ok);

    /* A failing update sets the context's error and changes nothing, not even the output. */
    bool right = guest_answers(ctx, plugin, "var", "", "kept");
    CHECK(right);
    ok = guest_update(ctx, plugin, "{}");
    CHECK(!ok);
    CHECK_STARTS(extism_error(ctx, -1), "No wasm files specified");
    CHECK(extism_error(ctx, plugin) == NULL);
    right = guest_output_is(ctx, plugin, "kept", 4);
    CHECK(right);
    ok = guest_update(ctx, plugin, "(module (func $f unreachable) (start $f))");
    CHECK(!ok);
    rc = guest_call(ctx, plugin, "count", "");
    CHECK(rc == 2);
    right = guest_answers(ctx, plugin, "config", "b", "later");
    CHECK(right);

    /* A successful update keeps the id and nothing else. */
    rc = guest_call(ctx, plugin, "fail", "");
    CHECK(rc == -1);
    ok = guest_update(ctx, plugin, STATE);
    CHECK(ok);
    CHECK(extism_error(ctx, plugin) == NULL);
    CHECK(extism_plugin_output_length(ctx, plugin) == 0);
    rc = guest_call(ctx, plugin, "count", "");
    CHECK(rc == 1);
    rc = guest_call(ctx, plugin, "var", "");
    CHECK(rc == 1);
    rc = guest_call(ctx, plugin, "config", "a");
    CHECK(rc == 1);
    rc = guest_call(ctx, plugin, "config", "b");
    CHECK(rc == 1);

    ok = guest_update(ctx, plugin, "(module (func (export \"different\") (result i32) (i32.const 5)))");
    CHECK(ok);
    rc = guest_call(ctx, plugin, "different", "");
    CHECK(rc == 5);
    CHECK(!extism_plugin_function_exists(ctx, plugin, "count"));
    rc = guest_call(ctx, other, "count", "");
    CHECK(rc == 1);

    static const ExtismPlugin unknown[] = {2, 1000, -1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        ok = guest_update(ctx, unknown[i], EMPTY);
        CHECK(!ok);
        CHECK_HAS(extism_error(ctx, -1), "does not exist");
    }
    ExtismPlugin next = guest_new(ctx, EMPTY);
    CHECK(next == 2);
    extism_context_free(ctx);
}

static void freed_plugins(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, STATE);
    extism_plugin_free(ctx, plugin);
    extism_plugin_free(ctx, plugin);
    CHECK(extism_error(ctx, -1) == NULL);

    /* The calls that Node makes after a failed call on a freed plugin. */
    int32_t rc = guest_call(ctx, plugin, "count", "");
    CHECK(rc == -1);
    CHECK_STARTS(extism_error(ctx, plugin), "Plugin does not exist: 0");
    CHECK(extism_plugin_output_length(ctx, plugin) == 0);
    CHECK(extism_plugin_output_data(ctx, plugin) == NULL);
    bool ok = guest_update(ctx, plugin, EMPTY);
    CHECK(!ok);
    extism_context_free(ctx);
}

static void config(void)
{
    static const char *const bad[] = {
        "", "{", "[1]", "1", "null", "\"a\"", "{\"a\": 1}", "{\"a\": []}", "{\"a\" 1}",
        "{\"a\": \"changed\", \"b\": 2}",
    };
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin =
        guest_new_in(ctx, "{\"wasm\": [{\"data\": \"%s\"}], \"config\": {\"a\": \"1\", \"b\": \"2\"}}", STATE);

    /* Strings overwrite, null removes, and keys that are not given stay. */
    bool ok = guest_config(ctx, plugin, "{\"b\": null, \"c\": \"3\", \"empty\": \"\", \"k\\u00e4se\": \"\\u00e4\"}");
    CHECK(ok);
    bool right = guest_answers(ctx, plugin, "config", "a", "1");
    CHECK(right);
    int32_t rc = guest_call(ctx, plugin, "config", "b");
    CHECK(rc == 1);
    right = guest_answers(ctx, plugin, "config", "c", "3");
    CHECK(right);
    right = guest_answers(ctx, plugin, "config", "empty", "");
    CHECK(right);
    right = guest_answers(ctx, plugin, "config", "k\xc3\xa4se", "\xc3\xa4");
    CHECK(right);
    ok = guest_config(ctx, plugin, "{}");
    CHECK(ok);
    /* What a manifest may have in the place of an object, and a byte order mark. */
    ok = guest_config(ctx, plugin, "[]");
    CHECK(ok);
    ok = guest_config(ctx, plugin, "\xef\xbb\xbf[[\"nobody\", null], [\"c\", \"4\"]]");
    CHECK(ok);
    right = guest_answers(ctx, plugin, "config", "c", "4");
    CHECK(right);

    /* A refused config changes nothing, and the error is the plugin's. */
    for (size_t i = 0; i < COUNT(bad); i++) {
        ok = guest_config(ctx, plugin, bad[i]);
        CHECK_CASE(bad[i], !ok);
        CHECK_CASE(bad[i], extism_error(ctx, plugin) != NULL);
        CHECK_CASE(bad[i], !text_has(extism_error(ctx, plugin), "Error("));
        CHECK_CASE(bad[i], extism_error(ctx, -1) == NULL);
    }
    ok = extism_plugin_config(ctx, plugin, (const uint8_t *)"{\"a\": \"\xff\"}", 10);
    CHECK(!ok);
    right = guest_answers(ctx, plugin, "config", "a", "1");
    CHECK(right);

    ok = guest_config(ctx, 77, "{}");
    CHECK(!ok);
    CHECK_STARTS(extism_error(ctx, -1), "Plugin does not exist: 77");
    extism_context_free(ctx);
}

static void function_exists(void)
{
    static const struct {
        const char *name;
        bool exists;
    } cases[] = {
        {"plain", true},   {"status", true},        {"takes", true},  {"wide", true},
        {"\xc3\xa4", true}, {"", true},              {"global", false}, {"memory", false},
        {"table", false},  {"inner", false},        {"Plain", false}, {"plai", false},
        {"plain ", false}, {"extism_alloc", false}, {"\xff", false},  {"plain\xff", false},
    };
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(
        ctx, "(module (import \"env\" \"extism_alloc\" (func (param i64) (result i64)))"
             " (memory (export \"memory\") 1) (table (export \"table\") 1 funcref)"
             " (global (export \"global\") i32 (i32.const 1))"
             " (func $inner) (func (export \"plain\")) (func (export \"status\") (result i32) (i32.const 0))"
             " (func (export \"takes\") (param i32)) (func (export \"wide\") (result i64) (i64.const 0))"
             " (func (export \"\\c3\\a4\")) (func (export \"\")))");
    CHECK(plugin == 0);

    for (size_t i = 0; i < COUNT(cases); i++) {
        bool exists = extism_plugin_function_exists(ctx, plugin, cases[i].name);
        CHECK_CASE(cases[i].name, exists == cases[i].exists);
    }
    CHECK(extism_error(ctx, plugin) != NULL); /* the last names were not UTF-8 */
    bool exists = extism_plugin_function_exists(ctx, plugin, "nobody");
    CHECK(!exists);
    CHECK(extism_error(ctx, plugin) == NULL); /* to be absent is not an error */
    exists = extism_plugin_function_exists(ctx, 5, "plain");
    CHECK(!exists);
    CHECK_STARTS(extism_error(ctx, -1), "Plugin does not exist: 5");
    extism_context_free(ctx);
}

/* Host functions work while the start section runs, and the variables that it sets stay. */
static void start_section(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(
        ctx, "(module " GUEST "(data (i32.const 0) \"key\") (data (i32.const 8) \"value\")"
             "(func $key (result i64) (call $block (i32.const 0) (i32.const 3)))"
             "(func $begin (call $var_set (call $key) (call $block (i32.const 8) (i32.const 5))))"
             "(start $begin)"
             "(func (export \"var\") (call $output (call $var_get (call $key)))))");
    CHECK(plugin == 0);
    bool right = guest_answers(ctx, plugin, "var", "", "value");
    CHECK(right);
    extism_context_free(ctx);
}

int main(void)
{
    what_makes_a_plugin();
    twins_share_nothing();
    update();
    freed_plugins();
    config();
    function_exists();
    start_section();
    return check_done();
}
