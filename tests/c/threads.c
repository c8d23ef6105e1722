/* Threads: any function from any thread, and no thread waits without need. */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 4, CALLS = 250 };

#define ECHO                                                                                                           \
    "(module " GUEST "(global $n (mut i32) (i32.const 0))"                                                             \
    "(func (export \"echo\") (call $output (call $input)))"                                                            \
    "(func (export \"count\") (result i32)"                                                                            \
    "  (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"                                       \
    "(func (export \"fail\") unreachable))"

/* Arguments and results of a thread. The main thread checks the results. */
struct job {
    pthread_t thread;
    ExtismContext *ctx;
    ExtismPlugin plugin;
    int number;
    int wrong;
    int32_t rc[CALLS];
};

static int stop;

static void start(struct job *job, ExtismContext *ctx, ExtismPlugin plugin, int number, void *(*run)(void *))
{
    job->ctx = ctx;
    job->plugin = plugin;
    job->number = number;
    job->wrong = 0;
    if (pthread_create(&job->thread, NULL, run, job) != 0) {
        perror("pthread_create");
        exit(1);
    }
}

static void finish(struct job *job)
{
    pthread_join(job->thread, NULL);
}

static void *echoes(void *arg)
{
    struct job *job = (struct job *)arg;
    char text[64];

    for (int i = 0; i < CALLS; i++) {
        snprintf(text, sizeof text, "thread %d, call %d", job->number, i);
        job->wrong += !guest_answers(job->ctx, job->plugin, "echo", text, text);
    }
    return NULL;
}

static void a_plugin_each(void)
{
    static struct job jobs[THREADS];
    ExtismContext *ctx = extism_context_new();

    for (int i = 0; i < THREADS; i++)
        start(&jobs[i], ctx, guest_new(ctx, ECHO), i, echoes);
    for (int i = 0; i < THREADS; i++) {
        finish(&jobs[i]);
        CHECK(jobs[i].plugin == i);
        CHECK(jobs[i].wrong == 0);
    }
    extism_context_free(ctx);
}

static void *counts(void *arg)
{
    struct job *job = (struct job *)arg;

    for (int i = 0; i < CALLS; i++)
        job->rc[i] = guest_call(job->ctx, job->plugin, "count", "input");
    return NULL;
}

/* Calls on one plugin queue: each returns a number of its own. */
static void one_plugin_for_all(void)
{
    static struct job jobs[THREADS];
    static int seen[THREADS * CALLS + 1];
    int wrong = 0;
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, ECHO);

    for (int i = 0; i < THREADS; i++)
        start(&jobs[i], ctx, plugin, i, counts);
    for (int i = 0; i < THREADS; i++) {
        finish(&jobs[i]);
        for (int c = 0; c < CALLS; c++) {
            int32_t rc = jobs[i].rc[c];
            if (rc < 1 || rc > THREADS * CALLS || seen[rc]++)
                wrong++;
        }
    }
    CHECK(wrong == 0);
    extism_context_free(ctx);
}

static void *comes_and_goes(void *arg)
{
    struct job *job = (struct job *)arg;

    for (int i = 0; i < CALLS / 10; i++) {
        ExtismPlugin plugin = guest_new(job->ctx, ECHO);
        job->wrong += plugin < 0;
        job->wrong += guest_call(job->ctx, plugin, "count", "") != 1;
        job->wrong += !guest_config(job->ctx, plugin, "{\"a\": \"1\"}");
        job->wrong += !guest_answers(job->ctx, plugin, "echo", "before", "before");
        job->wrong += !guest_update(job->ctx, plugin, ECHO);
        job->wrong += guest_call(job->ctx, plugin, "count", "") != 1;
        job->wrong += guest_call(job->ctx, plugin, "fail", "") != -1;
        job->wrong += !text_starts(extism_error(job->ctx, plugin), "Call failed");
        extism_plugin_free(job->ctx, plugin);
        job->wrong += guest_new(job->ctx, "{}") != -1;
    }
    return NULL;
}

static void plugins_come_and_go(void)
{
    static struct job jobs[THREADS];
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin stays = guest_new(ctx, ECHO);

    for (int i = 0; i < THREADS; i++)
        start(&jobs[i], ctx, stays, i, i == 0 ? echoes : comes_and_goes);
    for (int i = 0; i < THREADS; i++) {
        finish(&jobs[i]);
        CHECK(jobs[i].wrong == 0);
    }
    bool right = guest_answers(ctx, stays, "echo", "here", "here");
    CHECK(right);
    extism_context_free(ctx);
}

static void *fails(void *arg)
{
    struct job *job = (struct job *)arg;

    for (int i = 0; i < CALLS; i++) {
        job->wrong += guest_call(job->ctx, job->plugin, "fail", "") != -1;
        /* After a trap, the plugin has a new instance. */
        job->wrong += guest_call(job->ctx, job->plugin, "count", "") != 1;
    }
    job->wrong += guest_call(job->ctx, job->plugin, "fail", "") != -1;
    return NULL;
}

static void *asks(void *arg)
{
    struct job *job = (struct job *)arg;

    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        const char *error = extism_error(job->ctx, job->plugin);
        job->wrong += error && !text_starts(error, "Call failed");
    }
    return NULL;
}

/* One thread fails while others ask for the error. */
static void errors_across_threads(void)
{
    static struct job failing, asking[THREADS];
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, ECHO);
    int32_t rc = guest_call(ctx, plugin, "fail", "");
    CHECK(rc == -1);
    const char *mine = extism_error(ctx, plugin);
    CHECK_STARTS(mine, "Call failed");

    stop = 0;
    for (int i = 0; i < THREADS; i++)
        start(&asking[i], ctx, plugin, i, asks);
    start(&failing, ctx, plugin, 0, fails);
    finish(&failing);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++) {
        finish(&asking[i]);
        CHECK(asking[i].wrong == 0);
    }
    CHECK(failing.wrong == 0);

    /* The text that this thread got is still valid, and it sees the failure of another thread. */
    CHECK_STARTS(mine, "Call failed");
    CHECK_STARTS(extism_error(ctx, plugin), "Call failed");
    extism_context_free(ctx);
}

static void *calls_until_gone(void *arg)
{
    struct job *job = (struct job *)arg;
    int32_t last = 0;

    for (;;) {
        int32_t rc = guest_call(job->ctx, job->plugin, "count", "");
        if (rc == -1)
            return NULL;
        job->wrong += rc <= last;
        last = rc;
    }
}

static void context_freed_under_calls(void)
{
    static struct job jobs[THREADS];
    ExtismContext *ctx = extism_context_new();

    for (int i = 0; i < THREADS; i++)
        start(&jobs[i], ctx, guest_new(ctx, ECHO), i, calls_until_gone);
    extism_context_free(ctx);
    for (int i = 0; i < THREADS; i++) {
        finish(&jobs[i]);
        CHECK(jobs[i].wrong == 0);
    }
}

/* Logs its input, 1 KiB, 256 times: more than a pipe holds, so the call lasts until someone reads. */
#define FLOOD                                                                                                          \
    "(module (import \"env\" \"extism_log_error\" (func $log (param i64)))" GUEST                                      \
    "(func (export \"flood\") (result i32) (local $i i32) (local $at i64)"                                             \
    "  (local.set $at (call $input))"                                                                                  \
    "  (loop $next (call $log (local.get $at)) (local.set $i (i32.add (local.get $i) (i32.const 1)))"                 \
    "    (br_if $next (i32.lt_u (local.get $i) (i32.const 256)))) (local.get $i)))"

static void *floods(void *arg)
{
    struct job *job = (struct job *)arg;
    char input[1025];

    memset(input, 'x', sizeof input - 1);
    input[sizeof input - 1] = 0;
    job->rc[0] = guest_call(job->ctx, job->plugin, "flood", input);
    return NULL;
}

static void *frees(void *arg)
{
    struct job *job = (struct job *)arg;

    extism_plugin_free(job->ctx, job->plugin);
    return NULL;
}

/* Reads the pipe up to a zero byte, which only this test writes. */
static void *drains(void *arg)
{
    struct job *job = (struct job *)arg;
    char bytes[4096];

    for (;;) {
        ssize_t n = read(job->number, bytes, sizeof bytes);
        if (n <= 0 || memchr(bytes, 0, (size_t)n))
            return NULL;
    }
}

/* While one plugin is in a call for as long as this test wants, everything else works. */
static void a_long_call_holds_up_nobody(void)
{
    static struct job flooding, freeing, draining;
    char folder[] = "/tmp/extism-threads-XXXXXX", path[64], byte = 0;
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin other = guest_new(ctx, ECHO);
    ExtismPlugin busy = guest_new(ctx, FLOOD);

    bool ok = mkdtemp(folder) != NULL;
    CHECK(ok);
    snprintf(path, sizeof path, "%s/pipe", folder);
    ok = mkfifo(path, 0600) == 0;
    CHECK(ok);
    int in = open(path, O_RDONLY | O_NONBLOCK);
    int out = open(path, O_WRONLY);
    CHECK(in >= 0 && out >= 0);
    fcntl(in, F_SETFL, 0);
    ok = extism_log_file(path, "error");
    CHECK(ok);
    if (!ok)
        return;

    start(&flooding, ctx, busy, 0, floods);
    ssize_t n = read(in, &byte, 1);
    CHECK(n == 1);

    /* The call is running. Errors can be read, and other plugins made, called and freed. */
    CHECK(extism_error(ctx, busy) == NULL);
    CHECK(extism_error(ctx, -1) == NULL);
    bool right = guest_answers(ctx, other, "echo", "still here", "still here");
    CHECK(right);
    ExtismPlugin fresh = guest_new(ctx, ECHO);
    right = guest_answers(ctx, fresh, "echo", "new here", "new here");
    CHECK(right);
    extism_plugin_free(ctx, fresh);

    /* A thread that frees the plugin waits for the call, and again no other thread does. */
    start(&freeing, ctx, busy, 0, frees);
    right = guest_answers(ctx, other, "echo", "not held up", "not held up");
    CHECK(right);
    fresh = guest_new(ctx, ECHO);
    CHECK(fresh >= 0);

    start(&draining, NULL, -1, in, drains);
    finish(&flooding);
    CHECK(flooding.rc[0] == 256);
    finish(&freeing);
    int32_t rc = guest_call(ctx, busy, "flood", "");
    CHECK(rc == -1);

    ok = extism_log_file(NULL, "off");
    CHECK(ok);
    byte = 0;
    n = write(out, &byte, 1);
    CHECK(n == 1);
    finish(&draining);
    close(in);
    close(out);
    unlink(path);
    rmdir(folder);
    extism_context_free(ctx);
}

/* Turns a dead-lock into a failure. */
static void hung(int signal_number)
{
    static const char text[] = "threads.c: a thread waits and nobody will wake it\n";

    (void)signal_number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

int main(void)
{
    signal(SIGALRM, hung);
    alarm(300);
    a_plugin_each();
    one_plugin_for_all();
    plugins_come_and_go();
    errors_across_threads();
    context_freed_under_calls();
    a_long_call_holds_up_nobody();
    return check_done();
}
