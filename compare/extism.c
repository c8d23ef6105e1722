/*
 * Libraries with the C interface of Extism 0.1.0 or 1.x, recognised by their functions.
 */
#include "driver.h"

#include <stdio.h>
#include <string.h>

static char manifest[4096];
static bool with_wasi;
static enum way way;

/* The interface of 0.1.0: plugins are numbers in a context. */

static struct {
    void *context;
    void *(*context_new)(void);
    int32_t (*plugin_new)(void *, const uint8_t *, uint64_t, bool);
    int32_t (*plugin_call)(void *, int32_t, const char *, const uint8_t *, uint64_t);
    const char *(*error)(void *, int32_t);
    uint64_t (*output_length)(void *, int32_t);
    const uint8_t *(*output_data)(void *, int32_t);
    void (*plugin_free)(void *, int32_t);
} v0;

static union plugin new_v0(void)
{
    union plugin plugin = {.id = v0.plugin_new(v0.context, (const uint8_t *)manifest, strlen(manifest), with_wasi)};
    if (plugin.id < 0)
        fail(1, "plugin", v0.error(v0.context, -1));
    return plugin;
}

static void call_v0(union plugin plugin, const char *function, const uint8_t *input, uint64_t length)
{
    if (v0.plugin_call(v0.context, plugin.id, function, input, length) != 0)
        fail(1, function, v0.error(v0.context, plugin.id));
}

static struct output output_v0(union plugin plugin)
{
    uint64_t length = v0.output_length(v0.context, plugin.id);
    return (struct output){v0.output_data(v0.context, plugin.id), length};
}

static void free_v0(union plugin plugin)
{
    v0.plugin_free(v0.context, plugin.id);
}

static const struct library library_v0 = {new_v0, call_v0, output_v0, free_v0};

static bool find_v0(void *handle)
{
    return find(handle, "extism_context_new", &v0.context_new) && find(handle, "extism_plugin_new", &v0.plugin_new) &&
           find(handle, "extism_plugin_call", &v0.plugin_call) && find(handle, "extism_error", &v0.error) &&
           find(handle, "extism_plugin_output_length", &v0.output_length) &&
           find(handle, "extism_plugin_output_data", &v0.output_data) &&
           find(handle, "extism_plugin_free", &v0.plugin_free);
}

/* The interface of 1.x: plugins are addresses. */

/* From its header; in all versions the same. */
struct value {
    uint32_t type;
    union {
        int64_t i64;
        double f64;
    } of;
};

enum { TYPE_I64 = 1 };

typedef void host_function(void *current, const struct value *inputs, uint64_t n_inputs, struct value *outputs,
                           uint64_t n_outputs, void *data);

static struct {
    void *(*plugin_new)(const uint8_t *, uint64_t, const void **, uint64_t, bool, char **);
    int32_t (*plugin_call)(void *, const char *, const uint8_t *, uint64_t);
    const char *(*error)(void *);
    uint64_t (*output_length)(void *);
    const uint8_t *(*output_data)(void *);
    void (*plugin_free)(void *);
    /* Only found for the way that needs them. */
    int32_t (*call_with_context)(void *, const char *, const uint8_t *, uint64_t, void *);
    void *(*compiled_new)(const uint8_t *, uint64_t, const void **, uint64_t, bool, char **);
    void *(*new_from_compiled)(const void *, char **);
    void *(*function_new)(const char *, const uint32_t *, uint64_t, const uint32_t *, uint64_t, host_function *, void *,
                          void (*)(void *));
    void (*function_free)(void *);
    uint64_t (*memory_alloc)(void *, uint64_t);
    uint64_t (*memory_length)(void *, uint64_t);
    void (*memory_free)(void *, uint64_t);
} v1;

/* Of which plugins are made, for that way. */
static void *compiled;

static void increment(void *current, const struct value *inputs, uint64_t n_inputs, struct value *outputs, uint64_t n_outputs,
                      void *data)
{
    (void)current, (void)n_inputs, (void)n_outputs, (void)data;
    outputs[0].of.i64 = inputs[0].of.i64 + 1;
}

/* Adds 1 if the block is as long as was asked for: the plugin fails otherwise. */
static void increment_with_block(void *current, const struct value *inputs, uint64_t n_inputs, struct value *outputs,
                                 uint64_t n_outputs, void *data)
{
    (void)n_inputs, (void)n_outputs, (void)data;
    enum { LENGTH = 64 };
    uint64_t block = v1.memory_alloc(current, LENGTH);
    outputs[0].of.i64 = inputs[0].of.i64 + (v1.memory_length(current, block) == LENGTH);
    v1.memory_free(current, block);
}

static void *new_function(void)
{
    static const uint32_t types[] = {TYPE_I64};
    host_function *body = way == WITH_BLOCK ? increment_with_block : increment;
    void *function = v1.function_new("work", types, 1, types, 1, body, NULL, NULL);
    if (!function)
        fail(1, "host function", NULL);
    return function;
}

/* The plugin holds its function: the program's own handle is not needed any more. */
static union plugin new_v1(void)
{
    char *error = NULL;
    void *function = way == WITH_INCREMENT || way == WITH_BLOCK ? new_function() : NULL;
    const void *functions[] = {function};
    void *plugin = way == COMPILED
                       ? v1.new_from_compiled(compiled, &error)
                       : v1.plugin_new((const uint8_t *)manifest, strlen(manifest), functions, function ? 1 : 0, with_wasi, &error);
    if (!plugin)
        fail(1, "plugin", error);
    if (function)
        v1.function_free(function);
    return (union plugin){.address = plugin};
}

static void call_v1(union plugin plugin, const char *function, const uint8_t *input, uint64_t length)
{
    if (v1.plugin_call(plugin.address, function, input, length) != 0)
        fail(1, function, v1.error(plugin.address));
}

static void call_v1_with_context(union plugin plugin, const char *function, const uint8_t *input, uint64_t length)
{
    if (v1.call_with_context(plugin.address, function, input, length, &v1) != 0)
        fail(1, function, v1.error(plugin.address));
}

static struct output output_v1(union plugin plugin)
{
    uint64_t length = v1.output_length(plugin.address);
    return (struct output){v1.output_data(plugin.address), length};
}

static void free_v1(union plugin plugin)
{
    v1.plugin_free(plugin.address);
}

static const struct library library_v1 = {new_v1, call_v1, output_v1, free_v1};
static const struct library library_v1_with_context = {new_v1, call_v1_with_context, output_v1, free_v1};

static bool find_v1(void *handle)
{
    return find(handle, "extism_plugin_new", &v1.plugin_new) && find(handle, "extism_plugin_call", &v1.plugin_call) &&
           find(handle, "extism_plugin_error", &v1.error) &&
           find(handle, "extism_plugin_output_length", &v1.output_length) &&
           find(handle, "extism_plugin_output_data", &v1.output_data) &&
           find(handle, "extism_plugin_free", &v1.plugin_free);
}

static bool find_functions(void *handle)
{
    return find(handle, "extism_function_new", &v1.function_new) && find(handle, "extism_function_free", &v1.function_free) &&
           find(handle, "extism_current_plugin_memory_alloc", &v1.memory_alloc) &&
           find(handle, "extism_current_plugin_memory_length", &v1.memory_length) &&
           find(handle, "extism_current_plugin_memory_free", &v1.memory_free);
}

static bool find_compiled(void *handle)
{
    char *error = NULL;
    if (!find(handle, "extism_compiled_plugin_new", &v1.compiled_new) ||
        !find(handle, "extism_plugin_new_from_compiled", &v1.new_from_compiled))
        return false;
    compiled = v1.compiled_new((const uint8_t *)manifest, strlen(manifest), NULL, 0, with_wasi, &error);
    if (!compiled)
        fail(1, "compiled plugin", error);
    return true;
}

/* What the way needs; not all versions have it. */
static bool find_way(void *handle)
{
    switch (way) {
    case WITH_CONTEXT:
        return find(handle, "extism_plugin_call_with_host_context", &v1.call_with_context);
    case COMPILED:
        return find_compiled(handle);
    case WITH_INCREMENT:
    case WITH_BLOCK:
        return find_functions(handle);
    case PLAINLY:
    case WITH_TIMEOUT:
        break;
    }
    return true;
}

const struct library *extism_open(void *handle, const struct source *source)
{
    /* The official plugin requires this key in its configuration. */
    static const char format[] = "{\"wasm\": [{\"path\": \"%s\"}], \"config\": {\"thing\": \"this\"}%s}";
    const char *timeout = source->way == WITH_TIMEOUT ? ", \"timeout_ms\": 60000" : "";
    int length = snprintf(manifest, sizeof manifest, format, source->path, timeout);
    if (length < 0 || (size_t)length >= sizeof manifest)
        fail(2, source->path, "the path is too long");
    with_wasi = source->wasi;
    way = source->way;
    if (find_v0(handle)) {
        if (way != PLAINLY && way != WITH_TIMEOUT)
            fail(2, source->path, "needs the interface of Extism 1.x");
        v0.context = v0.context_new();
        return &library_v0;
    }
    if (!find_v1(handle))
        return NULL;
    if (!find_way(handle))
        fail(2, source->path, "needs functions that this version of Extism 1.x lacks");
    return way == WITH_CONTEXT ? &library_v1_with_context : &library_v1;
}
