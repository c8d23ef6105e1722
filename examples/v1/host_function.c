/* Gives a plugin a function to call, one that may refuse: host_function [TEXT] */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <extism.h>

/* A plugin whose function `call` gives its input to the host's `shout`, and outputs what that returns. */
static const char guest[] =
    "(module"
    "  (import \"extism:host/user\" \"shout\" (func $shout (param i64) (result i64)))"
    "  (import \"extism:host/env\" \"input_offset\" (func $input (result i64)))"
    "  (import \"extism:host/env\" \"length\" (func $length (param i64) (result i64)))"
    "  (import \"extism:host/env\" \"output_set\" (func $output (param i64 i64)))"
    "  (func (export \"call\") (local $text i64)"
    "    (local.set $text (call $shout (call $input)))"
    "    (call $output (local.get $text) (call $length (local.get $text)))))";

/* Texts are blocks in the plugin's memory: the function gets the handle of one, and returns that of another. */
static void shout(ExtismCurrentPlugin *plugin, const ExtismVal *inputs, ExtismSize n_inputs, ExtismVal *outputs,
                  ExtismSize n_outputs, void *data)
{
    ExtismMemoryHandle from = (ExtismMemoryHandle)inputs[0].v.i64;
    ExtismSize length = extism_current_plugin_memory_length(plugin, from);

    (void)n_inputs, (void)n_outputs; /* the library has compared them with the plugin's import */
    if (length == 0) {
        /* The plugin's call then fails with this text. */
        extism_current_plugin_error_set(plugin, "there is nothing to shout");
        return;
    }
    ExtismMemoryHandle to = extism_current_plugin_memory_alloc(plugin, length);
    if (to == 0) {
        extism_current_plugin_error_set(plugin, "the plugin has no room for the answer");
        return;
    }
    uint8_t *memory = extism_current_plugin_memory(plugin);
    for (ExtismSize i = 0; i < length; i++)
        memory[to + i] = (uint8_t)toupper(memory[from + i]);
    outputs[0].v.i64 = (int64_t)to;
    ++*(unsigned *)data;
}

static void say_calls(void *data)
{
    printf("shout was called %u times\n", *(unsigned *)data);
}

int main(int argc, char *argv[])
{
    const char *texts[] = {argc > 1 ? argv[1] : "this is a test", ""};
    const ExtismValType handle[] = {EXTISM_PTR};
    unsigned calls = 0;
    char *why = NULL;
    int failures = 0;

    ExtismFunction *function = extism_function_new("shout", handle, 1, handle, 1, shout, &calls, say_calls);
    const ExtismFunction *functions[] = {function};
    ExtismPlugin *plugin = extism_plugin_new((const uint8_t *)guest, strlen(guest), functions, 1, false, &why);
    /* The plugin keeps what it needs. `say_calls` is called when the last of the two is freed. */
    extism_function_free(function);
    if (!plugin) {
        fprintf(stderr, "%s\n", why);
        extism_plugin_new_error_free(why);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (extism_plugin_call(plugin, "call", (const uint8_t *)texts[i], strlen(texts[i])) == EXTISM_SUCCESS) {
            size_t length = extism_plugin_output_length(plugin);
            printf("%.*s\n", (int)length, (const char *)extism_plugin_output_data(plugin));
        } else {
            const char *error = extism_plugin_error(plugin);
            printf("the call failed: %s\n", error ? error : "the plugin did not say why");
            failures++;
        }
    }
    extism_plugin_free(plugin);
    return failures == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
