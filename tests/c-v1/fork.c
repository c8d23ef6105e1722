/* fork: a child of a process that has used the library, and of one that has not. */
#include "acts.h"

#define LOOP                                                                                                           \
    "(module (func (export \"loop\") (loop (br 0))) (func (export \"six\") (result i32) (i32.const 6)))"

/* Runs a test's second half in a child, and checks that it said true in time. */
static void check_in_child(bool (*run)(ExtismPlugin *), ExtismPlugin *plugin)
{
    int status = -1;

    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(TEST_SECONDS / 2);
        _exit(run(plugin) ? 0 : 3);
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static ExtismPlugin *timed(void)
{
    ExtismPlugin *plugin = guest_new(manifest_of(LOOP, ", \"timeout_ms\": 300"));

    CHECK(guest_call(plugin, "six", "") == 6);
    CHECK(guest_call(plugin, "loop", "") == 134);
    return plugin;
}

static bool calls(ExtismPlugin *plugin) { return guest_call(plugin, "six", "") == 6; }

static bool times_out(ExtismPlugin *plugin)
{
    return guest_call(plugin, "loop", "") == 134 && text_has(extism_plugin_error(plugin), "timeout") && calls(plugin);
}

static bool creates(ExtismPlugin *plugin)
{
    ExtismPlugin *other = guest_new(LOOP);
    bool ok = calls(other) && calls(plugin);

    extism_plugin_free(other);
    return ok;
}

static bool creates_timed(ExtismPlugin *plugin)
{
    ExtismPlugin *other = guest_new(manifest_of(LOOP, ", \"timeout_ms\": 300"));
    bool ok = times_out(other) && calls(plugin);

    extism_plugin_free(other);
    return ok;
}

static void *cancels(void *plugin)
{
    sleep_ms(300);
    extism_plugin_cancel(extism_plugin_cancel_handle((ExtismPlugin *)plugin));
    return NULL;
}

static bool is_cancelled(ExtismPlugin *plugin)
{
    pthread_t thread = start(cancels, plugin);
    bool ok = guest_call(plugin, "loop", "") == 134;

    pthread_join(thread, NULL);
    return ok && calls(plugin);
}

static bool frees(ExtismPlugin *plugin)
{
    extism_plugin_free(plugin);
    return true;
}

static void check_used(bool (*run)(ExtismPlugin *))
{
    ExtismPlugin *plugin = timed();

    check_in_child(run, plugin);
    /* The parent goes on. */
    CHECK(guest_call(plugin, "loop", "") == 134);
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

static void call(void) { check_used(calls); }
static void timeout(void) { check_used(times_out); }
static void cancel(void) { check_used(is_cancelled); }
static void creation(void) { check_used(creates); }
static void creation_with_timeout(void) { check_used(creates_timed); }
static void free_in_child(void) { check_used(frees); }

static bool uses_first(ExtismPlugin *plugin)
{
    (void)plugin;
    ExtismPlugin *own = guest_new(manifest_of(LOOP, ", \"timeout_ms\": 300"));
    bool ok = times_out(own);

    extism_plugin_free(own);
    return ok;
}

/* As perl-sdk's suite does: nobody used the library before. */
static void before_use(void)
{
    check_in_child(uses_first, NULL);
    check_in_child(uses_first, NULL);
}

static const struct test tests[] = {
    {NULL, "call", call},
    {"W15", "timeout", timeout},
    {"W15", "cancel", cancel},
    {"W15", "creation", creation},
    {"W15", "creation with a timeout", creation_with_timeout},
    {NULL, "free", free_in_child},
    {NULL, "before use", before_use},
};

RUN_TESTS(tests)
