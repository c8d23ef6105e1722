/* Timeouts and cancelling: what they stop, when, and what they leave alone. */
#include "acts.h"

#define SLEEP                                                                                                          \
    "(module (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))"   \
    "(memory (export \"memory\") 1)"                                                                                   \
    "(func (export \"sleep\") (i32.store (i32.const 16) (i32.const 1))"                                               \
    "  (i64.store (i32.const 24) (i64.const 6000000000))"                                                              \
    "  (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))"                                \
    "(func (export \"six\") (result i32) (i32.const 6)))"

static ExtismPlugin *timed(const char *wat, int ms)
{
    char more[64];

    snprintf(more, sizeof more, ", \"timeout_ms\": %d", ms);
    return guest_wasi(manifest_of(wat, more));
}

#define LOOP                                                                                                           \
    "(module (func (export \"loop\") (loop (br 0))) (func (export \"six\") (result i32) (i32.const 6)))"

static void check_stopped(ExtismPlugin *plugin, int32_t rc)
{
    CHECK(rc == 134);
    CHECK_HAS(extism_plugin_error(plugin), "timeout");
    CHECK(guest_call(plugin, "six", "") == 6);
    CHECK(extism_plugin_error(plugin) == NULL);
}

static void timeout(void)
{
    ExtismPlugin *plugin = timed(LOOP, 200);

    for (int round = 0; round < 3; round++) {
        double begin = now();
        int32_t rc = guest_call(plugin, "loop", "");
        CHECK(now() - begin >= 0.15);
        check_stopped(plugin, rc);
    }
    extism_plugin_free(plugin);
}

struct canceller {
    const ExtismCancelHandle *handle;
    long after_ms;
    bool answer;
};

static void *cancels(void *arg)
{
    struct canceller *c = (struct canceller *)arg;

    sleep_ms(c->after_ms);
    c->answer = extism_plugin_cancel(c->handle);
    return NULL;
}

/* Calls a function that another thread cancels, and returns the seconds that it took. */
static double call_cancelled(ExtismPlugin *plugin, const char *function, long after_ms)
{
    struct canceller c = {extism_plugin_cancel_handle(plugin), after_ms, false};
    double begin = now();
    pthread_t thread = start(cancels, &c);
    int32_t rc = guest_call(plugin, function, "");
    double took = now() - begin;

    pthread_join(thread, NULL);
    CHECK(c.answer);
    check_stopped(plugin, rc);
    return took;
}

static void cancel(void)
{
    ExtismPlugin *plugin = guest_new(LOOP);

    for (int round = 0; round < 3; round++)
        CHECK(call_cancelled(plugin, "loop", 200) >= 0.15);
    extism_plugin_free(plugin);
}

/* A handle without a running call is good all the same, and the next call is not stopped. */
static void idle(void)
{
    ExtismPlugin *plugin = guest_new(LOOP);
    const ExtismCancelHandle *handle = extism_plugin_cancel_handle(plugin);

    CHECK(handle != NULL);
    CHECK(extism_plugin_cancel(handle));
    CHECK(guest_call(plugin, "six", "") == 6);
    CHECK(extism_plugin_cancel(handle) && extism_plugin_cancel(handle));
    CHECK(guest_call(plugin, "six", "") == 6);
    CHECK(extism_plugin_cancel_handle(plugin) == handle);
    extism_plugin_free(plugin);
}

static void start_section(void)
{
    double begin = now();
    ExtismPlugin *plugin = timed("(module (func $f (loop (br 0))) (start $f))", 300);

    CHECK(plugin == NULL);
    CHECK_HAS(creation_error, "timeout");
    CHECK(now() - begin < 10);
    extism_plugin_free(plugin);
}

static void sleep_with_timeout(void)
{
    ExtismPlugin *plugin = timed(SLEEP, 300);
    double begin = now();
    int32_t rc = guest_call(plugin, "sleep", "");

    CHECK(now() - begin < 4);
    check_stopped(plugin, rc);
    extism_plugin_free(plugin);
}

static void sleep_with_cancel(void)
{
    ExtismPlugin *plugin = guest_wasi(SLEEP);

    CHECK(plugin != NULL);
    CHECK(call_cancelled(plugin, "sleep", 300) < 4);
    extism_plugin_free(plugin);
}

static void naps(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    sleep_ms((long)act->kept);
    act->n++;
}

/* The clock starts anew at each call. */
static void each_call_its_own(void)
{
    struct act act = act_of(naps);
    ExtismPlugin *plugin = act_plugin(manifest_of(ACT_GUEST, ", \"timeout_ms\": 3000"), &act);

    act.kept = 250;
    for (int i = 0; i < 16; i++)
        CHECK(guest_answers(plugin, "go", "in time", "in time"));
    extism_plugin_free(plugin);
}

/* A callback is not interrupted; the call ends when it returns. */
static void timeout_in_callback(void)
{
    struct act act = act_of(naps);
    ExtismPlugin *plugin = act_plugin(manifest_of(ACT_GUEST, ", \"timeout_ms\": 200"), &act);

    act.kept = 600;
    int32_t rc = guest_call(plugin, "forever", "");
    CHECK(act.n == 1);
    check_stopped(plugin, rc);
    extism_plugin_free(plugin);
}

static void cancel_in_callback(void)
{
    struct act act = act_of(naps);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    act.kept = 600;
    CHECK(call_cancelled(plugin, "forever", 200) >= 0.55);
    CHECK(act.n == 1);
    extism_plugin_free(plugin);
}

/* A call that is stopped by its own timeout or handle, beside one of the same compiled plugin that must run on. */
struct sibling {
    ExtismPlugin *plugin;
    int32_t rc;
};

static void *runs(void *arg)
{
    struct sibling *s = (struct sibling *)arg;

    s->rc = guest_call(s->plugin, "work", "");
    return NULL;
}

#define WORK                                                                                                           \
    "(module " USER "\"more\" (func $more (result i32))) (func (export \"loop\") (loop (br 0)))"                       \
    "(func (export \"six\") (result i32) (i32.const 6))"                                                               \
    "(func (export \"work\") (result i32) (loop $l (br_if $l (call $more))) (i32.const 5)))"

/* How long "work" shall take, from its first question on. */
struct worktime {
    double begin, seconds;
};

static void more(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                 void *data)
{
    struct worktime *time = (struct worktime *)data;

    (void)plugin, (void)in, (void)n_in, (void)n_out;
    if (time->begin == 0)
        time->begin = now();
    out[0].v.i32 = now() - time->begin < time->seconds;
}

/* Two instances of one compiled plugin. The first works in a thread that was begun before or after the second's loop
   is stopped. */
struct pair {
    struct worktime time;
    struct sibling working;
    ExtismPlugin *looping;
};

static void pair_new(struct pair *p, const char *text, double seconds)
{
    memset(p, 0, sizeof *p);
    p->time.seconds = seconds;
    ExtismFunction *f = function("more", "", "i", more, &p->time);
    ExtismCompiledPlugin *compiled = guest_compile(text, &f, 1);
    p->working.plugin = guest_instance(compiled);
    p->looping = guest_instance(compiled);
    CHECK(p->working.plugin && p->looping);
    extism_compiled_plugin_free(compiled);
    extism_function_free(f);
}

static void pair_free(struct pair *p)
{
    extism_plugin_free(p->working.plugin);
    extism_plugin_free(p->looping);
}

static void sibling_of_cancelled(void)
{
    struct pair p;

    pair_new(&p, WORK, 1);
    pthread_t thread = start(runs, &p.working);
    sleep_ms(300);
    call_cancelled(p.looping, "loop", 100);
    pthread_join(thread, NULL);
    CHECK(p.working.rc == 5);
    pair_free(&p);
}

static void *loops(void *arg)
{
    struct sibling *s = (struct sibling *)arg;

    s->rc = guest_call(s->plugin, "loop", "");
    return NULL;
}

/* The worker begins 2.5 s after the loop, whose time of 4 s is over in the midst of the work. */
static void sibling_of_late(void)
{
    struct pair p;

    pair_new(&p, manifest_of(WORK, ", \"timeout_ms\": 4000"), 2.5);
    struct sibling looping = {p.looping, 0};
    pthread_t thread = start(loops, &looping);
    sleep_ms(2500);
    runs(&p.working);
    pthread_join(thread, NULL);
    CHECK(looping.rc == 134);
    CHECK(p.working.rc == 5);
    pair_free(&p);
}

static const struct test tests[] = {
    {NULL, "timeout", timeout},
    {NULL, "cancel", cancel},
    {NULL, "idle", idle},
    {"W12", "a start section that loops", start_section},
    {"W14", "a sleep with a timeout", sleep_with_timeout},
    {"W14", "a sleep that is cancelled", sleep_with_cancel},
    {NULL, "each call has its own time", each_call_its_own},
    {NULL, "timeout in a callback", timeout_in_callback},
    {NULL, "cancel in a callback", cancel_in_callback},
    {"W13", "the sibling of a cancelled call", sibling_of_cancelled},
    {"W13", "the sibling of a call that times out", sibling_of_late},
};

RUN_TESTS(tests)
