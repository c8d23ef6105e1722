/* Calls the function count_vowels of a plugin file: count_vowels PLUGIN.wasm [TEXT] */
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

static uint8_t wasm[32 << 20]; /* the largest plugin this program takes */

int main(int argc, char *argv[])
{
    const char *text = argc > 2 ? argv[2] : "this is a test";

    if (argc < 2) {
        fprintf(stderr, "usage: count_vowels PLUGIN.wasm [TEXT]\n");
        return EXIT_FAILURE;
    }
    FILE *file = fopen(argv[1], "rb");
    if (!file) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    size_t size = fread(wasm, 1, sizeof wasm, file);
    fclose(file);

    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new(ctx, wasm, size, false);
    int32_t rc = -1;
    if (plugin >= 0)
        rc = extism_plugin_call(ctx, plugin, "count_vowels", (const uint8_t *)text, strlen(text));

    if (rc == 0) {
        size_t length = extism_plugin_output_length(ctx, plugin);
        fwrite(extism_plugin_output_data(ctx, plugin), 1, length, stdout);
        putchar('\n');
    } else {
        const char *error = extism_error(ctx, plugin);
        fprintf(stderr, "count_vowels: %s\n", error ? error : "the plugin failed and did not say why");
    }
    extism_context_free(ctx);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
