/*
 * Fuel: a limit on the WebAssembly instructions of a call. Unlike time, it is the same on every machine and in every run.
 *
 * The limit is the manifest's "fuel". Code that counts its instructions is slower: see docs/manifest.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#include <extism.h>
#ifdef __cplusplus
}
#endif

/* (module (func (export "count") (local i32)
 *     (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000)))))) */
#define COUNT                                                                                                          \
    "KG1vZHVsZSAoZnVuYyAoZXhwb3J0ICJjb3VudCIpIChsb2NhbCBpMzIpIChsb29wIChicl9pZiAwIChp" \
    "MzIubHRfdSAobG9jYWwudGVlIDAgKGkzMi5hZGQgKGxvY2FsLmdldCAwKSAoaTMyLmNvbnN0IDEpKSkg" \
    "KGkzMi5jb25zdCAxMDAwKSkpKSkp"

/* Calls a plugin that counts to 1000, and lets the call execute `fuel` instructions. */
static int32_t count_with(ExtismContext *ctx, int fuel)
{
    char manifest[512];

    snprintf(manifest, sizeof manifest, "{\"wasm\": [{\"data\": \"%s\"}], \"fuel\": %d}", COUNT, fuel);
    ExtismPlugin plugin = extism_plugin_new(ctx, (const uint8_t *)manifest, strlen(manifest), false);
    int32_t rc = plugin < 0 ? -1 : extism_plugin_call(ctx, plugin, "count", NULL, 0);
    const char *error = extism_error(ctx, plugin);
    printf("fuel %d: returned %d, %llu instructions executed%s%s\n", fuel, (int)rc,
           (unsigned long long)extism_plugin_fuel_used(ctx, plugin), error ? "\n" : "", error ? error : "");
    extism_plugin_free(ctx, plugin);
    return rc;
}

int main(void)
{
    ExtismContext *ctx = extism_context_new();
    int32_t enough = count_with(ctx, 10000);
    int32_t too_little = count_with(ctx, 1000);

    extism_context_free(ctx);
    return enough == 0 && too_little == -1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
