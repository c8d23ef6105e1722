/*
 * A server without compilers: runs a plugin with machine code from elsewhere: headless CACHE MANIFEST.json FUNCTION
 *
 * CACHE is a directory that `extism-wasmer compile --store CACHE MANIFEST.json` has filled. With a "hash" in the
 * manifest, the module itself is not read and need not be there. If code is missing in CACHE, the error says how to
 * make it; this program prints it.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */

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

static char manifest[1 << 16]; /* the largest manifest this program takes */

int main(int argc, char *argv[])
{
    if (argc != 4) {
        fprintf(stderr, "usage: headless CACHE MANIFEST.json FUNCTION\n");
        return EXIT_FAILURE;
    }
    /* Must come before the first use of the library, which reads the environment once. */
    setenv("EXTISM_CACHE_DIR", argv[1], 1);
    FILE *file = fopen(argv[2], "rb");
    if (!file) {
        perror(argv[2]);
        return EXIT_FAILURE;
    }
    size_t size = fread(manifest, 1, sizeof manifest, file);
    fclose(file);

    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new(ctx, (const uint8_t *)manifest, size, false);
    int32_t rc = plugin < 0 ? -1 : extism_plugin_call(ctx, plugin, argv[3], NULL, 0);
    if (rc == 0) {
        size_t length = extism_plugin_output_length(ctx, plugin);
        fwrite(extism_plugin_output_data(ctx, plugin), 1, length, stdout);
        putchar('\n');
    } else {
        const char *error = extism_error(ctx, plugin);
        fprintf(stderr, "headless: %s\n", error ? error : "the plugin failed and did not say why");
    }
    extism_context_free(ctx);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
