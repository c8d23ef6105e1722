/* Manifests: which are loaded, and which are refused with which error. */
#include "guest.h"

#include <unistd.h>

#define EMPTY "(module)"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* Answers with the config value that the input names, or returns 1. */
#define CONFIG                                                                                                         \
    "(module " GUEST "(func (export \"config\") (result i32) (local $at i64)"                                          \
    "  (local.set $at (call $config_get (call $input)))"                                                               \
    "  (if (i64.eqz (local.get $at)) (then (return (i32.const 1))))"                                                   \
    "  (call $output (local.get $at)) (i32.const 0)))"

static void what_makes_none(void)
{
    static const struct {
        const char *name, *text, *start, *part;
    } cases[] = {
        {"nothing", "", "No wasm files specified", ""},
        {"empty object", "{}", "No wasm files specified", ""},
        {"empty list", "{\"wasm\": []}", "No wasm files specified", ""},
        {"unknown keys only", "{\"invalid_manifest\": true}", "No wasm files specified", ""},
        {"null", "{\"wasm\": null}", "", ""},
        {"a number", "{\"wasm\": 123}", "", ""},
        {"an entry of nothing", "{\"wasm\": [{}]}", "", ""},
        {"bad base64", "{\"wasm\": [{\"data\": \"***\"}]}", "", ""},
        {"no module inside", "{\"wasm\": [{\"data\": \"AAAA\"}]}", "", ""},
        {"garbage", "not json", "", ""},
        {"half a module", "(module", "", ""},
        {"bad text", "(module (func (call $nobody)))", "", "nobody"},
        {"invalid code", "(module (func (result i32) (i64.const 0)))", "", ""},
        {"missing file", "{\"wasm\": [{\"path\": \"no/such/file.wasm\"}]}", "", "no/such/file.wasm"},
        {"root as file", "{\"wasm\": [{\"path\": \"/\"}]}", "", ""},
        {"parent as file", "{\"wasm\": [{\"path\": \"..\"}]}", "", ""},
        {"no file name", "{\"wasm\": [{\"path\": \"\"}]}", "", ""},
        {"unknown import", "(module (import \"env\" \"foo\" (func)))",
         "unknown import: `env::foo` has not been defined", ""},
        {"WASI not asked for", "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))))",
         "unknown import: `wasi_snapshot_preview1::proc_exit` has not been defined", ""},
        {"import of a wrong type", "(module (import \"env\" \"extism_alloc\" (func (param i32))))", "", "extism_alloc"},
        {"failing start", "(module (func $f unreachable) (start $f))", "", "unreachable"},
        {"failing data", "(module (memory 1) (data (i32.const 65536) \"x\"))", "", ""},
    };
    ExtismContext *ctx = extism_context_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        ExtismPlugin plugin = guest_new(ctx, cases[i].text);
        const char *error = extism_error(ctx, -1);

        CHECK_CASE(cases[i].name, plugin == -1);
        CHECK_STARTS_CASE(cases[i].name, error, cases[i].start);
        CHECK_HAS_CASE(cases[i].name, error, cases[i].part);
        CHECK_CASE(cases[i].name, error && error[0] != '\0');
    }

    ExtismPlugin plugin = extism_plugin_new(ctx, (const uint8_t *)"\0asm", 4, false);
    CHECK(plugin == -1);
    plugin = extism_plugin_new(ctx, (const uint8_t *)"\0asm\xff\xff\xff\xff", 8, false);
    CHECK(plugin == -1);
    plugin = extism_plugin_new(ctx, (const uint8_t *)"\xff\xfe\0\1", 4, false);
    CHECK(plugin == -1);

    /* No failed attempt took an id. */
    plugin = guest_new(ctx, EMPTY);
    CHECK(plugin == 0);
    extism_context_free(ctx);
}

static void manifests(void)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"JSON", "{\"wasm\": [{\"data\": \"%s\"}], \"config\": {\"a\": \"1\"}}"},
        {"unknown keys", "{\"x\": 1, \"wasm\": [{\"data\": \"%s\", \"y\": null}], \"config\": {\"a\": \"1\"}}"},
        {"null options", "{\"wasm\": [{\"data\": \"%s\", \"name\": null, \"hash\": null}], \"config\": {\"a\": \"1\"},"
                         " \"allowed_hosts\": null}"},
        {"what Go sends", "{\"memory\": {}, \"wasm\": [{\"data\": \"%s\"}], \"config\": {\"a\": \"1\"}}"},
        {"TOML", "[[wasm]]\ndata = \"%s\"\n[config]\na = \"1\"\n"},
        {"a single module of any name",
         "{\"wasm\": [{\"data\": \"%s\", \"name\": \"whatever\"}], \"config\": {\"a\": \"1\"}}"},
    };
    ExtismContext *ctx = extism_context_new();

    for (size_t i = 0; i < COUNT(cases); i++) {
        ExtismPlugin plugin = guest_new_in(ctx, cases[i].text, CONFIG);
        CHECK_CASE(cases[i].name, plugin >= 0);
        bool right = guest_answers(ctx, plugin, "config", "a", "1");
        CHECK_CASE(cases[i].name, right);
        int32_t rc = guest_call(ctx, plugin, "config", "b");
        CHECK_CASE(cases[i].name, rc == 1);
    }
    extism_context_free(ctx);
}

static void module_from_a_file(void)
{
    char path[] = "/tmp/extism-plugin-XXXXXX", manifest[256];
    ExtismContext *ctx = extism_context_new();

    int file = mkstemp(path);
    CHECK(file >= 0);
    ssize_t written = write(file, EMPTY, strlen(EMPTY));
    CHECK(written == (ssize_t)strlen(EMPTY));
    close(file);

    snprintf(manifest, sizeof manifest, "{\"wasm\": [{\"path\": \"%s\"}]}", path);
    ExtismPlugin plugin = guest_new(ctx, manifest);
    CHECK(plugin == 0);
    unlink(path);
    plugin = guest_new(ctx, manifest);
    CHECK(plugin == -1);
    CHECK_HAS(extism_error(ctx, -1), path);
    extism_context_free(ctx);
}

static void hashes(void)
{
    static const char found[] = "Hash mismatch, found ";
    char hash[65] = "", manifest[256], expected[256];
    ExtismContext *ctx = extism_context_new();

    ExtismPlugin plugin = guest_new_in(ctx, "{\"wasm\": [{\"data\": \"%s\", \"hash\": \"" ZEROS "\"}]}", EMPTY);
    CHECK(plugin == -1);
    const char *error = extism_error(ctx, -1);
    CHECK_STARTS(error, found);
    if (error && strlen(error) > strlen(found) + 64)
        memcpy(hash, error + strlen(found), 64);
    CHECK(strspn(hash, "0123456789abcdef") == 64);
    snprintf(expected, sizeof expected, "%s%s but expected %s", found, hash, ZEROS);
    CHECK_STARTS(error, expected);

    snprintf(manifest, sizeof manifest, "{\"wasm\": [{\"data\": \"%%s\", \"hash\": \"%s\"}]}", hash);
    plugin = guest_new_in(ctx, manifest, EMPTY);
    CHECK(plugin == 0);
    extism_context_free(ctx);
}

static void several_modules(void)
{
    static const char shape[] =
        "{\"wasm\": [{\"name\": \"%s\", \"data\": \"%s\"}, {\"name\": \"%s\", \"data\": \"%s\"}]}";
    char lib[256], user[512], manifest[1024];
    ExtismContext *ctx = extism_context_new();

    base64(lib, sizeof lib, "(module (func (export \"half\") (result i32) (i32.const 21)))");
    base64(user, sizeof user,
           "(module (import \"lib\" \"half\" (func $half (result i32)))"
           " (func (export \"whole\") (result i32) (i32.add (call $half) (call $half))))");

    snprintf(manifest, sizeof manifest, shape, "lib", lib, "main", user);
    ExtismPlugin plugin = guest_new(ctx, manifest);
    CHECK(plugin == 0);
    int32_t rc = guest_call(ctx, plugin, "whole", "");
    CHECK(rc == 42);
    CHECK(extism_plugin_function_exists(ctx, plugin, "whole"));
    CHECK(!extism_plugin_function_exists(ctx, plugin, "half"));
    rc = guest_call(ctx, plugin, "half", "");
    CHECK(rc == -1);

    snprintf(manifest, sizeof manifest, shape, "twin", lib, "twin", lib);
    plugin = guest_new(ctx, manifest);
    CHECK(plugin == -1);
    CHECK_HAS(extism_error(ctx, -1), "twin");
    extism_context_free(ctx);
}

int main(void)
{
    what_makes_none();
    manifests();
    module_from_a_file();
    hashes();
    several_modules();
    return check_done();
}
