/*
 * Cancelling: one thread calls a plugin that would run for ever, another thread ends the call.
 *
 * A cancel handle belongs to one plugin, and any thread may use it at any time. If no call is running, cancelling does
 * nothing and returns false.
 */
#include <pthread.h>
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

static const char forever[] = "(module (func (export \"forever\") (loop (br 0))))";

static ExtismContext *ctx;
static ExtismPlugin plugin;

static void *call(void *rc)
{
    *(int32_t *)rc = extism_plugin_call(ctx, plugin, "forever", NULL, 0);
    return NULL;
}

int main(void)
{
    pthread_t caller;
    int32_t rc = 0;

    ctx = extism_context_new();
    plugin = extism_plugin_new(ctx, (const uint8_t *)forever, strlen(forever), false);
    const ExtismCancelHandle *handle = extism_plugin_cancel_handle(ctx, plugin);
    if (!handle || pthread_create(&caller, NULL, call, &rc) != 0) {
        const char *error = extism_error(ctx, -1);
        fprintf(stderr, "cancel: %s\n", error ? error : "no thread");
        return EXIT_FAILURE;
    }
    /* Returns false until the other thread has begun its call. */
    while (!extism_plugin_cancel(handle))
        ;
    pthread_join(caller, NULL);
    const char *error = extism_error(ctx, plugin);
    printf("the call returned %d: %s\n", (int)rc, error ? error : "no error");
    extism_cancel_handle_free(handle);
    extism_context_free(ctx);
    return rc == -1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
