/* Pointers that were freed, freed twice, or are of another kind. All are tokens: a table says whether one is alive.
   Current plugins, the seventh kind, are in context.c. */
#include "guest.h"

#define SIX "(module (func (export \"six\") (result i32) (i32.const 6)))"

static void nothing(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                    void *data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out, (void)data;
}

/* All functions of a plugin, on one that is none. */
static void check_no_plugin(ExtismPlugin *plugin)
{
    CHECK(guest_call(plugin, "six", "x") == -1);
    CHECK(extism_plugin_call_with_host_context(plugin, "six", NULL, 0, &plugin) == -1);
    CHECK(extism_plugin_error(plugin) == NULL);
    CHECK(extism_error(plugin) == NULL);
    CHECK(extism_plugin_output_length(plugin) == 0);
    CHECK(extism_plugin_output_data(plugin) == NULL);
    CHECK(extism_plugin_id(plugin) == NULL);
    CHECK(!extism_plugin_function_exists(plugin, "six"));
    CHECK(!guest_config(plugin, "{}"));
    CHECK(!extism_plugin_reset(plugin));
    CHECK(extism_plugin_cancel_handle(plugin) == NULL);
    extism_plugin_allow_http_response_headers(plugin);
    extism_plugin_free(plugin);
}

static void plugin(void)
{
    ExtismPlugin *gone = guest_new(SIX), *other = guest_new(SIX);

    extism_plugin_free(gone);
    check_no_plugin(gone);
    ExtismPlugin *next = guest_new(SIX);
    check_no_plugin(gone);
    CHECK(guest_call(next, "six", "") == 6 && guest_call(other, "six", "") == 6);
    extism_plugin_free(next);
    extism_plugin_free(other);
}

static void plugin_freed_twice(void)
{
    ExtismPlugin *gone = guest_new(SIX);

    extism_plugin_free(gone);
    extism_plugin_free(gone);
    ExtismPlugin *next = guest_new(SIX);
    extism_plugin_free(gone);
    CHECK(guest_call(next, "six", "") == 6);
    extism_plugin_free(next);
}

static void compiled(void)
{
    ExtismCompiledPlugin *gone = guest_compile(SIX, NULL, 0);

    extism_compiled_plugin_free(gone);
    extism_compiled_plugin_free(gone);
    for (int round = 0; round < 2; round++) {
        CHECK(guest_instance(gone) == NULL);
        CHECK(creation_error && creation_error[0]);
    }
    ExtismCompiledPlugin *next = guest_compile(SIX, NULL, 0);
    extism_compiled_plugin_free(gone);
    ExtismPlugin *instance = guest_instance(next);
    CHECK(guest_call(instance, "six", "") == 6);
    extism_plugin_free(instance);
    extism_compiled_plugin_free(next);
}

static void freed_function(void)
{
    ExtismFunction *gone = function("f", "", "", nothing, NULL);

    extism_function_free(gone);
    extism_function_set_namespace(gone, "other");
    CHECK(guest_with(SIX, &gone, 1, false) == NULL);
    CHECK(creation_error && creation_error[0]);
    CHECK(guest_compile(SIX, &gone, 1) == NULL);
    CHECK(creation_error && creation_error[0]);
}

static int data_frees;
static void counts_free(void *data) { (void)data, data_frees++; }

static void function_freed_twice(void)
{
    ExtismFunction *gone = function_with("f", "", "", nothing, &data_frees, counts_free);

    extism_function_free(gone);
    ExtismFunction *next = function_with("f", "", "", nothing, &data_frees, counts_free);
    extism_function_free(gone);
    CHECK(data_frees == 1);
    extism_function_free(next);
    CHECK(data_frees == 2);
}

static void cancel_handle(void)
{
    ExtismPlugin *gone = guest_new(SIX);
    const ExtismCancelHandle *handle = extism_plugin_cancel_handle(gone);

    CHECK(extism_plugin_cancel(handle));
    extism_plugin_free(gone);
    CHECK(!extism_plugin_cancel(handle));
    ExtismPlugin *next = guest_new(SIX);
    CHECK(extism_plugin_cancel_handle(next) != handle);
    CHECK(!extism_plugin_cancel(handle));
    extism_plugin_free(next);
}

static void error_text(void)
{
    CHECK(guest_new("nonsense") == NULL);
    char *text = creation_error;
    creation_error = NULL;
    extism_plugin_new_error_free(text);
    extism_plugin_new_error_free(text);
    CHECK(guest_new("nonsense") == NULL);
    CHECK(creation_error && creation_error[0]);
}

/* Texts that no creation gave. */
static void foreign_text(void)
{
    char local[64] = "a text of the caller's own, which is on its stack";

    extism_plugin_new_error_free(local + 16);
    ExtismPlugin *plugin = guest_new(SIX);
    guest_call(plugin, "nobody", "");
    const char *error = extism_plugin_error(plugin);
    extism_plugin_new_error_free((char *)(uintptr_t)error);
    CHECK_TEXT(extism_plugin_error(plugin), "Function not found: nobody");
    extism_plugin_free(plugin);
}

/* Each kind in the place of another. */
static void other_kinds(void)
{
    ExtismPlugin *plugin = guest_new(SIX);
    ExtismCompiledPlugin *compiled = guest_compile(SIX, NULL, 0);
    ExtismFunction *f = function("f", "", "", nothing, NULL);
    void *const tokens[] = {plugin, compiled, f, (void *)(uintptr_t)extism_plugin_cancel_handle(plugin)};

    for (int i = 1; i < 4; i++)
        check_no_plugin((ExtismPlugin *)tokens[i]);
    for (int i = 0; i < 4; i++) {
        ExtismFunction *wrong = (ExtismFunction *)tokens[i];
        if (i != 1)
            CHECK(guest_instance((ExtismCompiledPlugin *)tokens[i]) == NULL);
        if (i != 1)
            extism_compiled_plugin_free((ExtismCompiledPlugin *)tokens[i]);
        if (i != 2) {
            CHECK(guest_with(SIX, &wrong, 1, false) == NULL);
            extism_function_set_namespace(wrong, "other");
            extism_function_free(wrong);
        }
        if (i != 3)
            CHECK(!extism_plugin_cancel((ExtismCancelHandle *)tokens[i]));
        extism_plugin_new_error_free((char *)tokens[i]);
    }
    CHECK(guest_call(plugin, "six", "") == 6);
    ExtismPlugin *instance = guest_instance(compiled);
    CHECK(guest_call(instance, "six", "") == 6);
    extism_plugin_free(instance);
    extism_plugin_free(plugin);
    extism_compiled_plugin_free(compiled);
    extism_function_free(f);
}

static void wild_numbers(void)
{
    static const uintptr_t numbers[] = {1, 2, 8, 0x1000, 0xdeadbeef, UINTPTR_MAX, UINTPTR_MAX - 7};

    for (size_t i = 0; i < COUNT(numbers); i++) {
        check_no_plugin((ExtismPlugin *)numbers[i]);
        CHECK(guest_instance((ExtismCompiledPlugin *)numbers[i]) == NULL);
        CHECK(!extism_plugin_cancel((ExtismCancelHandle *)numbers[i]));
        extism_function_free((ExtismFunction *)numbers[i]);
        extism_compiled_plugin_free((ExtismCompiledPlugin *)numbers[i]);
        extism_plugin_new_error_free((char *)numbers[i]);
    }
}

/* Four threads free the same things, and cancel meanwhile: each is freed once. */
struct shared {
    ExtismPlugin *plugin;
    ExtismFunction *function;
    ExtismCompiledPlugin *compiled;
    const ExtismCancelHandle *handle;
};

static void *frees_all(void *arg)
{
    const struct shared *s = (const struct shared *)arg;

    extism_plugin_cancel(s->handle);
    extism_plugin_free(s->plugin);
    extism_plugin_cancel(s->handle);
    extism_function_free(s->function);
    extism_compiled_plugin_free(s->compiled);
    return NULL;
}

static void freed_by_four(void)
{
    for (int round = 0; round < 30; round++) {
        struct shared s;
        pthread_t threads[4];
        data_frees = 0;
        s.function = function_with("f", "", "", nothing, &data_frees, counts_free);
        s.compiled = guest_compile(SIX, &s.function, 1);
        s.plugin = guest_instance(s.compiled);
        s.handle = extism_plugin_cancel_handle(s.plugin);
        for (int i = 0; i < 4; i++)
            threads[i] = start(frees_all, &s);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        CHECK(data_frees == 1);
        CHECK(!extism_plugin_cancel(s.handle));
    }
}

/* A freed pointer is not given again, so an old one never reaches a newer plugin. */
static void never_again(void)
{
    enum { N = 300 };
    static void *seen[3][N];

    for (int i = 0; i < N; i++) {
        ExtismCompiledPlugin *compiled = guest_compile(SIX, NULL, 0);
        ExtismPlugin *plugin = guest_instance(compiled);
        ExtismFunction *f = function("f", "", "", nothing, NULL);
        seen[0][i] = compiled;
        seen[1][i] = plugin;
        seen[2][i] = f;
        for (int kind = 0; kind < 3; kind++)
            for (int j = 0; j < i; j++)
                CHECK(seen[kind][j] != seen[kind][i]);
        extism_function_free(f);
        extism_plugin_free(plugin);
        extism_compiled_plugin_free(compiled);
    }
}

static const struct test tests[] = {
    {"W3", "plugin", plugin},
    {"W3?", "plugin freed twice", plugin_freed_twice},
    {"W3", "compiled plugin", compiled},
    {"W3?", "function", freed_function},
    {"W3", "function freed twice", function_freed_twice},
    {"W3", "cancel handle", cancel_handle},
    {"W3?", "error text", error_text},
    {"W3", "texts that no creation gave", foreign_text},
    {"W3", "other kinds", other_kinds},
    {"W3", "wild numbers", wild_numbers},
    {"W3", "freed by four threads", freed_by_four},
    {"W3", "never given again", never_again},
};

RUN_TESTS(tests)
