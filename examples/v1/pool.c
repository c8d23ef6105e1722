/*
 * One plugin on many threads: compiled once, then an instance for each thread.
 *
 * Instances share the code. Each has its own memory, variables and configuration, so their calls run in parallel.
 * While eight threads work, the main thread ends the call of a ninth one that would run for ever.
 */
#define _POSIX_C_SOURCE 200809L
#include <extism.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS 8
#define CALLS 1000

/* `count` tells how often it was called in this instance. */
static const char plugin_wat[] =
    "(module"
    "  (global $calls (mut i32) (i32.const 0))"
    "  (func (export \"count\") (result i32)"
    "    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))"
    "    (global.get $calls))"
    "  (func (export \"forever\") (loop (br 0))))";

static ExtismCompiledPlugin *compiled;

/* An instance of `compiled`. NULL after a message. Any thread may make one at any time. */
static ExtismPlugin *new_instance(void)
{
    char *error = NULL;
    ExtismPlugin *plugin = extism_plugin_new_from_compiled(compiled, &error);

    if (!plugin) {
        fprintf(stderr, "pool: %s\n", error ? error : "no reason given");
        extism_plugin_new_error_free(error);
    }
    return plugin;
}

/* Leaves in `counted` what the last call has returned: the number of calls of this thread's own instance. */
static void *work(void *counted)
{
    ExtismPlugin *plugin = new_instance();

    for (int i = 0; plugin && i < CALLS; i++)
        *(int32_t *)counted = extism_plugin_call(plugin, "count", NULL, 0);
    extism_plugin_free(plugin);
    return NULL;
}

struct endless {
    ExtismPlugin *plugin;
    int32_t rc;
    atomic_bool ended;
};

static void *run_forever(void *data)
{
    struct endless *endless = data;

    endless->rc = extism_plugin_call(endless->plugin, "forever", NULL, 0);
    atomic_store(&endless->ended, true);
    return NULL;
}

/* Returns whether the call on the other thread was ended. */
static bool cancel_endless_call(void)
{
    const struct timespec millisecond = {0, 1000000};
    struct endless endless = {.plugin = new_instance()};
    /* Belongs to the plugin, and is good until that is freed: there is nothing to free. */
    const ExtismCancelHandle *handle = extism_plugin_cancel_handle(endless.plugin);
    pthread_t thread;

    if (!endless.plugin || pthread_create(&thread, NULL, run_forever, &endless) != 0) {
        extism_plugin_free(endless.plugin);
        return false;
    }
    /* Cancelling does nothing before the call has begun, so it is repeated. */
    while (!atomic_load(&endless.ended)) {
        extism_plugin_cancel(handle);
        nanosleep(&millisecond, NULL);
    }
    pthread_join(thread, NULL);
    const char *error = extism_plugin_error(endless.plugin);
    printf("the endless call returned %d: %s\n", (int)endless.rc, error ? error : "no reason given");
    /* The plugin can be called again. */
    bool good = endless.rc != EXTISM_SUCCESS && extism_plugin_call(endless.plugin, "count", NULL, 0) == 1;
    extism_plugin_free(endless.plugin);
    return good;
}

int main(void)
{
    pthread_t threads[WORKERS];
    int32_t counted[WORKERS] = {0};
    char *error = NULL;
    int started = 0;

    compiled = extism_compiled_plugin_new((const uint8_t *)plugin_wat, strlen(plugin_wat), NULL, 0, false, &error);
    if (!compiled) {
        fprintf(stderr, "pool: %s\n", error ? error : "no reason given");
        extism_plugin_new_error_free(error);
        return EXIT_FAILURE;
    }
    while (started < WORKERS && pthread_create(&threads[started], NULL, work, &counted[started]) == 0)
        started++;
    bool good = cancel_endless_call() && started == WORKERS;
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        good = good && counted[i] == CALLS;
    }
    extism_compiled_plugin_free(compiled); /* instances might live on */
    printf("%d threads made %d calls each%s\n", started, CALLS, good ? "" : ", and something went wrong");
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
