/*
 * The life of a plugin: a server replaces its code while it runs, and clears everything at its end: update
 *
 * Prints the versions, and the answers of the old and of the new code. Both are WebAssembly text here; files and
 * manifests work alike.
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

static const char *const first = "(module (func (export \"answer\") (result i32) (i32.const 0)))";
static const char *const second = "(module (func (export \"answer\") (result i32) (i32.const 0)) (func (export \"more\")))";

static const uint8_t *bytes(const char *text)
{
    return (const uint8_t *)text;
}

static void show(ExtismContext *ctx, ExtismPlugin plugin, const char *which)
{
    int32_t rc = extism_plugin_call(ctx, plugin, "answer", NULL, 0);

    printf("%s: answer returns %d, %s\n", which, (int)rc,
           extism_plugin_function_exists(ctx, plugin, "more") ? "and there is more" : "and there is no more");
}

int main(void)
{
    /* The macros are those of the header, the functions those of the library that was loaded. */
    printf("libextism on Wasmer %s, compiled for %d.%d.%d, with the C interface of Extism %s\n", extism_wasmer_version(),
           EXTISM_WASMER_VERSION_MAJOR, EXTISM_WASMER_VERSION_MINOR, EXTISM_WASMER_VERSION_PATCH, extism_version());

    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new(ctx, bytes(first), strlen(first), false);
    int status = EXIT_FAILURE;

    if (plugin >= 0) {
        show(ctx, plugin, "old code");
        /* Code that cannot be loaded changes nothing. The context has the error. */
        if (!extism_plugin_update(ctx, plugin, bytes("(module"), 7, false))
            printf("refused: %.60s...\n", extism_error(ctx, -1));
        show(ctx, plugin, "still");
        if (extism_plugin_update(ctx, plugin, bytes(second), strlen(second), false)) {
            show(ctx, plugin, "new code");
            status = EXIT_SUCCESS;
        }
    }
    if (status != EXIT_SUCCESS)
        fprintf(stderr, "update: %s\n", extism_error(ctx, -1));
    /* Frees all plugins. The context could be used further. */
    extism_context_reset(ctx);
    extism_context_free(ctx);
    return status;
}
