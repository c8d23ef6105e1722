/* When, how often and on which thread a function's user data is freed: when the last of the function, its plugins and
   its compiled plugins goes, inside that call. */
#include "guest.h"

/* What the free callback notes. The pointer that it is given is this. */
struct data {
    int frees;
    pthread_t thread;
};

static void notes_free(void *data)
{
    ((struct data *)data)->frees++;
    ((struct data *)data)->thread = pthread_self();
}

static void nothing(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                    void *data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out, (void)data;
}

#define GUEST_OF_F "(module " USER "\"f\" (func $f)) (func (export \"go\") (call $f)))"

static ExtismFunction *noted(struct data *data)
{
    return function_with("f", "", "", nothing, data, notes_free);
}

/* The holders of a function. Freeing them in an order must free the data with the last one. */
enum holder { FUNCTION, PLUGIN, COMPILED, INSTANCE, SECOND_INSTANCE };

struct holders {
    ExtismFunction *function;
    ExtismPlugin *plugin, *instance, *second;
    ExtismCompiledPlugin *compiled;
};

static void let_go(struct holders *h, enum holder which)
{
    switch (which) {
    case FUNCTION: extism_function_free(h->function); break;
    case PLUGIN: extism_plugin_free(h->plugin); break;
    case COMPILED: extism_compiled_plugin_free(h->compiled); break;
    case INSTANCE: extism_plugin_free(h->instance); break;
    case SECOND_INSTANCE: extism_plugin_free(h->second); break;
    }
}

/* Lets the holders go in this order, and says whether the data went exactly with the last. */
static bool right_order(struct holders *h, struct data *data, const int *order, int n)
{
    bool ok = true;

    for (int i = 0; i < n; i++) {
        ok &= data->frees == 0;
        let_go(h, (enum holder)order[i]);
    }
    return ok && data->frees == 1 && pthread_equal(data->thread, pthread_self());
}

/* The next of the n! orders, from an index. */
static void permutation(int index, int *order, const int *holders, int n)
{
    int left[8];

    memcpy(left, holders, (size_t)n * sizeof *left);
    for (int i = 0; i < n; i++) {
        int k = index % (n - i);
        index /= n - i;
        order[i] = left[k];
        memmove(left + k, left + k + 1, (size_t)(n - i - k - 1) * sizeof *left);
    }
}

/* In upstream's library a plugin takes the data over, so there the orders that end with the function differ. */
static void check_pair(bool function_last)
{
    struct data data = {0, pthread_self()};
    struct holders h = {noted(&data), NULL, NULL, NULL, NULL};
    const int order[] = {function_last ? PLUGIN : FUNCTION, function_last ? FUNCTION : PLUGIN};

    h.plugin = guest_with(GUEST_OF_F, &h.function, 1, false);
    CHECK(guest_call(h.plugin, "go", "") == 0);
    CHECK(right_order(&h, &data, order, 2));
}

static void function_then_plugin(void) { check_pair(false); }
static void plugin_then_function(void) { check_pair(true); }

static void check_compiled(bool function_last)
{
    static const int holders[] = {FUNCTION, COMPILED, INSTANCE, SECOND_INSTANCE};

    for (int index = 0; index < 24; index++) {
        struct data data = {0, pthread_self()};
        int order[8];
        permutation(index, order, holders, 4);
        if ((order[3] == FUNCTION) != function_last)
            continue;
        struct holders h = {noted(&data), NULL, NULL, NULL, NULL};
        h.compiled = guest_compile(GUEST_OF_F, &h.function, 1);
        h.instance = guest_instance(h.compiled);
        h.second = guest_instance(h.compiled);
        CHECK(guest_call(h.instance, "go", "") == 0);
        CHECK(right_order(&h, &data, order, 4));
    }
}

static void compiled_orders(void) { check_compiled(false); }
static void compiled_orders_function_last(void) { check_compiled(true); }

/* The same with a plugin beside the compiled one: a function may have several. */
static void all_holders(void)
{
    static const int holders[] = {FUNCTION, PLUGIN, COMPILED, INSTANCE, SECOND_INSTANCE};

    for (int index = 0; index < 120; index++) {
        struct data data = {0, pthread_self()};
        struct holders h = {noted(&data), NULL, NULL, NULL, NULL};
        int order[8];
        h.plugin = guest_with(GUEST_OF_F, &h.function, 1, false);
        h.compiled = guest_compile(GUEST_OF_F, &h.function, 1);
        h.instance = guest_instance(h.compiled);
        h.second = guest_instance(h.compiled);
        permutation(index, order, holders, 5);
        CHECK(right_order(&h, &data, order, 5));
    }
}

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* Four functions, a compiled plugin and four instances; the guest imports one `f`. */
struct crowd {
    struct data data[4];
    ExtismFunction *functions[4];
    ExtismPlugin *plugins[4];
    ExtismCompiledPlugin *compiled;
};

static int open_plugins(const struct crowd *c)
{
    int n = c->compiled != NULL;

    for (int i = 0; i < 4; i++)
        n += c->plugins[i] != NULL;
    return n;
}

static int open_functions(const struct crowd *c)
{
    int n = 0;

    for (int i = 0; i < 4; i++)
        n += c->functions[i] != NULL;
    return n;
}

static void let_one_go(struct crowd *c, uint32_t which)
{
    if (which < 4) {
        extism_function_free(c->functions[which]);
        c->functions[which] = NULL;
    } else if (which < 8) {
        extism_plugin_free(c->plugins[which - 4]);
        c->plugins[which - 4] = NULL;
    } else {
        extism_compiled_plugin_free(c->compiled);
        c->compiled = NULL;
    }
}

/* Random orders. `plugin_last` keeps the last plugin until the functions are gone. Freeing NULL is part of it. */
static void check_random(bool plugin_last)
{
    for (int round = 0; round < 40; round++) {
        struct crowd c;
        memset(&c, 0, sizeof c);
        for (int i = 0; i < 4; i++)
            c.functions[i] = noted(&c.data[i]);
        c.compiled = guest_compile(GUEST_OF_F, c.functions, 4);
        for (int i = 0; i < 4; i++)
            c.plugins[i] = guest_instance(c.compiled);
        while (open_plugins(&c) + open_functions(&c) > 0) {
            uint32_t which = random_below(9);
            if (plugin_last && which >= 4 && open_plugins(&c) == 1 && open_functions(&c) > 0)
                continue;
            let_one_go(&c, which);
            for (int i = 0; i < 4; i++)
                CHECK(c.data[i].frees == (open_plugins(&c) == 0 && !c.functions[i]));
        }
    }
}

static void random_frees(void) { check_random(true); }
static void random_frees_any_last(void) { check_random(false); }

/* Creations that fail: no module, an import that nobody serves, a start function that traps. The last one compiles. */
static const char *const failing[] = {
    "nonsense",
    "(module " USER "\"f\" (func $f)) " USER "\"missing\" (func)))",
    "(module " USER "\"f\" (func $f)) (func $start (call $f) unreachable) (start $start))",
};

/* Random frees, between them creations that fail with the functions that are left: they change nothing. */
static void failures_between(void)
{
    for (int round = 0; round < 40; round++) {
        struct crowd c;
        memset(&c, 0, sizeof c);
        for (int i = 0; i < 4; i++)
            c.functions[i] = noted(&c.data[i]);
        c.compiled = guest_compile(failing[2], c.functions, 4);
        c.plugins[0] = guest_with(GUEST_OF_F, c.functions, 4, false);
        CHECK(c.compiled != NULL && c.plugins[0] != NULL);
        while (open_plugins(&c) + open_functions(&c) > 0) {
            ExtismFunction *left[4];
            ExtismSize n = 0;
            for (int i = 0; i < 4; i++)
                if (c.functions[i])
                    left[n++] = c.functions[i];
            switch (random_below(3)) {
            case 0: CHECK(guest_with(failing[random_below(3)], left, n, false) == NULL); break;
            case 1: CHECK(guest_compile(failing[0], left, n) == NULL); break;
            default: CHECK(guest_instance(c.compiled) == NULL);
            }
            let_one_go(&c, random_below(9));
            for (int i = 0; i < 4; i++)
                CHECK(c.data[i].frees == (open_plugins(&c) == 0 && !c.functions[i]));
        }
    }
}

/* The holders that one of several threads lets go, in its order. */
struct share {
    struct crowd *crowd;
    uint32_t which[9];
    int n;
    pthread_barrier_t *begin;
};

static void *frees_share(void *data)
{
    struct share *share = (struct share *)data;

    pthread_barrier_wait(share->begin);
    for (int i = 0; i < share->n; i++)
        let_one_go(share->crowd, share->which[i]);
    return NULL;
}

/* Four threads free nine holders, each in another order: the data goes once, on one of the threads. */
static void threads_free(void)
{
    for (int round = 0; round < 100; round++) {
        struct crowd c;
        struct share shares[4];
        pthread_t threads[4];
        pthread_barrier_t begin;
        memset(&c, 0, sizeof c);
        memset(shares, 0, sizeof shares);
        pthread_barrier_init(&begin, NULL, 4);
        for (int i = 0; i < 4; i++)
            c.functions[i] = noted(&c.data[i]);
        c.compiled = guest_compile(GUEST_OF_F, c.functions, 4);
        for (int i = 0; i < 4; i++)
            c.plugins[i] = guest_instance(c.compiled);
        for (uint32_t which = 0; which < 9; which++) {
            struct share *share = &shares[random_below(4)];
            uint32_t place = random_below((uint32_t)share->n + 1);
            share->which[share->n++] = share->which[place];
            share->which[place] = which;
        }
        for (int i = 0; i < 4; i++) {
            shares[i].crowd = &c;
            shares[i].begin = &begin;
            threads[i] = start(frees_share, &shares[i]);
        }
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&begin);
        for (int i = 0; i < 4; i++) {
            bool known = false;
            for (int t = 0; t < 4; t++)
                known |= pthread_equal(c.data[i].thread, threads[t]) != 0;
            CHECK(c.data[i].frees == 1 && known);
        }
    }
}

static void never_used(void)
{
    struct data data = {0, pthread_self()};
    ExtismFunction *f = noted(&data);

    CHECK(data.frees == 0);
    extism_function_free(f);
    CHECK(data.frees == 1);
    /* No data: nothing to free. No callback: nobody to do it. */
    extism_function_free(function_with("f", "", "", nothing, NULL, notes_free));
    extism_function_free(function_with("f", "", "", nothing, &data, NULL));
    CHECK(data.frees == 1);
}

/* A creation that fails leaves the function as it was. */
static void failing_creation(void)
{
    struct data data = {0, pthread_self()};
    ExtismFunction *f = noted(&data);

    CHECK(guest_with("nonsense", &f, 1, false) == NULL);
    CHECK(guest_compile("nonsense", &f, 1) == NULL);
    CHECK(data.frees == 0);
    extism_function_free(f);
    CHECK(data.frees == 1);
}

/* The plugin's entry twice in one array is one function. */
static void same_twice(void)
{
    struct data data = {0, pthread_self()};
    ExtismFunction *f = noted(&data), *two[2] = {f, f};
    ExtismPlugin *plugin = guest_with(GUEST_OF_F, two, 2, false);

    CHECK(plugin != NULL && guest_call(plugin, "go", "") == 0);
    extism_function_free(f);
    CHECK(data.frees == 0);
    extism_plugin_free(plugin);
    CHECK(data.frees == 1);
}

static void *frees_plugin(void *plugin)
{
    extism_plugin_free((ExtismPlugin *)plugin);
    return NULL;
}

/* On the thread that frees the last holder, before that free returns. */
static void thread_of_the_free(void)
{
    struct data data = {0, pthread_self()};
    ExtismFunction *f = noted(&data);
    ExtismPlugin *plugin = guest_with(GUEST_OF_F, &f, 1, false);

    guest_call(plugin, "go", "");
    extism_function_free(f);
    pthread_t thread = start(frees_plugin, plugin);
    pthread_join(thread, NULL);
    CHECK(data.frees == 1 && pthread_equal(data.thread, thread));
}

/* The free callback holds no lock: it makes, calls and frees, and asks the plugin that is going. */
static ExtismPlugin *going, *bystander;
static int busy_frees, busy_failures;

static void frees_busily(void *data)
{
    ExtismPlugin *plugin = guest_new("(module (func (export \"go\") (result i32) (i32.const 4)))");

    (void)data;
    busy_frees++;
    busy_failures += guest_call(plugin, "go", "") != 4;
    busy_failures += bystander && guest_call(bystander, "go", "") != 0;
    extism_plugin_free(plugin);
    ExtismFunction *f = function("f", "", "", nothing, NULL);
    plugin = guest_with(GUEST_OF_F, &f, 1, false);
    extism_function_free(f);
    busy_failures += guest_call(plugin, "go", "") != 0;
    extism_plugin_free(plugin);
}

static void free_calls_library(void)
{
    int some;
    ExtismFunction *other = function("f", "", "", nothing, NULL);

    bystander = guest_with(GUEST_OF_F, &other, 1, false);
    extism_function_free(other);
    for (int order = 0; order < 2; order++) {
        ExtismFunction *f = function_with("f", "", "", nothing, &some, frees_busily);
        ExtismPlugin *plugin = guest_with(GUEST_OF_F, &f, 1, false);
        guest_call(plugin, "go", "");
        if (order)
            extism_plugin_free(plugin);
        extism_function_free(f);
        if (!order)
            extism_plugin_free(plugin);
        CHECK(busy_frees == order + 1 && busy_failures == 0);
    }
    extism_plugin_free(bystander);
}

static void asks_going(void *data)
{
    (void)data;
    busy_frees++;
    busy_failures += guest_call(going, "go", "") != -1;
    busy_failures += extism_plugin_output_length(going) != 0;
    extism_plugin_free(going);
}

/* The plugin that takes its functions along is gone for the free callback. */
static void free_asks_the_plugin(void)
{
    int some;
    ExtismFunction *f = function_with("f", "", "", nothing, &some, asks_going);

    going = guest_with(GUEST_OF_F, &f, 1, false);
    extism_function_free(f);
    extism_plugin_free(going);
    CHECK(busy_frees == 1 && busy_failures == 0);
}

/* A plugin whose instance has been made anew keeps its functions. */
static void kept_through_traps(void)
{
    struct data data = {0, pthread_self()};
    ExtismFunction *f = noted(&data);
    ExtismPlugin *plugin = guest_with("(module " USER "\"f\" (func $f)) (func (export \"go\") (call $f))"
                                      "(func (export \"fail\") (call $f) unreachable)"
                                      "(func (export \"_start\") (call $f)))",
                                      &f, 1, false);

    extism_function_free(f);
    for (int i = 0; i < 5; i++) {
        CHECK(guest_call(plugin, "fail", "") == 134);
        CHECK(guest_call(plugin, "go", "") == 0);
        CHECK(guest_call(plugin, "_start", "") == 0);
        CHECK(extism_plugin_reset(plugin));
    }
    CHECK(data.frees == 0);
    extism_plugin_free(plugin);
    CHECK(data.frees == 1);
}

static const struct test tests[] = {
    {NULL, "function, then plugin", function_then_plugin},
    {"reuse", "plugin, then function", plugin_then_function},
    {NULL, "compiled plugin and instances in 18 orders", compiled_orders},
    {"reuse", "compiled plugin and instances, function last", compiled_orders_function_last},
    {"reuse", "all holders in 120 orders", all_holders},
    {NULL, "random frees, a plugin last", random_frees},
    {"reuse", "random frees", random_frees_any_last},
    {"W18", "random frees between failing creations", failures_between},
    {NULL, "frees by four threads", threads_free},
    {NULL, "never used", never_used},
    {"W18", "a failing creation", failing_creation},
    {"reuse", "the same twice", same_twice},
    {NULL, "the thread of the free", thread_of_the_free},
    {NULL, "the free callback calls the library", free_calls_library},
    {"W3", "the free callback asks the plugin", free_asks_the_plugin},
    {NULL, "kept through traps", kept_through_traps},
};

RUN_TESTS(tests)
