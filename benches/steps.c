/*
 * Does one operation TIMES times. The difference in instructions between two runs with different TIMES is that of the
 * operation alone: `make bench-gate` counts it with callgrind.
 *
 *   steps TIMES new PLUGIN                       makes and frees a plugin
 *   steps TIMES call PLUGIN FUNCTION LENGTH      calls a function with LENGTH bytes
 *
 * PLUGIN is a module's path. One plugin is made and called first, to warm up. Exits with 1 if something fails, 2 on
 * wrong usage.
 */
#include <extism.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ExtismContext *context;

static int fail(const char *what, ExtismPlugin plugin)
{
    const char *why = extism_error(context, plugin);
    fprintf(stderr, "steps: %s: %s\n", what, why ? why : "no error");
    return 1;
}

int main(int argc, char **argv)
{
    int is_call = argc == 6 && strcmp(argv[2], "call") == 0;
    if (!is_call && !(argc == 4 && strcmp(argv[2], "new") == 0)) {
        fprintf(stderr, "usage: steps TIMES new PLUGIN | steps TIMES call PLUGIN FUNCTION LENGTH\n");
        return 2;
    }
    long times = atol(argv[1]);
    char manifest[4096];
    int length = snprintf(manifest, sizeof manifest, "{\"wasm\": [{\"path\": \"%s\"}]}", argv[3]);
    if (length < 0 || (size_t)length >= sizeof manifest)
        return 2;
    context = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new(context, (const uint8_t *)manifest, (ExtismSize)length, true);
    if (plugin < 0)
        return fail(argv[3], plugin);
    if (is_call) {
        size_t size = strtoul(argv[5], NULL, 10);
        uint8_t *input = calloc(size + 1, 1);
        if (!input)
            return 2;
        for (long i = 0; i < times + 10; i++)
            if (extism_plugin_call(context, plugin, argv[4], input, size) != 0)
                return fail(argv[4], plugin);
        free(input);
    } else {
        for (long i = 0; i < times + 10; i++) {
            ExtismPlugin other = extism_plugin_new(context, (const uint8_t *)manifest, (ExtismSize)length, true);
            if (other < 0)
                return fail(argv[3], other);
            extism_plugin_free(context, other);
        }
    }
    extism_context_free(context);
    return 0;
}
