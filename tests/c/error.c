/* Errors: their places, the calls that clear them, and their texts. */
#include "guest.h"

#define FAILS "(module " GUEST "(func (export \"fail\") unreachable) (func (export \"fine\")))"

/* A context with an error of its own, and two plugins with an error each. */
struct pending {
    ExtismContext *ctx;
    ExtismPlugin one, two;
};

static struct pending pending_new(void)
{
    struct pending p = {extism_context_new(), -1, -1};

    p.one = guest_new(p.ctx, FAILS);
    p.two = guest_new(p.ctx, FAILS);
    int32_t rc = guest_call(p.ctx, p.one, "fail", "");
    CHECK(rc == -1);
    rc = guest_call(p.ctx, p.two, "fail", "");
    CHECK(rc == -1);
    ExtismPlugin none = guest_new(p.ctx, "{}");
    CHECK(none == -1);
    CHECK(extism_error(p.ctx, p.one) != NULL);
    CHECK(extism_error(p.ctx, p.two) != NULL);
    CHECK(extism_error(p.ctx, -1) != NULL);
    return p;
}

static void does_config(struct pending p) { guest_config(p.ctx, p.one, "{}"); }
static void does_exists(struct pending p) { extism_plugin_function_exists(p.ctx, p.one, "fine"); }
static void does_call(struct pending p) { guest_call(p.ctx, p.one, "fine", ""); }
static void does_output_length(struct pending p) { extism_plugin_output_length(p.ctx, p.one); }
static void does_output_data(struct pending p) { extism_plugin_output_data(p.ctx, p.one); }
static void does_new(struct pending p) { guest_new(p.ctx, FAILS); }
static void does_update_two(struct pending p) { guest_update(p.ctx, p.two, FAILS); }
static void does_free_two(struct pending p) { extism_plugin_free(p.ctx, p.two); }
static void does_free_nothing(struct pending p) { extism_plugin_free(p.ctx, 99); }
static void does_error(struct pending p) { extism_error(p.ctx, p.one); }

static void what_clears(void)
{
    static const struct {
        const char *name;
        void (*act)(struct pending);
        bool clears;
    } cases[] = {
        {"config", does_config, true},
        {"function_exists", does_exists, true},
        {"call", does_call, true},
        {"output_length", does_output_length, true},
        {"output_data", does_output_data, true},
        {"new", does_new, false},
        {"update of another", does_update_two, false},
        {"free of another", does_free_two, false},
        {"free of nothing", does_free_nothing, false},
        {"error", does_error, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pending p = pending_new();
        cases[i].act(p);
        CHECK_CASE(cases[i].name, (extism_error(p.ctx, p.one) == NULL) == cases[i].clears);
        CHECK_CASE(cases[i].name, (extism_error(p.ctx, -1) == NULL) == cases[i].clears);
        if (cases[i].clears)
            CHECK_CASE(cases[i].name, extism_error(p.ctx, p.two) != NULL);
        extism_context_free(p.ctx);
    }
}

static void reset_keeps_the_context_error(void)
{
    struct pending p = pending_new();

    extism_context_reset(p.ctx);
    CHECK_STARTS(extism_error(p.ctx, -1), "No wasm files specified");
    CHECK_STARTS(extism_error(p.ctx, p.one), "No wasm files specified");
    extism_context_free(p.ctx);
}

/* The same functions report an id that no plugin has, and leave other plugins' errors alone. */
static void unknown_plugins(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, FAILS);
    int32_t rc = guest_call(ctx, plugin, "fail", "");
    CHECK(rc == -1);

    bool ok = guest_config(ctx, 10, "{}");
    CHECK(!ok);
    CHECK_STARTS(extism_error(ctx, -1), "Plugin does not exist: 10");
    ok = extism_plugin_function_exists(ctx, 11, "fine");
    CHECK(!ok);
    CHECK_STARTS(extism_error(ctx, -1), "Plugin does not exist: 11");
    rc = guest_call(ctx, 12, "fine", "");
    CHECK(rc == -1);
    CHECK_STARTS(extism_error(ctx, -1), "Plugin does not exist: 12");
    ExtismSize length = extism_plugin_output_length(ctx, 13);
    CHECK(length == 0);
    CHECK_STARTS(extism_error(ctx, -1), "Plugin does not exist: 13");
    const uint8_t *data = extism_plugin_output_data(ctx, 14);
    CHECK(data == NULL);
    CHECK_STARTS(extism_error(ctx, -1), "Plugin does not exist: 14");

    /* For any id that no plugin has, the error is the context's. */
    CHECK_STARTS(extism_error(ctx, 14), "Plugin does not exist: 14");
    CHECK_STARTS(extism_error(ctx, INT32_MIN), "Plugin does not exist: 14");
    CHECK_STARTS(extism_error(ctx, INT32_MAX), "Plugin does not exist: 14");
    CHECK_STARTS(extism_error(ctx, plugin), "Call failed");
    extism_context_free(ctx);
}

/* The text of an error lives until this thread asks again, whatever happens to the plugin and the context. */
static void texts_outlive_their_plugin(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, FAILS);
    int32_t rc = guest_call(ctx, plugin, "fail", "");
    CHECK(rc == -1);

    const char *error = extism_error(ctx, plugin);
    CHECK_STARTS(error, "Call failed");
    rc = guest_call(ctx, plugin, "fine", "");
    CHECK(rc == 0);
    CHECK_STARTS(error, "Call failed");
    extism_plugin_free(ctx, plugin);
    CHECK_STARTS(error, "Call failed");
    extism_context_free(ctx);
    CHECK_STARTS(error, "Call failed");
}

/* No error has a Rust backtrace, or a value in Rust's notation. */
static void check_readable(const char *which, const char *error)
{
    static const char *const noise[] = {"stack backtrace", "Error(", "Error {", "Some(", "\\n", "\\\"", ".rs:"};

    CHECK_CASE(which, error != NULL);
    for (size_t i = 0; i < COUNT(noise); i++)
        CHECK_CASE(which, !text_has(error, noise[i]));
}

static void traps(void)
{
    static const struct {
        const char *name, *body, *says;
    } cases[] = {
        {"unreachable", "unreachable", "unreachable"},
        {"load", "(drop (i32.load (i32.const 0x7fffffff)))", "out of bounds memory access"},
        {"store", "(i64.store (i32.const 65529) (i64.const 1))", "out of bounds memory access"},
        {"block load", "(drop (call $load_u8 (i64.const 0x10000000000)))", "out of bounds memory access"},
        {"division", "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))", "divide by zero"},
        {"table", "(drop (call_indirect (result i32) (i32.const 5)))", "table"},
    };
    char module[6000];
    ExtismContext *ctx = extism_context_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(module, sizeof module,
                 "(module %s (table 1 funcref) (func $culprit %s) (func (export \"fail\") (call $culprit))"
                 " (func (export \"fine\") (result i32) (i32.const 6)))",
                 GUEST, cases[i].body);
        ExtismPlugin plugin = guest_new(ctx, module);
        CHECK_CASE(cases[i].name, plugin >= 0);
        for (int again = 0; again < 2; again++) {
            int32_t rc = guest_call(ctx, plugin, "fail", "");
            CHECK_CASE(cases[i].name, rc == -1);
            const char *error = extism_error(ctx, plugin);
            CHECK_STARTS_CASE(cases[i].name, error, "Call failed");
            CHECK_HAS_CASE(cases[i].name, error, "Caused by:");
            CHECK_HAS_CASE(cases[i].name, error, cases[i].says);
            CHECK_HAS_CASE(cases[i].name, error, "culprit");
            check_readable(cases[i].name, error);
            rc = guest_call(ctx, plugin, "fine", "");
            CHECK_CASE(cases[i].name, rc == 6);
            CHECK_CASE(cases[i].name, extism_error(ctx, plugin) == NULL);
        }
    }
    extism_context_free(ctx);
}

/* A backtrace of thousands of frames is cut. */
static void stack_overflow(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, "(module (func $dive (result i32) (i32.add (call $dive) (i32.const 1)))"
                                         "(func (export \"fail\") (result i32) (call $dive))"
                                         "(func (export \"fine\") (result i32) (i32.const 6)))");

    for (int again = 0; again < 3; again++) {
        int32_t rc = guest_call(ctx, plugin, "fail", "");
        CHECK(rc == -1);
        const char *error = extism_error(ctx, plugin);
        CHECK_STARTS(error, "Call failed");
        CHECK_HAS(error, "stack");
        CHECK(error && strlen(error) < 16384);
        check_readable("stack overflow", error);
        rc = guest_call(ctx, plugin, "fine", "");
        CHECK(rc == 6);
    }
    extism_context_free(ctx);
}

/* The input becomes the guest's error, word for word. */
static void errors_of_the_guest(void)
{
    static const char text[] = "it said \"no\"\n\tand 'twice' \\ \xc3\xa4";
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(
        ctx, "(module " GUEST "(func (export \"status\") (result i32) (call $error_set (call $input)) (i32.const 3))"
             "(func (export \"quiet\") (call $error_set (call $input)))"
             "(func (export \"taken_back\") (call $error_set (call $input)) (call $error_set (i64.const 0)))"
             "(func (export \"trap\") (call $error_set (call $input)) unreachable)"
             "(func (export \"fine\")))");

    int32_t rc = guest_call(ctx, plugin, "status", text);
    CHECK(rc == 3);
    CHECK_TEXT(extism_error(ctx, plugin), text);
    CHECK(extism_error(ctx, -1) == NULL);
    rc = guest_call(ctx, plugin, "fine", "");
    CHECK(rc == 0);
    CHECK(extism_error(ctx, plugin) == NULL);

    rc = guest_call(ctx, plugin, "quiet", text);
    CHECK(rc == 0);
    CHECK_TEXT(extism_error(ctx, plugin), text);
    rc = guest_call(ctx, plugin, "taken_back", text);
    CHECK(rc == 0);
    CHECK(extism_error(ctx, plugin) == NULL);

    /* The guest's own error comes first, then the trap that followed. */
    rc = guest_call(ctx, plugin, "trap", text);
    CHECK(rc == -1);
    CHECK_STARTS(extism_error(ctx, plugin), text);
    CHECK_HAS(extism_error(ctx, plugin), "unreachable");

    rc = extism_plugin_call(ctx, plugin, "status", (const uint8_t *)"zero\0inside", 11);
    CHECK(rc == 3);
    CHECK_STARTS(extism_error(ctx, plugin), "zero");
    extism_context_free(ctx);
}

static void all_errors_are_readable(void)
{
    static const char *const refused[] = {
        "{\"wasm\": 123}", "not json", "(module", "(module (import \"env\" \"foo\" (func)))",
        "(module (func $f unreachable) (start $f))", "{\"wasm\": [{\"path\": \"no/such/file.wasm\"}]}",
    };
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, FAILS);

    for (size_t i = 0; i < COUNT(refused); i++) {
        ExtismPlugin none = guest_new(ctx, refused[i]);
        CHECK_CASE(refused[i], none == -1);
        check_readable(refused[i], extism_error(ctx, -1));
    }
    bool ok = guest_config(ctx, plugin, "{\"a\": 1}");
    CHECK(!ok);
    check_readable("config", extism_error(ctx, plugin));
    ok = extism_plugin_function_exists(ctx, plugin, "\xff");
    CHECK(!ok);
    check_readable("name", extism_error(ctx, plugin));
    int32_t rc = guest_call(ctx, plugin, "nobody", "");
    CHECK(rc == -1);
    check_readable("function", extism_error(ctx, plugin));
    extism_context_free(ctx);
}

int main(void)
{
    setenv("RUST_BACKTRACE", "full", 1);
    setenv("RUST_LIB_BACKTRACE", "1", 1);
    what_clears();
    reset_keeps_the_context_error();
    unknown_plugins();
    texts_outlive_their_plugin();
    traps();
    stack_overflow();
    errors_of_the_guest();
    all_errors_are_readable();
    return check_done();
}
