/* When, how often and on which thread a function's user data is freed: when the last of the function, its plugins and
   its compiled plugins goes, inside that call. */
#include "user_data.h"

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
    {NULL, "never used", never_used},
    {"W18", "a failing creation", failing_creation},
    {"reuse", "the same twice", same_twice},
    {NULL, "the thread of the free", thread_of_the_free},
    {NULL, "the free callback calls the library", free_calls_library},
    {"W3", "the free callback asks the plugin", free_asks_the_plugin},
    {NULL, "kept through traps", kept_through_traps},
};

RUN_TESTS(tests)
