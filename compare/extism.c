/*
 * Libraries with the C interface of Extism 0.1.0 or 1.x, recognised by their functions.
 */
#include "driver.h"

#include <stdio.h>
#include <string.h>

static char manifest[4096];
static bool with_wasi;

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

static struct {
    void *(*plugin_new)(const uint8_t *, uint64_t, const void **, uint64_t, bool, char **);
    int32_t (*plugin_call)(void *, const char *, const uint8_t *, uint64_t);
    const char *(*error)(void *);
    uint64_t (*output_length)(void *);
    const uint8_t *(*output_data)(void *);
    void (*plugin_free)(void *);
} v1;

static union plugin new_v1(void)
{
    char *error = NULL;
    union plugin plugin = {.address = v1.plugin_new((const uint8_t *)manifest, strlen(manifest), NULL, 0, with_wasi, &error)};
    if (!plugin.address)
        fail(1, "plugin", error);
    return plugin;
}

static void call_v1(union plugin plugin, const char *function, const uint8_t *input, uint64_t length)
{
    if (v1.plugin_call(plugin.address, function, input, length) != 0)
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

static bool find_v1(void *handle)
{
    return find(handle, "extism_plugin_new", &v1.plugin_new) && find(handle, "extism_plugin_call", &v1.plugin_call) &&
           find(handle, "extism_plugin_error", &v1.error) &&
           find(handle, "extism_plugin_output_length", &v1.output_length) &&
           find(handle, "extism_plugin_output_data", &v1.output_data) &&
           find(handle, "extism_plugin_free", &v1.plugin_free);
}

const struct library *extism_open(void *handle, const struct source *source)
{
    /* The official plugin requires this key in its configuration. */
    static const char format[] = "{\"wasm\": [{\"path\": \"%s\"}], \"config\": {\"thing\": \"this\"}%s}";
    const char *timeout = source->timeout ? ", \"timeout_ms\": 60000" : "";
    int length = snprintf(manifest, sizeof manifest, format, source->path, timeout);
    if (length < 0 || (size_t)length >= sizeof manifest)
        fail(2, source->path, "the path is too long");
    with_wasi = source->wasi;
    if (find_v0(handle)) {
        v0.context = v0.context_new();
        return &library_v0;
    }
    return find_v1(handle) ? &library_v1 : NULL;
}
