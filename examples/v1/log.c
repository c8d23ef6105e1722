/*
 * The log of the process: lines of plugins, and of the library about plugins.
 *
 *   log         keeps the lines in a buffer, from which this program takes them
 *   log FILE    appends the lines to a file
 */
#include <extism.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Logs its input at level info, and fails. */
static const char plugin_wat[] =
    "(module"
    "  (import \"extism:host/env\" \"input_offset\" (func $input (result i64)))"
    "  (import \"extism:host/env\" \"log_info\" (func $log_info (param i64)))"
    "  (func (export \"run\") (call $log_info (call $input)) (unreachable)))";

static int lines;

/* Gets one line: time, level, text, the plugin's id, and a newline, which `size` counts. Valid until the return. */
static void print_line(const char *line, ExtismSize size)
{
    lines++;
    printf("line %d: %.*s", lines, (int)size, line);
}

static int32_t run_plugin(const char *input)
{
    char *error = NULL;
    ExtismPlugin *plugin =
        extism_plugin_new((const uint8_t *)plugin_wat, strlen(plugin_wat), NULL, 0, false, &error);

    if (!plugin) {
        fprintf(stderr, "log: %s\n", error ? error : "no reason given");
        extism_plugin_new_error_free(error);
        return -1;
    }
    int32_t rc = extism_plugin_call(plugin, "run", (const uint8_t *)input, strlen(input));
    extism_plugin_free(plugin);
    return rc;
}

int main(int argc, char *argv[])
{
    /* Set before the first plugin is made. The level is the least that is logged: error, warn, info, debug or trace. */
    bool logs = argc > 1 ? extism_log_file(argv[1], "info") : extism_log_custom("info");

    if (!logs) {
        fprintf(stderr, "log: the log cannot be set\n");
        return EXIT_FAILURE;
    }
    if (run_plugin("hello from the plugin") == EXTISM_SUCCESS)
        return EXIT_FAILURE; /* it ends with a trap */
    if (argc > 1)
        return EXIT_SUCCESS;
    /* The buffer is bounded: take the lines out now and then. The second time, there is nothing. */
    extism_log_drain(print_line);
    extism_log_drain(print_line);
    return lines >= 2 ? EXIT_SUCCESS : EXIT_FAILURE; /* the plugin's line, and one about the failing call */
}
