/* Calls the function count_vowels of a plugin file, with Extism 1.x: count_vowels PLUGIN.wasm [TEXT] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <extism.h>

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

    char *why = NULL;
    ExtismPlugin *plugin = extism_plugin_new(wasm, size, NULL, 0, true, &why);
    if (!plugin) {
        fprintf(stderr, "%s\n", why);
        extism_plugin_new_error_free(why);
        return EXIT_FAILURE;
    }
    int32_t rc = extism_plugin_call(plugin, "count_vowels", (const uint8_t *)text, strlen(text));
    if (rc == EXTISM_SUCCESS) {
        fwrite(extism_plugin_output_data(plugin), 1, extism_plugin_output_length(plugin), stdout);
        putchar('\n');
    } else {
        const char *error = extism_plugin_error(plugin);
        fprintf(stderr, "%s\n", error ? error : "the plugin failed and did not say why");
    }
    extism_plugin_free(plugin);
    return rc == EXTISM_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
