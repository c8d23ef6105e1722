/*
 * A time limit: a plugin that would run for ever is stopped after 100 ms, and can be called again.
 *
 * The limit is the manifest's "timeout_ms". It holds for each call, in the plugin's own code and in the library's work
 * for the plugin.
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

/* (module (func (export "forever") (loop (br 0)))), in base64, as manifests have modules */
#define FOREVER "KG1vZHVsZSAoZnVuYyAoZXhwb3J0ICJmb3JldmVyIikgKGxvb3AgKGJyIDApKSkp"

int main(void)
{
    const char *manifest = "{\"wasm\": [{\"data\": \"" FOREVER "\"}], \"timeout_ms\": 100}";
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new(ctx, (const uint8_t *)manifest, strlen(manifest), false);
    bool stopped = plugin >= 0;

    for (int call = 1; call <= 2 && stopped; call++) {
        int32_t rc = extism_plugin_call(ctx, plugin, "forever", NULL, 0);
        const char *error = extism_error(ctx, plugin);
        printf("call %d returned %d: %s\n", call, (int)rc, error ? error : "no error");
        stopped = rc == -1 && error && strstr(error, "timeout");
    }
    if (plugin < 0)
        fprintf(stderr, "timeout: %s\n", extism_error(ctx, -1));
    extism_context_free(ctx);
    return stopped ? EXIT_SUCCESS : EXIT_FAILURE;
}
