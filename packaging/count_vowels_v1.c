/* Calls the function count_vowels of a plugin file: count_vowels PLUGIN.wasm TEXT. For test-install.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <extism.h>

static uint8_t wasm[32 << 20]; /* the largest plugin this program takes */

int main(int argc, char *argv[])
{
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: count_vowels PLUGIN.wasm TEXT\n");
        return EXIT_FAILURE;
    }
    size_t size = fread(wasm, 1, sizeof wasm, file);
    fclose(file);

    char *error = NULL;
    ExtismPlugin *plugin = extism_plugin_new(wasm, size, NULL, 0, true, &error);
    if (!plugin) {
        fprintf(stderr, "%s\n", error);
        extism_plugin_new_error_free(error);
        return EXIT_FAILURE;
    }
    int32_t rc = extism_plugin_call(plugin, "count_vowels", (const uint8_t *)argv[2], strlen(argv[2]));
    if (rc == EXTISM_SUCCESS)
        fwrite(extism_plugin_output_data(plugin), 1, extism_plugin_output_length(plugin), stdout);
    else
        fprintf(stderr, "%d: %s\n", (int)rc, extism_plugin_error(plugin));
    extism_plugin_free(plugin);
    return rc;
}
