/*
 * A plugin over many calls: its id, its functions, its configuration, and giving back the memory of a call.
 */
#include <extism.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Looks the input up in its configuration, and makes the value its output. */
static const char plugin_wat[] =
    "(module"
    "  (import \"extism:host/env\" \"input_offset\" (func $input (result i64)))"
    "  (import \"extism:host/env\" \"length\" (func $length (param i64) (result i64)))"
    "  (import \"extism:host/env\" \"config_get\" (func $config_get (param i64) (result i64)))"
    "  (import \"extism:host/env\" \"output_set\" (func $output (param i64 i64)))"
    "  (func (export \"value_of\") (local $value i64)"
    "    (local.set $value (call $config_get (call $input)))"
    "    (call $output (local.get $value) (call $length (local.get $value)))))";

static bool configure(ExtismPlugin *plugin, const char *json)
{
    return extism_plugin_config(plugin, (const uint8_t *)json, strlen(json));
}

/* Returns the length of the value, or -1. */
static int print_value(ExtismPlugin *plugin, const char *key)
{
    int32_t rc = extism_plugin_call(plugin, "value_of", (const uint8_t *)key, strlen(key));
    const char *error = extism_plugin_error(plugin);

    if (rc != EXTISM_SUCCESS || error) {
        fprintf(stderr, "config: %s\n", error ? error : "no reason given");
        return -1;
    }
    int length = (int)extism_plugin_output_length(plugin);
    printf("%s = '%.*s'\n", key, length, (const char *)extism_plugin_output_data(plugin));
    return length;
}

int main(void)
{
    char *error = NULL;
    ExtismPlugin *plugin =
        extism_plugin_new((const uint8_t *)plugin_wat, strlen(plugin_wat), NULL, 0, false, &error);

    if (!plugin) {
        fprintf(stderr, "config: %s\n", error ? error : "no reason given");
        extism_plugin_new_error_free(error);
        return EXIT_FAILURE;
    }
    /* By this id, lines of the log name the plugin. */
    const uint8_t *id = extism_plugin_id(plugin);
    printf("plugin ");
    for (int i = 0; i < 16; i++)
        printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
    printf("\n");

    /* Only what can be called counts: no parameters, and one i32 or nothing as the result. */
    bool good = extism_plugin_function_exists(plugin, "value_of") && !extism_plugin_function_exists(plugin, "none");

    /* Keys are set one by one: the second call leaves `greeting` as it is, and null removes `name`. */
    good = good && configure(plugin, "{\"greeting\": \"hello\", \"name\": \"Ada\"}") &&
           configure(plugin, "{\"name\": null}");
    good = good && print_value(plugin, "greeting") == 5 && print_value(plugin, "name") == 0;
    /* What is not an object of strings changes nothing. The log says why, at level error. */
    good = good && !configure(plugin, "{\"greeting\": 1}") && print_value(plugin, "greeting") == 5;

    /* An idle plugin needs no input and output: their blocks are freed. Memory, variables and configuration stay. */
    good = good && extism_plugin_reset(plugin);
    extism_plugin_free(plugin);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
