/*
 * Host functions: functions of this program that plugins call. Here `upper` makes a text upper case.
 *
 * Extism 0.1.0 has no such functions. Their rules are in docs/host-functions.md. The examples for Extism 1.x, in
 * examples/v1, show errors, C++ and Python.
 */
#include <ctype.h>
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

/* Calls upper with its input, and makes the answer its output. Plugins of 0.x import from `env`, those of 1.x from
 * `extism:host/env`, and host functions from any namespace that the program chooses. */
static const char plugin_wat[] =
    "(module"
    "  (import \"env\" \"extism_input_offset\" (func $input (result i64)))"
    "  (import \"env\" \"extism_length\" (func $length (param i64) (result i64)))"
    "  (import \"env\" \"extism_output_set\" (func $output (param i64 i64)))"
    "  (import \"text\" \"upper\" (func $upper (param i64) (result i64)))"
    "  (func (export \"run\") (local $text i64)"
    "    (local.set $text (call $upper (call $input)))"
    "    (call $output (local.get $text) (call $length (local.get $text)))))";

/* A block in the plugin's memory is named by its handle: its place, counted from extism_current_plugin_memory. */
static void upper(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize n_inputs, ExtismVal *outputs,
                  ExtismSize n_outputs, void *calls)
{
    ExtismMemoryHandle text = (ExtismMemoryHandle)inputs[0].v.i64;
    /* 0 if the plugin has passed a number that is no handle. */
    ExtismSize length = extism_current_plugin_memory_length(plugin, text);
    ExtismMemoryHandle answer = extism_current_plugin_memory_alloc(plugin, length);
    uint8_t *memory = extism_current_plugin_memory(plugin);

    (void)n_inputs, (void)n_outputs;
    ++*(int *)calls;
    if (length == 0 || answer == 0) {
        extism_current_plugin_error_set(plugin, length == 0 ? "upper: no text" : "upper: no room");
        return;
    }
    for (ExtismSize i = 0; i < length; i++)
        memory[answer + i] = (uint8_t)toupper(memory[text + i]);
    outputs[0].v.i64 = (int64_t)answer;
}

static void free_calls(void *calls)
{
    printf("upper was called %d times\n", *(int *)calls);
    free(calls);
}

static int32_t run(ExtismContext *ctx, ExtismPlugin plugin, const char *text)
{
    int32_t rc = extism_plugin_call(ctx, plugin, "run", (const uint8_t *)text, strlen(text));
    const char *error = extism_error(ctx, plugin); /* before the output, which clears it */

    if (error)
        printf("returned %d: %s\n", (int)rc, error);
    else
        printf("%.*s\n", (int)extism_plugin_output_length(ctx, plugin),
               (const char *)extism_plugin_output_data(ctx, plugin));
    return rc;
}

int main(void)
{
    const ExtismValType handle[] = {ExtismValType_I64};
    int *calls = (int *)calloc(1, sizeof *calls);
    ExtismFunction *function =
        calls ? extism_function_new("upper", handle, 1, handle, 1, upper, calls, free_calls) : NULL;

    if (!function) {
        free(calls);
        return EXIT_FAILURE;
    }
    extism_function_set_namespace(function, "text");
    const ExtismFunction *functions[] = {function};
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new_with_functions(ctx, (const uint8_t *)plugin_wat, strlen(plugin_wat),
                                                           functions, 1, false);
    /* The plugin keeps what it needs of the function, also after extism_plugin_update. */
    extism_function_free(function);
    if (plugin < 0) {
        const char *error = extism_error(ctx, -1);
        fprintf(stderr, "host_function: %s\n", error ? error : "no reason given");
        extism_context_free(ctx);
        return EXIT_FAILURE;
    }
    int32_t good = run(ctx, plugin, "hello");
    int32_t bad = run(ctx, plugin, "");
    extism_context_free(ctx); /* frees the plugin, and calls free_calls before it returns */
    return good == 0 && bad == -1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
