/* Compiled plugins: what they check, what their instances share, and how long they are needed. */
#include "guest.h"

#define COUNTER                                                                                                        \
    "(module " GUEST "(global $n (mut i32) (i32.const 0)) (data (i32.const 0) \"k\")"                                  \
    "(func (export \"count\") (result i32)"                                                                            \
    "  (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"                                       \
    "(func $answer (param $at i64) (result i32)"                                                                       \
    "  (if (i64.eqz (local.get $at)) (then (return (i32.const 99))))"                                                  \
    "  (call $output (local.get $at)) (i32.const 0))"                                                                  \
    "(func (export \"config\") (result i32) (call $answer (call $config_get (call $input))))"                          \
    "(func $k (result i64) (call $block (i32.const 0) (i32.const 1)))"                                                 \
    "(func (export \"set_var\") (call $var_set (call $k) (call $input)))"                                              \
    "(func (export \"var\") (result i32) (call $answer (call $var_get (call $k)))))"

static void instances_share_nothing(void)
{
    ExtismCompiledPlugin *compiled = guest_compile(COUNTER, NULL, 0);
    ExtismPlugin *one = guest_instance(compiled), *two = guest_instance(compiled);

    CHECK(one && two && one != two);
    CHECK(memcmp(extism_plugin_id(one), extism_plugin_id(two), 16) != 0);
    CHECK(extism_plugin_cancel_handle(one) != extism_plugin_cancel_handle(two));
    CHECK(guest_config(one, "{\"a\": \"1\"}"));
    CHECK(guest_call(one, "set_var", "mine") == 0);
    CHECK(guest_call(one, "count", "") == 1 && guest_call(one, "count", "") == 2);
    CHECK(guest_call(two, "count", "") == 1);
    CHECK(guest_call(two, "config", "a") == 99);
    CHECK(guest_call(two, "var", "") == 99);
    ExtismPlugin *three = guest_instance(compiled);
    CHECK(guest_call(three, "config", "a") == 99);
    CHECK(guest_answers(one, "config", "a", "1"));
    extism_plugin_free(one);
    extism_plugin_free(two);
    extism_plugin_free(three);
    extism_compiled_plugin_free(compiled);
}

static void instances_outlive_it(void)
{
    ExtismCompiledPlugin *compiled = guest_compile(COUNTER, NULL, 0);
    ExtismPlugin *plugin = guest_instance(compiled);

    extism_compiled_plugin_free(compiled);
    CHECK(guest_call(plugin, "count", "") == 1);
    CHECK(guest_call(plugin, "count", "") == 2);
    extism_plugin_free(plugin);
}

/* Config of the manifest is each instance's. */
static void manifest_config(void)
{
    ExtismCompiledPlugin *compiled =
        guest_compile(manifest_of(COUNTER, ", \"config\": {\"a\": \"1\", \"b\": \"2\"}"), NULL, 0);
    ExtismPlugin *one = guest_instance(compiled), *two = guest_instance(compiled);

    CHECK(guest_config(one, "{\"a\": null, \"b\": \"3\"}"));
    CHECK(guest_call(one, "config", "a") == 99);
    CHECK(guest_answers(one, "config", "b", "3"));
    CHECK(guest_answers(two, "config", "a", "1"));
    CHECK(guest_answers(two, "config", "b", "2"));
    extism_plugin_free(one);
    extism_plugin_free(two);
    extism_compiled_plugin_free(compiled);
}

/* Compiling finds faults of the bytes; linking, which is each instance's, finds the others. */
static void faults_of_instances(void)
{
    static const char *const cases[] = {
        "(module (import \"extism:host/user\" \"kv_read\" (func)))",
        "(module (func $f unreachable) (start $f))",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        ExtismCompiledPlugin *compiled = guest_compile(cases[i], NULL, 0);
        CHECK_CASE(cases[i], compiled != NULL);
        for (int round = 0; round < 2; round++) {
            ExtismPlugin *plugin = guest_instance(compiled);
            CHECK_CASE(cases[i], plugin == NULL);
            CHECK_STARTS_CASE(cases[i], creation_error, "Unable to create Extism plugin: ");
        }
        extism_compiled_plugin_free(compiled);
    }
}

static void unknown_import(void)
{
    ExtismCompiledPlugin *compiled = guest_compile("(module " USER "\"kv_read\" (func)))", NULL, 0);

    CHECK(guest_instance(compiled) == NULL);
    CHECK_HAS(creation_error, "unknown import: `extism:host/user::kv_read` has not been defined");
    extism_compiled_plugin_free(compiled);
}

static void faults_of_bytes(void)
{
    static const char *const cases[] = {"", "{}", "nonsense", "(module (func i32.const))",
                                        "{\"wasm\": [{\"path\": \"/nowhere/at/all.wasm\"}]}"};

    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK_CASE(cases[i], guest_compile(cases[i], NULL, 0) == NULL);
        CHECK_STARTS_CASE(cases[i], creation_error, "Unable to compile Extism plugin: ");
    }
}

static void adds(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                 void *data)
{
    (void)plugin, (void)n_in, (void)n_out;
    out[0].v.i64 = in[0].v.i64 + *(int64_t *)data;
}

static void functions_are_shared(void)
{
    int64_t three = 3;
    ExtismFunction *add = function("add", "I", "I", adds, &three);
    ExtismCompiledPlugin *compiled = guest_compile(
        "(module " USER "\"add\" (func $add (param i64) (result i64)))"
        "(func (export \"f\") (result i32) (i32.wrap_i64 (call $add (i64.const 4)))))", &add, 1);
    extism_function_free(add);
    ExtismPlugin *one = guest_instance(compiled), *two = guest_instance(compiled);

    extism_compiled_plugin_free(compiled);
    CHECK(guest_call(one, "f", "") == 7);
    extism_plugin_free(one);
    three = 6;
    CHECK(guest_call(two, "f", "") == 10);
    extism_plugin_free(two);
}

struct maker {
    const ExtismCompiledPlugin *compiled;
    int failures;
};

static void *makes(void *arg)
{
    struct maker *maker = (struct maker *)arg;

    for (int i = 0; i < 20; i++) {
        ExtismPlugin *plugin = extism_plugin_new_from_compiled(maker->compiled, NULL);
        for (int c = 1; c <= 5; c++)
            maker->failures += extism_plugin_call(plugin, "count", NULL, 0) != c;
        extism_plugin_free(plugin);
    }
    return NULL;
}

static void many_threads(void)
{
    ExtismCompiledPlugin *compiled = guest_compile(COUNTER, NULL, 0);
    struct maker makers[8];
    pthread_t threads[8];

    for (size_t i = 0; i < 8; i++) {
        makers[i].compiled = compiled;
        makers[i].failures = 0;
        threads[i] = start(makes, &makers[i]);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        CHECK(makers[i].failures == 0);
    }
    extism_compiled_plugin_free(compiled);
}

/* The bytes and the functions' array are the caller's again once a creation is over. */
static void arguments_are_borrowed(void)
{
    char *text = strdup(COUNTER);
    ExtismCompiledPlugin *compiled = guest_compile(text, NULL, 0);

    memset(text, 0, strlen(text));
    free(text);
    ExtismPlugin *plugin = guest_instance(compiled);
    CHECK(guest_call(plugin, "count", "") == 1);
    extism_plugin_free(plugin);
    extism_compiled_plugin_free(compiled);
}

static const struct test tests[] = {
    {NULL, "instances share nothing", instances_share_nothing},
    {NULL, "instances outlive it", instances_outlive_it},
    {NULL, "config of the manifest", manifest_config},
    {NULL, "faults of instances", faults_of_instances},
    {NULL, "unknown import", unknown_import},
    {NULL, "faults of bytes", faults_of_bytes},
    {NULL, "functions are shared", functions_are_shared},
    {NULL, "many threads", many_threads},
    {NULL, "arguments are borrowed", arguments_are_borrowed},
};

RUN_TESTS(tests)
