/*
 * Limits: instructions (fuel), time and memory of a call. A call that reaches one fails, and the program goes on.
 *
 * Fuel is an argument of the functions that make plugins, time and memory are keys of the manifest (docs/manifest.md).
 */
#include <extism.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* count: loops 1000 times. forever: loops for ever. grow: returns 1 if it gets 100 pages of memory, 0 if not. */
static const char plugin_wat[] =
    "(module (memory 1)"
    "  (func (export \"count\") (local i32)"
    "    (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000)))))"
    "  (func (export \"forever\") (loop (br 0)))"
    "  (func (export \"grow\") (result i32) (i32.ne (memory.grow (i32.const 100)) (i32.const -1))))";

/* Calls a function, and prints what came of it. Frees the plugin. A plugin that is NULL returns -1 from each call. */
static int32_t call(ExtismPlugin *plugin, const char *function, char *creation_error)
{
    int32_t rc = extism_plugin_call(plugin, function, NULL, 0);
    const char *error = plugin ? extism_plugin_error(plugin) : creation_error;

    printf("%s returned %d", function, (int)rc);
    /* Counted only in plugins that have a limit of fuel. */
    if (extism_plugin_fuel_consumed(plugin) > 0)
        printf(" after %llu instructions", (unsigned long long)extism_plugin_fuel_consumed(plugin));
    printf("%s%s\n", error ? ": " : "", error ? error : "");
    extism_plugin_new_error_free(creation_error);
    extism_plugin_free(plugin);
    return rc;
}

static int32_t count_with_fuel(uint64_t fuel)
{
    const uint8_t *wasm = (const uint8_t *)plugin_wat;
    char *error = NULL;
    /* The limit holds for each call: the next one begins with all of it. */
    ExtismPlugin *plugin =
        extism_plugin_new_with_fuel_limit(wasm, strlen(plugin_wat), NULL, 0, false, fuel, &error);

    return call(plugin, "count", error);
}

/* The same for a plugin that is compiled once: each of its instances has the limit. */
static int32_t count_in_instance(uint64_t fuel)
{
    const uint8_t *wasm = (const uint8_t *)plugin_wat;
    char *error = NULL;
    ExtismCompiledPlugin *compiled =
        extism_compiled_plugin_new_with_fuel_limit(wasm, strlen(plugin_wat), NULL, 0, false, fuel, &error);
    ExtismPlugin *plugin = compiled ? extism_plugin_new_from_compiled(compiled, &error) : NULL;

    extism_compiled_plugin_free(compiled);
    return call(plugin, "count", error);
}

/* Calls a function of a plugin whose manifest has these keys, such as `"timeout_ms": 100`. */
static int32_t call_with(const char *function, const char *keys)
{
    char manifest[256];
    char *error = NULL;
    /* C programs may pass a module's address instead of its file. */
    int length = snprintf(manifest, sizeof manifest, "{\"wasm\": [{\"data\": {\"ptr\": %llu, \"len\": %zu}}], %s}",
                          (unsigned long long)(uintptr_t)plugin_wat, strlen(plugin_wat), keys);

    if (length < 0 || (size_t)length >= sizeof manifest)
        return -1;
    ExtismPlugin *plugin = extism_plugin_new((const uint8_t *)manifest, (ExtismSize)length, NULL, 0, false, &error);
    return call(plugin, function, error);
}

int main(void)
{
    int32_t enough = count_with_fuel(10000);
    int32_t too_little = count_with_fuel(1000);
    int32_t instance = count_in_instance(1000);
    int32_t endless = call_with("forever", "\"timeout_ms\": 100");
    int32_t allowed = call_with("grow", "\"memory\": {\"max_pages\": 150}");
    int32_t refused = call_with("grow", "\"memory\": {\"max_pages\": 50}");

    bool good = enough == 0 && too_little == -1 && instance == -1 && endless != 0 && allowed == 1 && refused != 1;
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
