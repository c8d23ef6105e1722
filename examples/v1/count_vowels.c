/* Calls the function count_vowels of a plugin file: count_vowels PLUGIN.wasm [TEXT] */
#include <extism.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t wasm[32 << 20]; /* the largest plugin this program takes */

/* Reads a file into `wasm`. Returns its size in bytes, or 0 after a message. */
static size_t read_plugin(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        return 0;
    }
    size_t size = fread(wasm, 1, sizeof wasm, file);
    bool whole = size > 0 && size < sizeof wasm && !ferror(file);
    fclose(file);
    if (!whole)
        fprintf(stderr, "%s: empty, too large, or cannot be read\n", path);
    return whole ? size : 0;
}

/* Calls the plugin and prints its output. Returns whether it succeeded. */
static bool print_count(ExtismPlugin *plugin, const char *text)
{
    int32_t rc = extism_plugin_call(plugin, "count_vowels", (const uint8_t *)text, strlen(text));

    if (rc != EXTISM_SUCCESS) {
        /* The text is valid until this thread asks for an error again. */
        const char *error = extism_plugin_error(plugin);
        fprintf(stderr, "count_vowels returned %d: %s\n", (int)rc, error ? error : "no reason given");
        return false;
    }
    /* The output lies in the plugin's memory until the plugin's next call. It has no NUL at its end. */
    fwrite(extism_plugin_output_data(plugin), 1, extism_plugin_output_length(plugin), stdout);
    putchar('\n');
    return true;
}

int main(int argc, char *argv[])
{
    const char *text = argc > 2 ? argv[2] : "this is a test";
    char *error = NULL;

    if (argc < 2) {
        fprintf(stderr, "usage: count_vowels PLUGIN.wasm [TEXT]\n");
        return EXIT_FAILURE;
    }
    size_t size = read_plugin(argv[1]);
    if (size == 0)
        return EXIT_FAILURE;

    /* No host functions, no WASI. The bytes of the module are not needed any more when this returns. */
    ExtismPlugin *plugin = extism_plugin_new(wasm, size, NULL, 0, false, &error);
    if (!plugin) {
        fprintf(stderr, "%s: %s\n", argv[1], error ? error : "no reason given");
        extism_plugin_new_error_free(error);
        return EXIT_FAILURE;
    }
    bool good = print_count(plugin, text);
    extism_plugin_free(plugin);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
