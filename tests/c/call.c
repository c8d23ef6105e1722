/* Calls: return codes, input and output, and the state that stays between calls. */
#include "guest.h"

static void return_codes(void)
{
    static const struct {
        const char *function;
        int32_t rc;
    } cases[] = {
        {"nothing", 0},      {"zero", 0},         {"one", 1},           {"minus_one", -1},
        {"many", 123456},    {"most", INT32_MAX}, {"least", INT32_MIN}, {"\xc3\xa4", 8},
    };
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(
        ctx, "(module (func (export \"nothing\"))"
             "(func (export \"zero\") (result i32) (i32.const 0))"
             "(func (export \"one\") (result i32) (i32.const 1))"
             "(func (export \"minus_one\") (result i32) (i32.const -1))"
             "(func (export \"many\") (result i32) (i32.const 123456))"
             "(func (export \"most\") (result i32) (i32.const 0x7fffffff))"
             "(func (export \"least\") (result i32) (i32.const 0x80000000))"
             "(func (export \"\\c3\\a4\") (result i32) (i32.const 8)))");

    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t rc = guest_call(ctx, plugin, cases[i].function, "");
        CHECK_CASE(cases[i].function, rc == cases[i].rc);
        CHECK_CASE(cases[i].function, extism_error(ctx, plugin) == NULL);
        CHECK_CASE(cases[i].function, extism_error(ctx, -1) == NULL);
    }
    extism_context_free(ctx);
}

/* Functions of types that cannot be called as a plugin's function. */
static void other_signatures(void)
{
    static const struct {
        const char *shape, *says;
    } cases[] = {
        {"(result i64) (i64.const 0)", "odd_one"},
        {"(result f32) (f32.const 0)", "odd_one"},
        {"(result f64) (f64.const 1.5)", "odd_one"},
        {"(result funcref) (ref.null func)", "odd_one"},
        {"(result i32 i32) (i32.const 0) (i32.const 0)", "odd_one"},
        {"(result i32 i64 f64) (i32.const 0) (i64.const 0) (f64.const 0)", "odd_one"},
        {"(param i32)", "argument"},
        {"(param i64) (result i32) (i32.const 0)", "argument"},
        {"(param i32 i32 i32) (result i32) (i32.const 0)", "argument"},
    };
    char module[256];
    ExtismContext *ctx = extism_context_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(module, sizeof module,
                 "(module (func (export \"odd_one\") %s) (func (export \"fine\") (result i32) (i32.const 6)))",
                 cases[i].shape);
        ExtismPlugin plugin = guest_new(ctx, module);
        CHECK_CASE(cases[i].shape, plugin >= 0);
        int32_t rc = guest_call(ctx, plugin, "odd_one", "");
        CHECK_CASE(cases[i].shape, rc == -1);
        CHECK_HAS_CASE(cases[i].shape, extism_error(ctx, plugin), cases[i].says);
        rc = guest_call(ctx, plugin, "fine", "");
        CHECK_CASE(cases[i].shape, rc == 6);
        CHECK_CASE(cases[i].shape, extism_error(ctx, plugin) == NULL);
    }
    extism_context_free(ctx);
}

static void missing_functions(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, "(module (memory (export \"memory\") 1) (func (export \"here\")))");

    int32_t rc = guest_call(ctx, plugin, "nobody", "");
    CHECK(rc == -1);
    CHECK_STARTS(extism_error(ctx, plugin), "Function not found: nobody");
    rc = guest_call(ctx, plugin, "memory", "");
    CHECK(rc == -1);
    CHECK_STARTS(extism_error(ctx, plugin), "Function not found: memory");
    rc = guest_call(ctx, plugin, "", "");
    CHECK(rc == -1);
    CHECK_STARTS(extism_error(ctx, plugin), "Function not found: ");
    rc = guest_call(ctx, plugin, "\xff", "");
    CHECK(rc == -1);
    CHECK(extism_error(ctx, plugin) != NULL);
    rc = guest_call(ctx, plugin, "here\xff", "");
    CHECK(rc == -1);
    CHECK(extism_error(ctx, plugin) != NULL);
    rc = guest_call(ctx, 3, "here", "");
    CHECK(rc == -1);
    CHECK_STARTS(extism_error(ctx, 3), "Plugin does not exist: 3");
    rc = guest_call(ctx, plugin, "here", "");
    CHECK(rc == 0);
    extism_context_free(ctx);
}

/* Functions on the input; `echo` copies it to the output, eight bytes at a time and the rest one by one. */
#define ECHO                                                                                                           \
    "(module " GUEST "(func (export \"length\") (result i32) (i32.wrap_i64 (call $input_length)))"                     \
    "(func (export \"silent\")) (func (export \"fail\") unreachable)"                                                  \
    "(func (export \"middle\") (call $output_set (i64.const 0) (i64.const 0))"                                         \
    "  (call $output_set (i64.add (call $input) (i64.const 2)) (i64.const 3)))"                                        \
    "(func (export \"echo\") (local $to i64) (local $i i64)"                                                           \
    "  (local.set $to (call $alloc (call $input_length)))"                                                             \
    "  (block $done (loop $next"                                                                                       \
    "    (br_if $done (i64.gt_u (i64.add (local.get $i) (i64.const 8)) (call $input_length)))"                         \
    "    (call $store_u64 (i64.add (local.get $to) (local.get $i)) (call $input_u64 (local.get $i)))"                  \
    "    (local.set $i (i64.add (local.get $i) (i64.const 8))) (br $next)))"                                           \
    "  (block $done (loop $next"                                                                                       \
    "    (br_if $done (i64.ge_u (local.get $i) (call $input_length)))"                                                 \
    "    (call $store_u8 (i64.add (local.get $to) (local.get $i)) (call $input_u8 (local.get $i)))"                    \
    "    (local.set $i (i64.add (local.get $i) (i64.const 1))) (br $next)))"                                           \
    "  (call $output (local.get $to))))"

static void input_and_output(void)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 63, 64, 65, 4095, 65535, 65536, 65537, 1048579, 3, 0};
    enum { MOST = 1048579 };
    uint8_t *bytes = (uint8_t *)malloc(MOST);
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, ECHO);
    CHECK(plugin == 0);
    CHECK(bytes != NULL);

    for (size_t i = 0; i < MOST; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char which[32];
        snprintf(which, sizeof which, "%zu bytes", sizes[i]);
        int32_t rc = extism_plugin_call(ctx, plugin, "echo", bytes, sizes[i]);
        CHECK_CASE(which, rc == 0);
        bool right = guest_output_is(ctx, plugin, bytes, sizes[i]);
        CHECK_CASE(which, right);
    }
    free(bytes);

    /* Without data the input is empty, whatever the length says. */
    int32_t rc = extism_plugin_call(ctx, plugin, "length", NULL, 5);
    CHECK(rc == 0);
    rc = extism_plugin_call(ctx, plugin, "echo", NULL, 5);
    CHECK(rc == 0);
    CHECK(extism_plugin_output_length(ctx, plugin) == 0);
    rc = guest_call(ctx, plugin, "length", "four");
    CHECK(rc == 4);
    extism_context_free(ctx);
}

static void output(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, ECHO);
    ExtismPlugin other = guest_new(ctx, ECHO);

    CHECK(extism_plugin_output_length(ctx, plugin) == 0);
    CHECK(extism_plugin_output_data(ctx, plugin) != NULL);
    CHECK(extism_plugin_output_length(ctx, 9) == 0);
    CHECK(extism_plugin_output_data(ctx, 9) == NULL);
    CHECK_STARTS(extism_error(ctx, 9), "Plugin does not exist: 9");

    /* The last range that is set is the output, and may be any part of the memory. */
    int32_t rc = guest_call(ctx, plugin, "middle", "abcdefgh");
    CHECK(rc == 0);
    bool right = guest_output_is(ctx, plugin, "cde", 3);
    CHECK(right);

    /* The output stays in place until the next call on this plugin, with a readable byte after it. */
    right = guest_answers(ctx, plugin, "echo", "stays", "stays");
    CHECK(right);
    const uint8_t *data = extism_plugin_output_data(ctx, plugin);
    bool ok = guest_config(ctx, plugin, "{\"a\": \"1\"}");
    CHECK(ok);
    right = guest_answers(ctx, other, "echo", "another", "another");
    CHECK(right);
    ok = extism_plugin_function_exists(ctx, plugin, "echo");
    CHECK(ok);
    CHECK(extism_error(ctx, plugin) == NULL);
    extism_plugin_free(ctx, other);
    ExtismPlugin third = guest_new(ctx, ECHO);
    CHECK(third == 2);
    CHECK(extism_plugin_output_data(ctx, plugin) == data);
    CHECK(extism_plugin_output_length(ctx, plugin) == 5);
    CHECK(memcmp(data, "stays", 5) == 0);
    volatile uint8_t after = data[5];
    (void)after;

    /* A plugin's output may be the input of another plugin, and its own. */
    rc = extism_plugin_call(ctx, third, "echo", data, 5);
    CHECK(rc == 0);
    right = guest_output_is(ctx, third, "stays", 5);
    CHECK(right);
    rc = extism_plugin_call(ctx, plugin, "echo", data, 5);
    CHECK(rc == 0);
    right = guest_output_is(ctx, plugin, "stays", 5);
    CHECK(right);

    /* A call that sets no output, or that fails, leaves none. */
    rc = guest_call(ctx, plugin, "silent", "some input");
    CHECK(rc == 0);
    CHECK(extism_plugin_output_length(ctx, plugin) == 0);
    right = guest_answers(ctx, plugin, "echo", "again", "again");
    CHECK(right);
    rc = guest_call(ctx, plugin, "fail", "some input");
    CHECK(rc == -1);
    CHECK(extism_plugin_output_length(ctx, plugin) == 0);
    right = guest_answers(ctx, plugin, "echo", "again", "again");
    CHECK(right);
    rc = guest_call(ctx, plugin, "nobody", "");
    CHECK(rc == -1);
    CHECK(extism_plugin_output_length(ctx, plugin) == 0);
    extism_context_free(ctx);
}

/* Functions that count in a global and in memory, and answer the sum. */
#define COUNTING                                                                                                       \
    "(module " GUEST "(global $n (mut i32) (i32.const 0))"                                                             \
    "(func $up (result i32)"                                                                                           \
    "  (global.set $n (i32.add (global.get $n) (i32.const 1)))"                                                        \
    "  (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (i32.const 10)))"                                \
    "  (i32.add (global.get $n) (i32.load (i32.const 100))))"                                                          \
    "(func (export \"up\") (result i32) (call $up))"                                                                   \
    "(func (export \"up_and_fail\") (drop (call $up)) unreachable))"

/* Globals and memory stay from call to call; after a trap, only if the manifest says so. */
static void state_between_calls(void)
{
    static const struct {
        const char *name, *manifest;
        int32_t after_trap;
    } cases[] = {
        {"by default", "{\"wasm\": [{\"data\": \"%s\"}]}", 11},
        {"renew", "{\"wasm\": [{\"data\": \"%s\"}], \"after_trap\": \"renew\"}", 11},
        {"keep", "{\"wasm\": [{\"data\": \"%s\"}], \"after_trap\": \"keep\"}", 11 * 1002},
    };
    ExtismContext *ctx = extism_context_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        ExtismPlugin plugin = guest_new_in(ctx, cases[i].manifest, COUNTING);
        for (int32_t n = 1; n <= 1000; n++) {
            int32_t rc = guest_call(ctx, plugin, "up", "x");
            if (rc != 11 * n) {
                CHECK_CASE(cases[i].name, rc == 11 * n);
                break;
            }
        }
        int32_t rc = guest_call(ctx, plugin, "up_and_fail", "");
        CHECK_CASE(cases[i].name, rc == -1);
        rc = guest_call(ctx, plugin, "up", "");
        CHECK_CASE(cases[i].name, rc == cases[i].after_trap);
    }
    extism_context_free(ctx);
}

int main(void)
{
    return_codes();
    other_signatures();
    missing_functions();
    input_and_output();
    output();
    state_between_calls();
    return check_done();
}
