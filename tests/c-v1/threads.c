/* Threads: calls on one plugin queue, plugins do not wait for one another, questions never wait. */
#include "acts.h"

enum { THREADS = 4 };

#define COUNTER                                                                                                        \
    "(module " GUEST "(global $n (mut i32) (i32.const 0))"                                                             \
    "(func (export \"count\") (result i32)"                                                                            \
    "  (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"                                       \
    "(func (export \"echo\") (call $output (call $input))))"

struct worker {
    ExtismPlugin *plugin;
    const char *text;
    int wrong;
};

static void *counts(void *arg)
{
    struct worker *w = (struct worker *)arg;

    for (int i = 0; i < 500; i++)
        w->wrong += guest_call(w->plugin, "count", "") <= 0;
    return NULL;
}

static void calls_queue(void)
{
    ExtismPlugin *plugin = guest_new(COUNTER);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        workers[i].plugin = plugin;
        workers[i].wrong = 0;
        threads[i] = start(counts, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(workers[i].wrong == 0);
    }
    CHECK(guest_call(plugin, "count", "") == THREADS * 500 + 1);
    extism_plugin_free(plugin);
}

/* Calls, then asks for length and data, as SDKs do. Others have their turn in between. */
static void *sequences(void *arg)
{
    struct worker *w = (struct worker *)arg;

    for (int i = 0; i < 500; i++) {
        w->wrong += guest_call(w->plugin, "echo", w->text) != 0;
        if (i % 10 == 0)
            sleep_ms(1);
        w->wrong += !guest_output_is(w->plugin, w->text, strlen(w->text));
    }
    return NULL;
}

static void check_sequences(const char *const *texts)
{
    ExtismPlugin *plugin = guest_new(COUNTER);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        workers[i].plugin = plugin;
        workers[i].text = texts[i];
        workers[i].wrong = 0;
        threads[i] = start(sequences, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(workers[i].wrong == 0);
    }
    extism_plugin_free(plugin);
}

/* Outputs of different length and content: each thread sees that of its own last call. */
static void outputs_of_own_calls(void)
{
    static const char *const texts[THREADS] = {"one", "twotwo", "three three", "4"};
    check_sequences(texts);
}

/* Two callbacks that wait for each other: both plugins run at once. */
static pthread_barrier_t both;

static void meets(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    pthread_barrier_wait(&both);
    act->n++;
}

static void *calls_go(void *arg)
{
    struct worker *w = (struct worker *)arg;

    w->wrong = guest_call(w->plugin, "go", "") != 0;
    return NULL;
}

static void run_both(ExtismPlugin *one, ExtismPlugin *two)
{
    struct worker workers[2] = {{one, "", 0}, {two, "", 0}};

    pthread_barrier_init(&both, NULL, 2);
    pthread_t thread = start(calls_go, &workers[0]);
    calls_go(&workers[1]);
    pthread_join(thread, NULL);
    CHECK(workers[0].wrong == 0 && workers[1].wrong == 0);
}

static void plugins_in_parallel(void)
{
    struct act one = act_of(meets), two = act_of(meets);

    act_plugin(ACT_GUEST, &one);
    act_plugin(ACT_GUEST, &two);
    run_both(one.plugin, two.plugin);
    extism_plugin_free(one.plugin);
    extism_plugin_free(two.plugin);
}

static void instances_in_parallel(void)
{
    struct act act = act_of(meets);
    ExtismFunction *f = function("act", "I", "I", act_now, &act);
    ExtismCompiledPlugin *compiled = guest_compile(ACT_GUEST, &f, 1);
    ExtismPlugin *one = guest_instance(compiled), *two = guest_instance(compiled);

    run_both(one, two);
    extism_plugin_free(one);
    extism_plugin_free(two);
    extism_compiled_plugin_free(compiled);
    extism_function_free(f);
}

/* A callback that stays until the main thread has asked, at most three seconds. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool inside, asked, asked_in_time;

static bool get(bool *what)
{
    pthread_mutex_lock(&lock);
    bool value = *what;
    pthread_mutex_unlock(&lock);
    return value;
}

static void set(bool *what)
{
    pthread_mutex_lock(&lock);
    *what = true;
    pthread_mutex_unlock(&lock);
}

static void stays(struct act *act, ExtismCurrentPlugin *current)
{
    (void)act, (void)current;
    set(&inside);
    for (int i = 0; i < 300 && !get(&asked); i++)
        sleep_ms(10);
    if (get(&asked))
        set(&asked_in_time);
}

/* Asks while another thread's call is in a callback, and checks that the answer did not wait for the call's end. */
static void check_asked(void (*ask)(ExtismPlugin *))
{
    struct act act = act_of(stays);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);
    struct worker worker = {plugin, "", 0};

    guest_call(plugin, "nobody", "");
    pthread_t thread = start(calls_go, &worker);
    while (!get(&inside))
        sleep_ms(1);
    ask(plugin);
    set(&asked);
    pthread_join(thread, NULL);
    CHECK(get(&asked_in_time));
    CHECK(worker.wrong == 0);
    extism_plugin_free(plugin);
}

static void asks_error(ExtismPlugin *plugin)
{
    extism_plugin_error(plugin);
    extism_error(plugin);
}

static void asks_output(ExtismPlugin *plugin)
{
    CHECK(extism_plugin_output_data(plugin) != NULL);
    CHECK(extism_plugin_output_length(plugin) == 0);
}

static void asks_facts(ExtismPlugin *plugin)
{
    CHECK(extism_plugin_id(plugin) != NULL);
    CHECK(extism_plugin_cancel_handle(plugin) != NULL);
    extism_plugin_allow_http_response_headers(plugin);
}

static void asks_exists(ExtismPlugin *plugin)
{
    CHECK(extism_plugin_function_exists(plugin, "go"));
    CHECK(guest_config(plugin, "{\"a\": \"b\"}"));
}

static void error_does_not_wait(void) { check_asked(asks_error); }
static void output_does_not_wait(void) { check_asked(asks_output); }
static void facts_do_not_wait(void) { check_asked(asks_facts); }
static void exists_does_not_wait(void) { check_asked(asks_exists); }

/* A plugin that is freed while another thread calls it: that call ends, with success or an error. */
static void free_during_call(void)
{
    for (int round = 0; round < 3; round++) {
        struct act act = act_of(stays);
        ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);
        struct worker worker = {plugin, "", 0};
        pthread_mutex_lock(&lock);
        inside = asked = asked_in_time = false;
        pthread_mutex_unlock(&lock);

        pthread_t thread = start(calls_go, &worker);
        while (!get(&inside))
            sleep_ms(1);
        extism_plugin_free(plugin);
        pthread_join(thread, NULL);
        CHECK(guest_call(plugin, "six", "") == -1);
        CHECK(worker.wrong == 0 || worker.wrong == 1);
    }
}

/* The same with a guest that ends only when a third thread cancels it. The free stops the call or waits for its end. */
static void *calls_forever(void *arg)
{
    struct worker *w = (struct worker *)arg;

    w->wrong = guest_call(w->plugin, "forever", "");
    return NULL;
}

static void sets_inside(struct act *act, ExtismCurrentPlugin *current)
{
    (void)act, (void)current;
    set(&inside);
}

static void *cancels_later(void *handle)
{
    sleep_ms(500);
    extism_plugin_cancel((const ExtismCancelHandle *)handle);
    return NULL;
}

static void free_during_endless_call(void)
{
    struct act act = act_of(sets_inside);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);
    struct worker worker = {plugin, "", 0};
    pthread_t thread = start(calls_forever, &worker);

    while (!get(&inside))
        sleep_ms(1);
    pthread_t canceller = start(cancels_later, (void *)(uintptr_t)extism_plugin_cancel_handle(plugin));
    extism_plugin_free(plugin);
    pthread_join(thread, NULL);
    pthread_join(canceller, NULL);
    CHECK(worker.wrong != 0);
    CHECK(guest_call(plugin, "six", "") == -1);
}

/* Any thread may create, call and free; a thread's end takes nothing with it. */
static void *creates(void *arg)
{
    struct worker *w = (struct worker *)arg;

    w->plugin = extism_plugin_new((const uint8_t *)COUNTER, strlen(COUNTER), NULL, 0, false, NULL);
    w->wrong = !guest_answers(w->plugin, "echo", "text", "text");
    return NULL;
}

static void made_elsewhere(void)
{
    struct worker worker = {NULL, "", 1};

    pthread_join(start(creates, &worker), NULL);
    CHECK(worker.wrong == 0);
    CHECK(guest_output_is(worker.plugin, "text", 4));
    CHECK(guest_call(worker.plugin, "count", "") == 1);
    pthread_join(start(counts, &worker), NULL);
    CHECK(worker.wrong == 0);
    CHECK(guest_call(worker.plugin, "count", "") == 502);
    extism_plugin_free(worker.plugin);
}

/* Config and function_exists beside running calls, each on threads of its own. */
#define CONFIGURED                                                                                                     \
    "(module " GUEST "(data (i32.const 0) \"key\") (func (export \"get\")"                                             \
    " (call $output (call $config_get (call $block (i32.const 0) (i32.const 3))))))"

static void *configures(void *arg)
{
    struct worker *w = (struct worker *)arg;

    for (int i = 0; i < 1000; i++) {
        w->wrong += !guest_config(w->plugin, i % 2 ? "{\"key\": \"a\"}" : "{\"key\": \"a longer value\"}");
        w->wrong += !extism_plugin_function_exists(w->plugin, "get");
    }
    return NULL;
}

static void config_beside_calls(void)
{
    ExtismPlugin *plugin = guest_new(CONFIGURED);
    struct worker workers[2] = {{plugin, "", 0}, {plugin, "", 0}};
    pthread_t threads[2];

    CHECK(guest_config(plugin, "{\"key\": \"a\"}"));
    for (int i = 0; i < 2; i++)
        threads[i] = start(configures, &workers[i]);
    for (int i = 0; i < 1000; i++) {
        CHECK(guest_call(plugin, "get", "") == 0);
        CHECK(guest_output_is(plugin, "a", 1) || guest_output_is(plugin, "a longer value", 14));
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK(workers[i].wrong == 0);
    }
    extism_plugin_free(plugin);
}

static const struct test tests[] = {
    {NULL, "calls queue", calls_queue},
    {"W25", "outputs of own calls", outputs_of_own_calls},
    {NULL, "plugins in parallel", plugins_in_parallel},
    {NULL, "instances in parallel", instances_in_parallel},
    {"W28", "the error does not wait", error_does_not_wait},
    {"W28", "the output does not wait", output_does_not_wait},
    {NULL, "id, handle and headers do not wait", facts_do_not_wait},
    {NULL, "function_exists and config do not wait", exists_does_not_wait},
    {"W4", "free during a call", free_during_call},
    {"W4", "free during an endless call", free_during_endless_call},
    {NULL, "made elsewhere", made_elsewhere},
    {"races?", "config beside calls", config_beside_calls},
};

RUN_TESTS(tests)
