/* What today's SDKs need beside the obvious, a test or more for each, named after the SDK. Where another file tests the
   same in full, this one repeats the SDK's own steps. */
#include "acts.h"

#define TALKS                                                                                                          \
    "(module " GUEST "(data (i32.const 0) \"Some error message\") (data (i32.const 32) \"bad \\ff\")"                  \
    "(func $say (param i32 i32) (call $error_set (call $block (local.get 0) (local.get 1))))"                          \
    "(func (export \"run\") (call $output (call $input))) (func (export \"empty\"))"                                   \
    "(func (export \"say\") (result i32) (call $say (i32.const 0) (i32.const 18)) (i32.const 1))"                      \
    "(func (export \"bad\") (result i32) (call $say (i32.const 32) (i32.const 5)) (i32.const 1))"                      \
    "(func (export \"one\") (result i32) (i32.const 1)) (func (export \"trap\") unreachable)"                          \
    "(func (export \"loop\") (loop (br 0))) (func (export \"wide\") (result i64) (i64.const 1)))"

static ExtismPlugin *fixture(const char *name, const uint8_t **bytes, size_t *size)
{
    static uint8_t file[200000];
    char path[512];

    snprintf(path, sizeof path, "%s/%s", FIXTURES, name);
    FILE *in = fopen(path, "rb");
    if (!in) {
        perror(path);
        exit(1);
    }
    *size = fread(file, 1, sizeof file, in);
    *bytes = file;
    fclose(in);
    return extism_plugin_new(file, *size, NULL, 0, true, take_error());
}

/* python-sdk: each plugin is compiled, instantiated and configured; each call has a context. */
static void python(void)
{
    struct act act = act_of(NULL);
    ExtismCompiledPlugin *compiled = guest_compile(TALKS, NULL, 0);

    for (int i = 0; i < 3; i++) {
        ExtismPlugin *plugin = guest_instance(compiled);
        CHECK(guest_config(plugin, "{\"key\": \"value\", \"none\": null}"));
        CHECK(extism_plugin_call_with_host_context(plugin, "run", (const uint8_t *)"text", 4, &act) == 0);
        CHECK(guest_output_is(plugin, "text", 4));
        CHECK(extism_plugin_call_with_host_context(plugin, "say", (const uint8_t *)"", 0, &act) == 1);
        CHECK_TEXT(extism_plugin_error(plugin), "Some error message");
        extism_plugin_free(plugin);
    }
    extism_compiled_plugin_free(compiled);
}

/* python-sdk decodes errors strictly. */
static void python_text(void)
{
    ExtismPlugin *plugin = guest_new(TALKS);

    CHECK(guest_call(plugin, "bad", "") == 1);
    CHECK_STARTS(extism_plugin_error(plugin), "bad ");
    CHECK(!text_has(extism_plugin_error(plugin), "\xff"));
    extism_plugin_free(plugin);
}

/* ruby-sdk: user data without a free function, the deprecated error function, a plugin that is used after its free. */
static void adds_one(struct act *act, ExtismCurrentPlugin *current)
{
    (void)current;
    act->n++;
}

static void ruby(void)
{
    struct act act = act_of(adds_one);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(guest_answers(plugin, "go", "x", "x"));
    CHECK(act.n == 1);
    CHECK(guest_call(plugin, "nobody", "") == -1);
    CHECK_HAS(extism_error(plugin), "nobody");
    extism_plugin_free(plugin);
    CHECK(guest_call(NULL, "go", "") == -1);
    CHECK(extism_error(NULL) == NULL);
}

/* php-sdk: NULL for an empty input, and only the texts decide. */
static void php(void)
{
    char *text = NULL;
    ExtismPlugin *plugin = extism_plugin_new((const uint8_t *)TALKS, strlen(TALKS), NULL, 0, true, &text);

    CHECK(plugin && text == NULL);
    CHECK(extism_plugin_call(plugin, "run", NULL, 0) == 0);
    CHECK(extism_plugin_error(plugin) == NULL);
    CHECK(guest_call(plugin, "one", "") == 1);
    CHECK(guest_call(plugin, "run", "text") == 0);
    CHECK(extism_plugin_error(plugin) == NULL);
    extism_plugin_free(plugin);
    CHECK(extism_plugin_new((const uint8_t *)"x", 1, NULL, 0, true, &text) == NULL);
    CHECK(text && text[0]);
    extism_plugin_new_error_free(text);
}

/* php-sdk and dotnet-sdk take a failure without a text for a success; zig-sdk crashes. */
static void text_of_each_failure(void)
{
    static const char *const functions[] = {"trap", "nobody", "wide", "loop"};
    ExtismPlugin *plugin = guest_new(manifest_of(TALKS, ", \"timeout_ms\": 200"));

    for (size_t i = 0; i < COUNT(functions); i++) {
        CHECK_CASE(functions[i], guest_call(plugin, functions[i], "") != 0);
        CHECK_CASE(functions[i], extism_plugin_error(plugin) && extism_plugin_error(plugin)[0]);
    }
    extism_plugin_free(plugin);
}

/* cpp-sdk: several threads read equal outputs of one plugin. */
static void *runs(void *arg)
{
    ExtismPlugin *plugin = (ExtismPlugin *)arg;
    intptr_t wrong = 0;

    for (int i = 0; i < 300; i++)
        wrong += !guest_answers(plugin, "run", "the same for all", "the same for all");
    return (void *)wrong;
}

static void cpp(void)
{
    ExtismPlugin *plugin = guest_new(TALKS);
    pthread_t threads[6];

    for (size_t i = 0; i < COUNT(threads); i++)
        threads[i] = start(runs, plugin);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK(wrong == NULL);
    }
    extism_plugin_free(plugin);
}

/* cpp-sdk: user data is a member of an object on the stack of the caller of plugin_free. */
static void destroys(void *data) { ++*(int *)data; }

static void nothing(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                    void *data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out, (void)data;
}

static void cpp_destructor(void)
{
    int destroyed = 0;
    ExtismFunction *f = function_with("f", "", "", nothing, &destroyed, destroys);
    ExtismPlugin *plugin = guest_with(TALKS, &f, 1, false);

    extism_function_free(f);
    CHECK(destroyed == 0);
    extism_plugin_free(plugin);
    CHECK(destroyed == 1);
}

/* java-sdk: handles and sizes are ints; the output is dereferenced even if it is empty. */
static void reads_as_java(struct act *act, ExtismCurrentPlugin *current)
{
    int32_t handle = (int32_t)extism_current_plugin_memory_alloc(current, 100000);
    int32_t length = (int32_t)extism_current_plugin_memory_length(current, (ExtismMemoryHandle)(int64_t)handle);

    act->ok = handle > 0 && length == 100000 && (int64_t)act->in == (int64_t)(int32_t)act->in;
}

static void java(void)
{
    struct act act = act_of(reads_as_java);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(guest_call(plugin, "go", "input") == 0);
    CHECK(act.ok);
    CHECK(guest_call(plugin, "go", "") == 0);
    CHECK(extism_plugin_output_length(plugin) == 0);
    CHECK(extism_plugin_output_data(plugin) != NULL);
    extism_plugin_free(plugin);
}

/* zig-sdk: strlen from the base of the memory; levels are written with a capital. */
static void reads_as_zig(struct act *act, ExtismCurrentPlugin *current)
{
    act->ok = strlen((const char *)extism_current_plugin_memory(current)) == 0;
}

static void zig(void)
{
    struct act act = act_of(reads_as_zig);
    ExtismPlugin *plugin = act_plugin(ACT_GUEST, &act);

    CHECK(extism_log_file("stderr", "Debug"));
    CHECK(guest_call(plugin, "go", "input") == 0);
    CHECK(act.ok);
    extism_plugin_free(plugin);
}

/* haskell-sdk: errmsg is uninitialised memory; functions are freed as soon as the plugin is there. */
static void haskell(void)
{
    struct act act = act_of(adds_one);
    char *text = (char *)(uintptr_t)0xa5a5a5a5;
    ExtismFunction *f = function("act", "I", "I", act_now, &act);
    const ExtismFunction *functions[] = {f};
    ExtismPlugin *plugin =
        extism_plugin_new((const uint8_t *)ACT_GUEST, strlen(ACT_GUEST), functions, 1, true, &text);

    extism_function_free(f);
    CHECK(plugin != NULL);
    CHECK(guest_answers(plugin, "go", "x", "x"));
    CHECK(act.n == 1 && extism_plugin_error(plugin) == NULL);
    extism_plugin_free(plugin);
    CHECK(extism_plugin_new((const uint8_t *)"x", 1, NULL, 0, true, &text) == NULL);
    CHECK(text && text[0]);
    extism_plugin_new_error_free(text);
}

/* Whether the drained lines had one of level error, and one of level trace. */
static bool saw_error, saw_trace;

static void takes(const char *data, ExtismSize size)
{
    (void)size;
    saw_error |= text_has(data, "ERROR");
    saw_trace |= text_has(data, "TRACE");
}

/* perl-sdk: the guest's own text, a log line at level error, an idle cancel that says true, tight fuel. */
static void perl(void)
{
    ExtismPlugin *plugin = guest_new(TALKS);

    CHECK(extism_log_custom("error"));
    CHECK(guest_call(plugin, "say", "") == 1);
    CHECK_TEXT(extism_plugin_error(plugin), "Some error message");
    CHECK(guest_call(plugin, "nobody", "") == -1);
    extism_log_drain(takes);
    CHECK(saw_error);
    CHECK(extism_plugin_cancel(extism_plugin_cancel_handle(plugin)));
    extism_plugin_free(plugin);
}

static void perl_fuel(void)
{
    const uint8_t *wasm;
    size_t size;
    ExtismPlugin *plugin = fixture("count_vowels.v1.wasm", &wasm, &size);

    CHECK(guest_call(plugin, "count_vowels", "this is a test") == 0);
    extism_plugin_free(plugin);
    plugin = extism_plugin_new_with_fuel_limit(wasm, size, NULL, 0, true, 100000, take_error());
    CHECK(plugin && guest_call(plugin, "count_vowels", "this is a test") == 0);
    extism_plugin_free(plugin);
    plugin = extism_plugin_new_with_fuel_limit(wasm, size, NULL, 0, true, 5, take_error());
    CHECK(!plugin || guest_call(plugin, "count_vowels", "this is a test") == -1);
    CHECK_HAS(plugin ? extism_plugin_error(plugin) : creation_error, "fuel");
    extism_plugin_free(plugin);
}

/* ocaml-sdk: no error after a success, something in the log at trace. It opens the library with RTLD_GLOBAL. */
static void ocaml(void)
{
    CHECK(extism_log_custom("trace"));
    ExtismPlugin *plugin = guest_new(TALKS);
    CHECK(guest_call(plugin, "nobody", "") == -1);
    CHECK(guest_answers(plugin, "run", "x", "x"));
    CHECK(extism_plugin_error(plugin) == NULL);
    extism_log_drain(takes);
    CHECK(saw_trace);
    extism_plugin_free(plugin);
}

/* dotnet-sdk: the word timeout after a cancel too; phrase and code after an exit. */
static void *cancels(void *plugin)
{
    sleep_ms(200);
    extism_plugin_cancel(extism_plugin_cancel_handle((ExtismPlugin *)plugin));
    return NULL;
}

static void dotnet(void)
{
    ExtismPlugin *plugin = guest_new(TALKS);
    pthread_t thread = start(cancels, plugin);

    CHECK(guest_call(plugin, "loop", "") == 134);
    pthread_join(thread, NULL);
    CHECK_HAS(extism_plugin_error(plugin), "timeout");
    extism_plugin_free(plugin);
    plugin = guest_wasi("(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
                        "(memory (export \"memory\") 1) (func (export \"exit\") (call $exit (i32.const 3))))");
    CHECK(guest_call(plugin, "exit", "") == 3);
    CHECK_HAS(extism_plugin_error(plugin), "error while executing at wasm backtrace");
    extism_plugin_free(plugin);
}

/* dotnet-sdk reads a bool as four bytes; haskell-sdk wants exactly 0 or 1. So both see all of the register. */
typedef uint32_t (*Word1)(const void *);
typedef uint32_t (*Word2)(const void *, const void *);
typedef uint32_t (*Word3)(const void *, const void *, uint64_t);

static void dotnet_bools(void)
{
    Word2 exists = (Word2)(void (*)(void))extism_plugin_function_exists;
    Word3 config = (Word3)(void (*)(void))extism_plugin_config;
    Word1 reset = (Word1)(void (*)(void))extism_plugin_reset, cancel = (Word1)(void (*)(void))extism_plugin_cancel;
    ExtismPlugin *plugin = guest_new(TALKS);

    CHECK(exists(plugin, "run") == 1);
    CHECK(exists(plugin, "nobody") == 0);
    CHECK(exists(NULL, "run") == 0);
    CHECK(config(plugin, "{\"a\": \"b\"}", 10) == 1);
    CHECK(config(plugin, "nonsense", 8) == 0);
    CHECK(config(NULL, "{}", 2) == 0);
    CHECK(reset(plugin) == 1);
    CHECK(cancel(extism_plugin_cancel_handle(plugin)) == 1);
    extism_plugin_free(plugin);
}

static void dotnet_bools_of_logs(void)
{
    Word2 file = (Word2)(void (*)(void))extism_log_file;
    Word1 custom = (Word1)(void (*)(void))extism_log_custom;

    CHECK(custom("info") == 1);
    CHECK(custom("info") <= 1);
    CHECK(file("stderr", "off") <= 1);
}

/* The C example of upstream: a filter for a level. */
static void c_filter(void)
{
    CHECK(extism_log_custom("extism=trace,cranelift=debug"));
    ExtismPlugin *plugin = guest_new(TALKS);
    CHECK(guest_call(plugin, "empty", "") == 0);
    extism_log_drain(takes);
    CHECK(saw_trace);
    extism_plugin_free(plugin);
}

static const struct test tests[] = {
    {NULL, "python", python},
    {"texts", "python, text", python_text},
    {NULL, "ruby", ruby},
    {NULL, "php", php},
    {"W16", "php, dotnet, zig: a text of each failure", text_of_each_failure},
    {NULL, "cpp", cpp},
    {NULL, "cpp, destructor", cpp_destructor},
    {NULL, "java", java},
    {NULL, "zig", zig},
    {NULL, "haskell", haskell},
    {NULL, "perl", perl},
    {NULL, "perl, fuel", perl_fuel},
    {NULL, "ocaml", ocaml},
    {NULL, "dotnet", dotnet},
    {"W23?", "dotnet, haskell: bools", dotnet_bools},
    {"W23", "dotnet: bools of logs", dotnet_bools_of_logs},
    {NULL, "c, filter", c_filter},
};

RUN_TESTS(tests)
