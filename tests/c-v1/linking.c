/* Which host function an import gets, and from where guests may call it. */
#include "guest.h"

/* A host function `() -> i32` that answers the number at `data` and counts itself. */
struct answer {
    int32_t number;
    int calls;
};

static void answers(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out,
                    ExtismSize n_out, void *data)
{
    struct answer *answer = (struct answer *)data;

    (void)plugin, (void)in, (void)n_in;
    answer->calls++;
    if (n_out)
        out[0].v.i64 = answer->number;
}

#define GO(namespace)                                                                                                  \
    "(module (import \"" namespace "\" \"f\" (func $f (result i32))) (func (export \"go\") (result i32) (call $f)))"

static void check_go(ExtismPlugin *plugin, int32_t want)
{
    CHECK(plugin != NULL);
    if (!plugin)
        fprintf(stderr, "%s\n", creation_error);
    CHECK(guest_call(plugin, "go", "") == want);
    extism_plugin_free(plugin);
}

/* Of two equal functions the later one wins. */
static void later_wins(void)
{
    struct answer one = {1, 0}, two = {2, 0};
    ExtismFunction *functions[] = {function("f", "", "i", answers, &one), function("f", "", "i", answers, &two)};

    check_go(guest_with(GO("extism:host/user"), functions, 2, false), 2);
    extism_function_free(functions[0]);
    extism_function_free(functions[1]);
    CHECK(one.calls == 0 && two.calls == 1);
}

static void namespaces(void)
{
    struct answer answer[3] = {{1, 0}, {2, 0}, {3, 0}};
    ExtismFunction *f[3];

    for (int i = 0; i < 3; i++)
        f[i] = function("f", "", "i", answers, &answer[i]);
    extism_function_set_namespace(f[1], "other");
    extism_function_set_namespace(f[2], "first");
    extism_function_set_namespace(f[2], "env");
    ExtismPlugin *plugin = guest_with("(module (import \"extism:host/user\" \"f\" (func $a (result i32)))"
                                      "(import \"other\" \"f\" (func $b (result i32)))"
                                      "(import \"env\" \"f\" (func $c (result i32)))"
                                      "(func (export \"go\") (result i32) (i32.add (i32.mul (call $a) (i32.const 100))"
                                      " (i32.add (i32.mul (call $b) (i32.const 10)) (call $c)))))",
                                      f, 3, false);
    /* Too late for this plugin. */
    extism_function_set_namespace(f[0], "elsewhere");
    check_go(plugin, 123);
    ExtismFunction *one = function("f", "", "i", answers, &answer[0]);
    extism_function_set_namespace(one, "first");
    CHECK(guest_with(GO("extism:host/user"), &one, 1, false) == NULL);
    CHECK_HAS(creation_error, "unknown import: `extism:host/user::f` has not been defined");
    extism_function_free(one);
    for (int i = 0; i < 3; i++)
        extism_function_free(f[i]);
}

/* A module of the manifest that bears a namespace's name comes before host functions. */
static void modules_first(void)
{
    struct answer answer = {1, 0};
    ExtismFunction *f = function("f", "", "i", answers, &answer);

    check_go(guest_with(manifest("{\"wasm\": [{\"name\": \"extism:host/user\", \"data\": \"%s\"},"
                                 " {\"name\": \"main\", \"data\": \"%s\"}]}",
                                 "(module (func (export \"f\") (result i32) (i32.const 9)))",
                                 GO("extism:host/user"), NULL),
                        &f, 1, false),
             9);
    CHECK(answer.calls == 0);
    extism_function_free(f);
}

/* A host function may replace one of WASI or of the guest ABI. */
static void replaces_wasi(void)
{
    struct answer answer = {42, 0};
    ExtismFunction *f = function("sched_yield", "", "i", answers, &answer);

    extism_function_set_namespace(f, "wasi_snapshot_preview1");
    check_go(guest_with("(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func $f (result i32)))"
                        "(memory (export \"memory\") 1) (func (export \"go\") (result i32) (call $f)))",
                        &f, 1, true),
             42);
    CHECK(answer.calls == 1);
    extism_function_free(f);
}

static void check_replaces(const char *name, const char *params, const char *results, const char *wat)
{
    struct answer answer = {42, 0};
    ExtismFunction *f = function(name, params, results, answers, &answer);

    extism_function_set_namespace(f, "extism:host/env");
    check_go(guest_with(wat, &f, 1, false), 42);
    CHECK(answer.calls == 1);
    extism_function_free(f);
}

static void replaces_alloc(void)
{
    check_replaces("alloc", "I", "I",
                   "(module " ENV "\"alloc\" (func $f (param i64) (result i64)))"
                   "(func (export \"go\") (result i32) (i32.wrap_i64 (call $f (i64.const 8)))))");
}

static void replaces_config(void)
{
    check_replaces("config_get", "I", "I",
                   "(module " ENV "\"config_get\" (func $f (param i64) (result i64)))"
                   "(func (export \"go\") (result i32) (i32.wrap_i64 (call $f (i64.const 8)))))");
}

/* A module of that name is no way for an untrusted manifest to stand between a plugin and its host. */
static void modules_never_shadow(void)
{
    ExtismPlugin *plugin = guest_new(manifest("{\"wasm\": [{\"name\": \"extism:host/env\", \"data\": \"%s\"},"
                                              " {\"name\": \"main\", \"data\": \"%s\"}]}",
                                              "(module (func (export \"input_length\") (result i64) (i64.const 99)))",
                                              "(module " ENV "\"input_length\" (func $f (result i64)))"
                                              "(func (export \"go\") (result i32) (i32.wrap_i64 (call $f))))", NULL));

    CHECK(!plugin || extism_plugin_call(plugin, "go", (const uint8_t *)"four", 4) == 4);
    CHECK(plugin || creation_error);
    extism_plugin_free(plugin);
}

static void unused(void)
{
    struct answer answer = {1, 0};
    ExtismFunction *functions[] = {function("a", "I", "F", answers, &answer), function("f", "", "i", answers, &answer),
                                   function("b", "", "", answers, &answer)};

    check_go(guest_with(GO("extism:host/user"), functions, 3, false), 1);
    for (size_t i = 0; i < COUNT(functions); i++)
        extism_function_free(functions[i]);
}

#define TWO_MODULES "{\"wasm\": [{\"name\": \"lib\", \"data\": \"%s\"}, {\"name\": \"main\", \"data\": \"%s\"}]}"

/* A library of the manifest imports it, a table holds it, a reference to it is passed, it is exported again. */
static void from_library(void)
{
    struct answer answer = {5, 0};
    ExtismFunction *f = function("f", "", "i", answers, &answer);

    check_go(guest_with(manifest(TWO_MODULES,
                                 "(module " USER "\"f\" (func $f (result i32)))"
                                 "(func (export \"twice\") (result i32) (i32.add (call $f) (call $f))))",
                                 "(module (import \"lib\" \"twice\" (func $f (result i32)))"
                                 "(func (export \"go\") (result i32) (call $f)))", NULL),
                        &f, 1, false),
             10);
    extism_function_free(f);
}

static void from_table(void)
{
    static const char *const cases[] = {
        "(module " USER "\"f\" (func $f (result i32))) (type $t (func (result i32))) (table 2 funcref)"
        "(elem (i32.const 1) func $f) (func (export \"go\") (result i32) (call_indirect (type $t) (i32.const 1))))",
        "(module " USER "\"f\" (func $f (result i32))) (type $t (func (result i32))) (table $u 4 funcref)"
        "(elem declare func $f) (func (export \"go\") (result i32) (table.set $u (i32.const 3) (ref.func $f))"
        " (call_indirect $u (type $t) (i32.const 3))))",
        "(module " USER "\"f\" (func $f (result i32))) (export \"go\" (func $f)))",
    };
    struct answer answer = {5, 0};

    for (size_t i = 0; i < COUNT(cases); i++)
        check_go(guest_hosted(cases[i], "f", "", "i", answers, &answer), 5);
    CHECK(answer.calls == 3);
}

/* A table that two modules share: one fills it with the host function, the other calls through it. */
static void from_shared_table(void)
{
    struct answer answer = {5, 0};
    ExtismFunction *f = function("f", "", "i", answers, &answer);

    check_go(guest_with(manifest(TWO_MODULES,
                                 "(module " USER "\"f\" (func $f (result i32))) (table (export \"t\") 2 funcref)"
                                 "(elem (i32.const 1) func $f))",
                                 "(module (import \"lib\" \"t\" (table 2 funcref)) (type $t (func (result i32)))"
                                 "(func (export \"go\") (result i32) (call_indirect (type $t) (i32.const 1))))", NULL),
                        &f, 1, false),
             5);
    extism_function_free(f);
}

/* The same function for several plugins, one after the other and at once. */
static void several_plugins(void)
{
    struct answer answer = {5, 0};
    ExtismFunction *f = function("f", "", "i", answers, &answer);
    ExtismPlugin *one = guest_with(GO("extism:host/user"), &f, 1, false);
    ExtismPlugin *two = guest_with(GO("extism:host/user"), &f, 1, false);

    CHECK(one && two);
    CHECK(guest_call(one, "go", "") == 5);
    extism_plugin_free(one);
    check_go(two, 5);
    check_go(guest_with(GO("extism:host/user"), &f, 1, false), 5);
    extism_function_free(f);
}

static void failing_creation_spends_nothing(void)
{
    struct answer answer = {5, 0};
    ExtismFunction *f = function("f", "", "i", answers, &answer);

    CHECK(guest_with("nonsense", &f, 1, false) == NULL);
    CHECK(guest_with(GO("elsewhere"), &f, 1, false) == NULL);
    CHECK(guest_compile("nonsense", &f, 1) == NULL);
    check_go(guest_with(GO("extism:host/user"), &f, 1, false), 5);
    extism_function_free(f);
}

static const struct test tests[] = {
    {NULL, "the later of two", later_wins},
    {NULL, "namespaces", namespaces},
    {NULL, "modules before host functions", modules_first},
    {NULL, "a function of WASI replaced", replaces_wasi},
    {NULL, "alloc replaced", replaces_alloc},
    {NULL, "config_get replaced", replaces_config},
    {NULL, "modules never shadow the guest ABI", modules_never_shadow},
    {NULL, "unused functions", unused},
    {NULL, "called by a library", from_library},
    {NULL, "called through tables and as an export", from_table},
    {NULL, "called through a shared table", from_shared_table},
    {"reuse", "several plugins", several_plugins},
    {"W18", "a failing creation spends nothing", failing_creation_spends_nothing},
};

RUN_TESTS(tests)
