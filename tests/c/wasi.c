/* WASI as a caller sees it: exit codes and the environment. */
#include "guest.h"

static ExtismPlugin wasi_new(ExtismContext *ctx, const char *wat)
{
    return extism_plugin_new(ctx, (const uint8_t *)wat, strlen(wat), true);
}

/* proc_exit ends the call from any depth with its exit code, and the plugin stays usable. */
static void exits(void)
{
    static const struct {
        const char *function;
        int32_t rc;
        bool error;
    } cases[] = {
        {"exit0", 0, false},   {"exit1", 1, true},     {"exit125", 125, true},
        {"exit126", -1, true}, {"exit1000", -1, true}, {"exit-1", -1, true},
    };
#define EXIT(n) "(func (export \"exit" #n "\") (result i32) (call $deep (i32.const " #n ")) (i32.const 55))"
    static const char module[] =
        "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
        "(memory (export \"memory\") 1)"
        "(func $deep (param i32) (call $exit (local.get 0)))"
        EXIT(0) EXIT(1) EXIT(125) EXIT(126) EXIT(1000) EXIT(-1)
        "(func (export \"fine\") (result i32) (i32.const 6)))";
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = wasi_new(ctx, module);
    CHECK(plugin == 0);

    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t rc = guest_call(ctx, plugin, cases[i].function, "");
        CHECK_CASE(cases[i].function, rc == cases[i].rc);
        CHECK_CASE(cases[i].function, (extism_error(ctx, plugin) != NULL) == cases[i].error);
        rc = guest_call(ctx, plugin, "fine", "");
        CHECK_CASE(cases[i].function, rc == 6);
        CHECK_CASE(cases[i].function, extism_error(ctx, plugin) == NULL);
    }
    extism_context_free(ctx);
}

/* The environment is the config, as `KEY=VALUE` with a zero byte after each; the output is all of it. */
#define ENVIRONMENT                                                                                                    \
    "(module (import \"wasi_snapshot_preview1\" \"environ_sizes_get\""                                                 \
    "  (func $sizes (param i32 i32) (result i32)))"                                                                    \
    "(import \"wasi_snapshot_preview1\" \"environ_get\" (func $get (param i32 i32) (result i32)))" GUEST               \
    "(func (export \"environment\") (result i32)"                                                                      \
    "  (if (call $sizes (i32.const 0) (i32.const 4)) (then (return (i32.const -2))))"                                  \
    "  (if (call $get (i32.const 1024) (i32.const 8192)) (then (return (i32.const -3))))"                              \
    "  (call $output (call $block (i32.const 8192) (i32.load (i32.const 4))))"                                         \
    "  (i32.load (i32.const 0))))"

/* How often this entry stands in the plugin's environment. */
static int entries(ExtismContext *ctx, ExtismPlugin plugin, const char *entry)
{
    const char *at = (const char *)extism_plugin_output_data(ctx, plugin);
    const char *end = at + extism_plugin_output_length(ctx, plugin);
    int n = 0;

    for (; at < end; at += strnlen(at, (size_t)(end - at)) + 1)
        n += strncmp(at, entry, (size_t)(end - at)) == 0;
    return n;
}

static void environment(void)
{
    static const char entry[] = "{\"wasm\": [{\"data\": \"%s\"}], \"config\": {\"a\": \"1\", \"b\": \"2\"}}";
    char module[6000], manifest[8192];
    ExtismContext *ctx = extism_context_new();

    base64(module, sizeof module, ENVIRONMENT);
    snprintf(manifest, sizeof manifest, entry, module);
    ExtismPlugin plugin = wasi_new(ctx, manifest);
    CHECK(plugin == 0);

    int32_t n = guest_call(ctx, plugin, "environment", "");
    CHECK(n == 2);
    CHECK(entries(ctx, plugin, "a=1") == 1);
    CHECK(entries(ctx, plugin, "b=2") == 1);

    /* A removed key is gone, and a key that is set three times is there once. */
    for (int i = 0; i < 3; i++) {
        bool ok = guest_config(ctx, plugin, "{\"a\": null, \"b\": \"3\", \"c\": \"4\"}");
        CHECK(ok);
    }
    n = guest_call(ctx, plugin, "environment", "");
    CHECK(n == 2);
    CHECK(entries(ctx, plugin, "a=") == 0);
    CHECK(entries(ctx, plugin, "b=3") == 1);
    CHECK(entries(ctx, plugin, "c=4") == 1);
    extism_context_free(ctx);
}

int main(void)
{
    exits();
    environment();
    return check_done();
}
