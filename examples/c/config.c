/*
 * Calls a function of a manifest's plugin, with the manifest's config, and again after changing the config:
 * config MANIFEST.json FUNCTION INPUT [CONFIG.json]
 *
 * CONFIG.json is an object such as {"greeting": "hello", "name": null}: a string sets a key, null removes it. The
 * plugin's log lines go to stderr.
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

static void print_error(ExtismContext *ctx, ExtismPlugin plugin, const char *doing)
{
    const char *error = extism_error(ctx, plugin);

    fprintf(stderr, "config: %s: %s\n", doing, error ? error : "no reason given");
}

/* Returns the whole file, to be freed by the caller, or NULL after printing why not. */
static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;

    *size = 0;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        rewind(file);
        bytes = end < 0 ? NULL : (uint8_t *)malloc((size_t)end + 1);
        if (bytes)
            *size = fread(bytes, 1, (size_t)end, file);
    }
    if (!bytes)
        perror(path);
    if (file)
        fclose(file);
    return bytes;
}

static ExtismPlugin load(ExtismContext *ctx, const char *path)
{
    size_t size;
    uint8_t *manifest = read_file(path, &size);
    ExtismPlugin plugin = -1;

    if (manifest) {
        plugin = extism_plugin_new(ctx, manifest, size, true);
        if (plugin < 0)
            print_error(ctx, plugin, path);
        free(manifest);
    }
    return plugin;
}

static bool change_config(ExtismContext *ctx, ExtismPlugin plugin, const char *path)
{
    size_t size;
    uint8_t *json = read_file(path, &size);
    bool done = json && extism_plugin_config(ctx, plugin, json, size);

    if (json && !done)
        print_error(ctx, plugin, path);
    free(json);
    return done;
}

/* Asks for the error before the output, because asking for the output clears the error. */
static bool call(ExtismContext *ctx, ExtismPlugin plugin, const char *function, const char *input)
{
    int32_t rc = extism_plugin_call(ctx, plugin, function, (const uint8_t *)input, strlen(input));

    if (rc != 0) {
        fprintf(stderr, "config: %s returned %d\n", function, (int)rc);
        print_error(ctx, plugin, function);
        return false;
    }
    size_t length = extism_plugin_output_length(ctx, plugin);
    fwrite(extism_plugin_output_data(ctx, plugin), 1, length, stdout);
    putchar('\n');
    return true;
}

int main(int argc, char *argv[])
{
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: config MANIFEST.json FUNCTION INPUT [CONFIG.json]\n");
        return EXIT_FAILURE;
    }
    if (!extism_log_file("stderr", "info"))
        fprintf(stderr, "config: cannot log to stderr\n");

    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = load(ctx, argv[1]);
    bool ok = plugin >= 0 && call(ctx, plugin, argv[2], argv[3]);
    if (ok && argc == 5)
        ok = change_config(ctx, plugin, argv[4]) && call(ctx, plugin, argv[2], argv[3]);
    extism_context_free(ctx);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
