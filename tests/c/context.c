/* Contexts: their life, the numbering of plugins, and every wrong pointer that a caller can pass. */
#include "guest.h"

#define NUMBER(n) "(module (func (export \"number\") (result i32) (i32.const " #n ")))"
#define FAILS "(module (func (export \"number\") unreachable))"

static void version(void)
{
    char header[64];

    CHECK_TEXT(extism_version(), "0.1.0");
    CHECK(extism_version() == extism_version());
    snprintf(header, sizeof header, "%d.%d.%d", EXTISM_WASMER_VERSION_MAJOR, EXTISM_WASMER_VERSION_MINOR,
             EXTISM_WASMER_VERSION_PATCH);
    CHECK_TEXT(extism_wasmer_version(), header);
}

static void contexts_are_independent(void)
{
    ExtismContext *one = extism_context_new();
    ExtismContext *two = extism_context_new();
    CHECK(one != NULL && two != NULL && one != two);

    ExtismPlugin in_one = guest_new(one, NUMBER(1));
    ExtismPlugin in_two = guest_new(two, NUMBER(2));
    CHECK(in_one == 0);
    CHECK(in_two == 0);

    int32_t rc = guest_call(one, 5, "number", "");
    CHECK(rc == -1);
    CHECK(extism_error(one, -1) != NULL);
    CHECK(extism_error(two, -1) == NULL);

    extism_context_free(one);
    rc = guest_call(two, in_two, "number", "");
    CHECK(rc == 2);
    extism_context_free(two);
}

static void freeing_null_and_nothing(void)
{
    ExtismContext *ctx = extism_context_new();

    extism_context_free(NULL);
    extism_plugin_free(NULL, 0);
    extism_plugin_free(ctx, 0);
    extism_plugin_free(ctx, -1);
    extism_plugin_free(ctx, INT32_MIN);
    extism_plugin_free(ctx, INT32_MAX);
    CHECK(extism_error(ctx, -1) == NULL);
    extism_context_reset(ctx);
    CHECK(extism_error(ctx, -1) == NULL);
    extism_context_free(ctx);
}

/* Ids of freed plugins wait in a queue; from 25 waiting on, the oldest is used again. */
static void ids(void)
{
    static const ExtismPlugin then[] = {1, 25, 26, 27};
    ExtismContext *ctx = extism_context_new();

    for (ExtismPlugin i = 0; i < 26; i++) {
        ExtismPlugin id = guest_new(ctx, NUMBER(1));
        CHECK(id == i % 25);
        extism_plugin_free(ctx, id);
    }
    for (size_t i = 0; i < COUNT(then); i++) {
        ExtismPlugin id = guest_new(ctx, NUMBER(1));
        CHECK(id == then[i]);
    }

    /* A reset drops the plugins, not the numbering. */
    extism_context_reset(ctx);
    for (ExtismPlugin i = 28; i < 31; i++) {
        ExtismPlugin id = guest_new(ctx, NUMBER(1));
        CHECK(id == i);
    }

    /* A failed creation takes no number. */
    ExtismPlugin id = guest_new(ctx, "{}");
    CHECK(id == -1);
    id = guest_new(ctx, NUMBER(1));
    CHECK(id == 31);

    /* Freeing twice gives an id back once: 24 waited, 31 is the 25th, so one old id is used and then a new one. */
    for (int i = 0; i < 30; i++)
        extism_plugin_free(ctx, 31);
    id = guest_new(ctx, NUMBER(1));
    CHECK(id == 2);
    id = guest_new(ctx, NUMBER(1));
    CHECK(id == 32);
    extism_context_free(ctx);
}

static void reset_drops_plugins_and_keeps_the_error(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin one = guest_new(ctx, NUMBER(1));
    ExtismPlugin two = guest_new(ctx, FAILS);

    int32_t rc = guest_call(ctx, two, "number", "");
    CHECK(rc == -1);
    ExtismPlugin none = guest_new(ctx, "{}");
    CHECK(none == -1);
    extism_context_reset(ctx);
    CHECK_STARTS(extism_error(ctx, -1), "No wasm files specified");
    CHECK_STARTS(extism_error(ctx, two), "No wasm files specified");
    rc = guest_call(ctx, one, "number", "");
    CHECK(rc == -1);
    CHECK_STARTS(extism_error(ctx, one), "Plugin does not exist: 0");

    extism_context_reset(ctx);
    extism_context_reset(ctx);
    ExtismPlugin three = guest_new(ctx, NUMBER(3));
    rc = guest_call(ctx, three, "number", "");
    CHECK(rc == 3);
    extism_context_free(ctx);
}

static void many_plugins(void)
{
    enum { N = 200 };
    ExtismPlugin id[N];
    int wrong = 0;
    ExtismContext *ctx = extism_context_new();

    for (int i = 0; i < N; i++) {
        id[i] = guest_new(ctx, i % 2 ? NUMBER(1) : NUMBER(0));
        wrong += id[i] != i;
    }
    CHECK(wrong == 0);
    for (int i = 0; i < N; i++)
        wrong += guest_call(ctx, id[i], "number", "") != i % 2;
    CHECK(wrong == 0);

    for (int i = 0; i < N; i += 2)
        extism_plugin_free(ctx, id[i]);
    for (int i = 0; i < N; i++)
        wrong += guest_call(ctx, id[i], "number", "") != (i % 2 ? 1 : -1);
    CHECK(wrong == 0);
    extism_context_free(ctx);
}

static void many_contexts(void)
{
    enum { N = 64 };
    ExtismContext *ctx[N];
    int wrong = 0;

    for (int i = 0; i < N; i++) {
        ctx[i] = extism_context_new();
        wrong += guest_new(ctx[i], NUMBER(7)) != 0;
    }
    for (int i = N - 1; i >= 0; i--) {
        wrong += guest_call(ctx[i], 0, "number", "") != 7;
        extism_context_free(ctx[i]);
    }
    CHECK(wrong == 0);
}

/* Calls everything that takes a context, with a pointer that is no context. */
static void nothing_works_on(const char *which, ExtismContext *ctx)
{
    static const ExtismPlugin plugins[] = {0, 1, -1, INT32_MAX, INT32_MIN};

    ExtismPlugin id = guest_new(ctx, NUMBER(1));
    CHECK_CASE(which, id == -1);
    id = extism_plugin_new(ctx, NULL, 0, true);
    CHECK_CASE(which, id == -1);
    extism_context_reset(ctx);

    for (size_t i = 0; i < COUNT(plugins); i++) {
        ExtismPlugin plugin = plugins[i];

        bool ok = guest_update(ctx, plugin, NUMBER(1));
        CHECK_CASE(which, !ok);
        ok = extism_plugin_update(ctx, plugin, NULL, 0, false);
        CHECK_CASE(which, !ok);
        ok = guest_config(ctx, plugin, "{\"key\": \"value\"}");
        CHECK_CASE(which, !ok);
        ok = extism_plugin_config(ctx, plugin, NULL, 0);
        CHECK_CASE(which, !ok);
        ok = extism_plugin_function_exists(ctx, plugin, "number");
        CHECK_CASE(which, !ok);
        ok = extism_plugin_function_exists(ctx, plugin, NULL);
        CHECK_CASE(which, !ok);
        int32_t rc = guest_call(ctx, plugin, "number", "input");
        CHECK_CASE(which, rc == -1);
        rc = extism_plugin_call(ctx, plugin, NULL, NULL, 0);
        CHECK_CASE(which, rc == -1);
        const char *error = extism_error(ctx, plugin);
        CHECK_CASE(which, error == NULL || strlen(error) > 0);
        CHECK_CASE(which, extism_plugin_output_length(ctx, plugin) == 0);
        CHECK_CASE(which, extism_plugin_output_data(ctx, plugin) == NULL);
        extism_plugin_free(ctx, plugin);
    }
}

static void pointers_that_are_no_context(void)
{
    int local[64] = {0};
    void *heap = calloc(1, 4096);

    nothing_works_on("NULL", NULL);
    nothing_works_on("a local variable", (ExtismContext *)(void *)local);
    nothing_works_on("foreign heap memory", (ExtismContext *)heap);
    nothing_works_on("one", (ExtismContext *)(uintptr_t)1);
    nothing_works_on("all bits set", (ExtismContext *)UINTPTR_MAX);
    extism_context_free((ExtismContext *)(void *)local);
    extism_context_free((ExtismContext *)heap);
    extism_context_free((ExtismContext *)(uintptr_t)1);
    extism_context_free((ExtismContext *)UINTPTR_MAX);
    free(heap);
}

/* Finalizers run in any order: calls after the context's end must not reach a later context either. */
static void stale_contexts(void)
{
    enum { N = 64 };
    ExtismContext *fresh[N];
    int wrong = 0;
    ExtismContext *stale = extism_context_new();
    ExtismPlugin plugin = guest_new(stale, NUMBER(1));
    CHECK(plugin == 0);

    extism_context_free(stale);
    extism_plugin_free(stale, plugin);
    extism_context_free(stale);
    nothing_works_on("freed", stale);

    for (int i = 0; i < N; i++) {
        fresh[i] = extism_context_new();
        wrong += fresh[i] == NULL || fresh[i] == stale;
        wrong += guest_new(fresh[i], NUMBER(9)) != 0;
    }
    CHECK(wrong == 0);
    nothing_works_on("freed, others made since", stale);
    extism_context_free(stale);
    for (int i = 0; i < N; i++) {
        wrong += guest_call(fresh[i], 0, "number", "") != 9;
        extism_context_free(fresh[i]);
    }
    CHECK(wrong == 0);
}

static void null_arguments(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = guest_new(ctx, NUMBER(1));

    ExtismPlugin none = extism_plugin_new(ctx, NULL, 0, false);
    CHECK(none == -1);
    CHECK(extism_error(ctx, -1) != NULL);
    none = extism_plugin_new(ctx, NULL, 100, false);
    CHECK(none == -1);
    CHECK(extism_error(ctx, -1) != NULL);
    none = extism_plugin_new(ctx, NULL, UINT64_MAX, true);
    CHECK(none == -1);

    bool ok = extism_plugin_update(ctx, plugin, NULL, 0, false);
    CHECK(!ok);
    ok = extism_plugin_update(ctx, plugin, NULL, 100, false);
    CHECK(!ok);

    ok = extism_plugin_config(ctx, plugin, NULL, 0);
    CHECK(!ok);
    ok = extism_plugin_config(ctx, plugin, NULL, 100);
    CHECK(!ok);
    CHECK(extism_error(ctx, plugin) != NULL);

    ok = extism_plugin_function_exists(ctx, plugin, NULL);
    CHECK(!ok);
    int32_t rc = extism_plugin_call(ctx, plugin, NULL, NULL, 0);
    CHECK(rc == -1);
    CHECK(extism_error(ctx, plugin) != NULL);
    rc = extism_plugin_call(ctx, plugin, "number", NULL, UINT64_MAX);
    CHECK(rc == 1);
    CHECK(extism_error(ctx, plugin) == NULL);
    extism_context_free(ctx);
}

int main(void)
{
    version();
    contexts_are_independent();
    freeing_null_and_nothing();
    ids();
    reset_drops_plugins_and_keeps_the_error();
    many_plugins();
    many_contexts();
    pointers_that_are_no_context();
    stale_contexts();
    null_arguments();
    return check_done();
}
