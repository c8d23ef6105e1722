/* Cancelling: handles, the calls that they stop, and how long handles may be used. */
#include "guest.h"

#include <pthread.h>

#define LOOP "(module (func (export \"forever\") (loop (br 0))) (func (export \"seven\") (result i32) (i32.const 7)))"

struct call {
    ExtismContext *ctx;
    ExtismPlugin plugin;
    int32_t rc;
};

static void *call_forever(void *arg)
{
    struct call *call = (struct call *)arg;

    call->rc = guest_call(call->ctx, call->plugin, "forever", "");
    return NULL;
}

static void a_running_call_ends(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, LOOP);
    const ExtismCancelHandle *handle = extism_plugin_cancel_handle(ctx, plugin);
    struct call call = {ctx, plugin, 0};
    pthread_t thread;

    CHECK(handle != NULL);
    CHECK(!extism_plugin_cancel(handle)); /* nothing runs */
    if (pthread_create(&thread, NULL, call_forever, &call) != 0) {
        perror("pthread_create");
        exit(1);
    }
    while (!extism_plugin_cancel(handle))
        ;
    pthread_join(thread, NULL);
    CHECK(call.rc == -1);
    CHECK_HAS(extism_error(ctx, plugin), "cancelled");

    /* The plugin can be called again, and a call that is over cannot be cancelled. */
    int32_t rc = guest_call(ctx, plugin, "seven", "");
    CHECK(rc == 7);
    CHECK(!extism_plugin_cancel(handle));
    extism_cancel_handle_free(handle);
    extism_context_free(ctx);
}

static void handles_outlive_their_plugins(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, LOOP);
    const ExtismCancelHandle *handle = extism_plugin_cancel_handle(ctx, plugin);

    extism_plugin_free(ctx, plugin);
    CHECK(!extism_plugin_cancel(handle));
    extism_context_free(ctx);
    CHECK(!extism_plugin_cancel(handle));
    extism_cancel_handle_free(handle);
}

static void what_is_no_handle(void)
{
    ExtismContext *ctx = extism_context_new();

    CHECK(extism_plugin_cancel_handle(ctx, 0) == NULL);
    CHECK_STARTS(extism_error(ctx, -1), "Plugin does not exist: 0");
    CHECK(extism_plugin_cancel_handle(NULL, 0) == NULL);
    CHECK(!extism_plugin_cancel(NULL));
    extism_cancel_handle_free(NULL);
    extism_context_free(ctx);
}

int main(void)
{
    a_running_call_ends();
    handles_outlive_their_plugins();
    what_is_no_handle();
    return check_done();
}
