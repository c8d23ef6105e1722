/* User data is freed once, whatever is freed in whatever order: random orders, between creations that fail, and on several
   threads. */
#include "user_data.h"

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

static const struct test tests[] = {
    {NULL, "random frees, a plugin last", random_frees},
    {"reuse", "random frees", random_frees_any_last},
    {"W18", "random frees between failing creations", failures_between},
    {NULL, "frees by four threads", threads_free},
};

RUN_TESTS(tests)
