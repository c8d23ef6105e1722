/*
 * The same as steps.c for the C interface of Extism 1.x.
 *
 *   steps_v1 TIMES call PLUGIN FUNCTION       calls a function without input
 *   steps_v1 TIMES context PLUGIN FUNCTION    the same with a host context
 *   steps_v1 TIMES host PLUGIN FUNCTION       calls a function once, which calls a host function, `work`, TIMES times:
 *                                             once for each byte of its input
 *
 * PLUGIN is a module's path. The plugin is made, and called once, first. Exits with 1 if something fails, 2 on wrong
 * usage.
 */
#include <extism.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_one(ExtismCurrentPlugin *current, const ExtismVal *inputs, ExtismSize n_inputs, ExtismVal *outputs,
                    ExtismSize n_outputs, void *data)
{
    (void)current, (void)n_inputs, (void)n_outputs, (void)data;
    outputs[0].v.i64 = inputs[0].v.i64 + 1;
}

/* Ends the process. */
static void fail(const char *what, const char *why)
{
    fprintf(stderr, "steps_v1: %s: %s\n", what, why ? why : "no error");
    exit(1);
}

static ExtismPlugin *plugin_of(const char *path)
{
    char manifest[4096];
    int length = snprintf(manifest, sizeof manifest, "{\"wasm\": [{\"path\": \"%s\"}]}", path);
    if (length < 0 || (size_t)length >= sizeof manifest)
        fail(path, "the path is too long");
    ExtismValType types[] = {ExtismValType_I64};
    ExtismFunction *function = extism_function_new("work", types, 1, types, 1, add_one, NULL, NULL);
    if (!function)
        fail("work", NULL);
    const ExtismFunction *functions[] = {function};
    char *error = NULL;
    ExtismPlugin *plugin = extism_plugin_new((const uint8_t *)manifest, (ExtismSize)length, functions, 1, false, &error);
    if (!plugin)
        fail(path, error);
    extism_function_free(function);
    return plugin;
}

int main(int argc, char **argv)
{
    enum { CALL, CONTEXT, HOST, STEPS };
    static const char *const steps[] = {"call", "context", "host"};
    int step = 0;
    while (argc == 5 && step < STEPS && strcmp(argv[2], steps[step]) != 0)
        step++;
    if (argc != 5 || step == STEPS) {
        fprintf(stderr, "usage: steps_v1 TIMES (call | context | host) PLUGIN FUNCTION\n");
        return 2;
    }
    size_t times = strtoul(argv[1], NULL, 10);
    const char *function = argv[4];
    uint8_t *input = calloc(times + 1, 1);
    if (!input)
        return 2;
    ExtismPlugin *plugin = plugin_of(argv[3]);
    int32_t code = extism_plugin_call(plugin, function, input, 1);
    if (step == HOST)
        code |= extism_plugin_call(plugin, function, input, times);
    for (size_t i = 0; i < times && step != HOST && code == 0; i++)
        code = step == CALL ? extism_plugin_call(plugin, function, NULL, 0)
                            : extism_plugin_call_with_host_context(plugin, function, NULL, 0, input);
    if (code != 0)
        fail(function, extism_plugin_error(plugin));
    extism_plugin_free(plugin);
    free(input);
    return 0;
}
