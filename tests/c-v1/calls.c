/* Calls: their results and texts, and what a plugin keeps from one to the next. */
#include "guest.h"

#define PHRASE "error while executing at wasm backtrace"

#define OUTCOMES                                                                                                       \
    "(module " GUEST "(data (i32.const 0) \"said\")"                                                                   \
    "(func $say (call $error_set (call $block (i32.const 0) (i32.const 4))))"                                          \
    "(func (export \"plain\")) (func (export \"zero\") (result i32) (i32.const 0))"                                    \
    "(func (export \"seven\") (result i32) (i32.const 7))"                                                             \
    "(func (export \"minus\") (result i32) (i32.const -5))"                                                            \
    "(func (export \"say0\") (result i32) (call $say) (i32.const 0))"                                                  \
    "(func (export \"say1\") (result i32) (call $say) (i32.const 1))"                                                  \
    "(func (export \"unsay\") (call $say) (call $error_set (i64.const 0)))"                                            \
    "(func (export \"wide\") (result i64) (i64.const 1))"                                                              \
    "(func (export \"single\") (result f32) (f32.const 1))"                                                            \
    "(func (export \"double\") (result f64) (f64.const 1))"                                                            \
    "(func (export \"takes\") (param i32)) (func (export \"pair\") (result i32 i32) (i32.const 1) (i32.const 2))"      \
    "(func $f (export \"trap\") unreachable)"                                                                          \
    "(func (export \"say_trap\") (call $say) unreachable)"                                                             \
    "(func (export \"divide\") (drop (i32.div_s (i32.const 1) (i32.const 0))))"                                        \
    "(func (export \"outside\") (drop (i32.load (i32.const 99999999))))"                                               \
    "(func $deep (export \"deep\") (call $deep) (call $deep))"                                                         \
    "(func (export \"bad_key\") (drop (call $config_get (i64.const 99999))))"                                          \
    "(func (export \"fill\") (call $var_set (call $block (i32.const 0) (i32.const 4))"                               \
    "  (call $alloc (i64.const 2000000)))))"

static const struct outcome {
    const char *name, *function;
    int32_t rc;
    const char *part; /* of the error text; NULL: there must be none */
} outcomes[] = {
    {"no result", "plain", 0, NULL},
    {"result 0", "zero", 0, NULL},
    {"result 7", "seven", 7, NULL},
    {"negative result", "minus", -5, NULL},
    {"text with result 0", "say0", 0, "said"},
    {"text with result 1", "say1", 1, "said"},
    {"text taken back", "unsay", 0, NULL},
    {"unknown name", "nobody", -1, "Function not found: nobody"},
    {"empty name", "", -1, "Function not found: "},
    {"function with a parameter", "takes", -1, ""},
    {"two results", "pair", -1, ""},
    {"name not UTF-8", "\xff", -1, ""},
    {"trap", "trap", 134, PHRASE},
    {"division by zero", "divide", 134, PHRASE},
    {"load outside", "outside", 134, PHRASE},
    {"stack overflow", "deep", 134, PHRASE},
    {"text and trap", "say_trap", -1, "said"},
    {"bad handle", "bad_key", -1, ""},
    {"result i64", "wide", -1, ""},
    {"result f32", "single", -1, ""},
    {"result f64", "double", -1, ""},
    {"reason of a trap", "trap", 134, "unreachable"},
    {"reason of a division by zero", "divide", 134, "divi"},
    {"reason of a load outside", "outside", 134, "out of bounds"},
    {"reason of a stack overflow", "deep", 134, "stack"},
    {"trap after a text", "say_trap", -1, "unreachable"},
    {"reason of a bad handle", "bad_key", -1, "handle"},
    {"full store", "fill", -1, "tore is full"},
};

static void outcome(void)
{
    const struct outcome *row = TEST_ROW(outcome, outcomes);
    ExtismPlugin *plugin = guest_new(OUTCOMES);

    CHECK(plugin != NULL);
    for (int round = 0; round < 2; round++) {
        int32_t rc = guest_call(plugin, row->function, "input");
        CHECK(rc == row->rc);
        if (row->part)
            CHECK_HAS(extism_plugin_error(plugin), row->part);
        else
            CHECK(extism_plugin_error(plugin) == NULL);
        rc = guest_call(plugin, "seven", "");
        CHECK(rc == 7);
        CHECK(extism_plugin_error(plugin) == NULL);
    }
    extism_plugin_free(plugin);
}

/* The whole text, for those that suites compare. */
static void whole_texts(void)
{
    ExtismPlugin *plugin = guest_new(OUTCOMES);

    int32_t rc = guest_call(plugin, "nobody", "");
    CHECK(rc == -1);
    CHECK_TEXT(extism_plugin_error(plugin), "Function not found: nobody");
    CHECK_TEXT(extism_error(plugin), "Function not found: nobody");
    rc = guest_call(plugin, "say1", "");
    CHECK(rc == 1);
    CHECK_TEXT(extism_plugin_error(plugin), "said");
    rc = guest_call(plugin, "trap", "");
    CHECK(rc == 134);
    CHECK_STARTS(extism_plugin_error(plugin), PHRASE);
    extism_plugin_free(plugin);
}

static void few_frames(void)
{
    ExtismPlugin *plugin = guest_new(OUTCOMES);
    int lines = 0;

    int32_t rc = guest_call(plugin, "deep", "");
    CHECK(rc == 134);
    const char *text = extism_plugin_error(plugin);
    CHECK(text != NULL);
    for (const char *at = text ? text : ""; *at; at++)
        lines += *at == '\n';
    CHECK(lines <= 40);
    extism_plugin_free(plugin);
}

/* The guest's text comes first, and the trap after it. */
static void text_before_trap(void)
{
    ExtismPlugin *plugin = guest_new(OUTCOMES);

    int32_t rc = guest_call(plugin, "say_trap", "");
    CHECK(rc == -1);
    CHECK_STARTS(extism_plugin_error(plugin), "said");
    CHECK_HAS(extism_plugin_error(plugin), "unreachable");
    extism_plugin_free(plugin);
}

/* A function called `f` in the module's name section is not the C++ type that a demangler sees in it. */
static void symbols_as_they_are(void)
{
    ExtismPlugin *plugin = guest_new(OUTCOMES);

    int32_t rc = guest_call(plugin, "trap", "");
    CHECK(rc == 134);
    CHECK_HAS(extism_plugin_error(plugin), "f");
    CHECK(!text_has(extism_plugin_error(plugin), "float"));
    extism_plugin_free(plugin);
}

static void texts_name_the_function(void)
{
    static const char *const functions[] = {"wide", "takes", "pair"};
    ExtismPlugin *plugin = guest_new(OUTCOMES);

    for (size_t i = 0; i < COUNT(functions); i++) {
        int32_t rc = guest_call(plugin, functions[i], "");
        CHECK_CASE(functions[i], rc == -1);
        CHECK_HAS_CASE(functions[i], extism_plugin_error(plugin), functions[i]);
    }
    extism_plugin_free(plugin);
}

#define EXIT(n) "(func (export \"exit" #n "\") (result i32) (call $deep (i32.const " #n ")) (i32.const 55))"
#define EXITS                                                                                                          \
    "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"                               \
    "(memory (export \"memory\") 1) (func $deep (param i32) (call $exit (local.get 0)))"                               \
    EXIT(0) EXIT(1) EXIT(3) EXIT(125) EXIT(126) EXIT(1000) EXIT(-1)                                              \
    "(func (export \"six\") (result i32) (i32.const 6)))"

static const struct exit_code {
    const char *function;
    int32_t rc;
    const char *part, *status;
} exit_codes[] = {
    {"exit0", 0, NULL, NULL},
    {"exit1", 1, PHRASE, "exit status 1"},
    {"exit3", 3, PHRASE, "exit status 3"},
    {"exit125", 125, PHRASE, "exit status 125"},
    {"exit126", -1, PHRASE, "exit status 126"},
    {"exit1000", -1, PHRASE, "exit status 1000"},
    {"exit-1", -1, PHRASE, "exit status"},
};

static void check_exits(bool status)
{
    ExtismPlugin *plugin = guest_wasi(EXITS);

    CHECK(plugin != NULL);
    for (size_t i = 0; i < COUNT(exit_codes); i++) {
        const struct exit_code *row = &exit_codes[i];
        int32_t rc = guest_call(plugin, row->function, "");
        CHECK_CASE(row->function, rc == row->rc);
        const char *want = status ? row->status : row->part;
        if (want)
            CHECK_HAS_CASE(row->function, extism_plugin_error(plugin), want);
        else
            CHECK_CASE(row->function, extism_plugin_error(plugin) == NULL);
        rc = guest_call(plugin, "six", "");
        CHECK_CASE(row->function, rc == 6);
        CHECK_CASE(row->function, extism_plugin_error(plugin) == NULL);
    }
    extism_plugin_free(plugin);
}

static void exits(void) { check_exits(false); }
static void exits_with_status(void) { check_exits(true); }

static const struct test tests[] = {
    {NULL, "no result", outcome},
    {NULL, "result 0", outcome},
    {NULL, "result 7", outcome},
    {NULL, "negative result", outcome},
    {NULL, "text with result 0", outcome},
    {NULL, "text with result 1", outcome},
    {NULL, "text taken back", outcome},
    {NULL, "unknown name", outcome},
    {NULL, "empty name", outcome},
    {NULL, "function with a parameter", outcome},
    {NULL, "two results", outcome},
    {NULL, "name not UTF-8", outcome},
    {NULL, "trap", outcome},
    {NULL, "division by zero", outcome},
    {NULL, "load outside", outcome},
    {NULL, "stack overflow", outcome},
    {NULL, "text and trap", outcome},
    {NULL, "bad handle", outcome},
    {"W16", "result i64", outcome},
    {"W16", "result f32", outcome},
    {"W16", "result f64", outcome},
    {"W16", "reason of a trap", outcome},
    {"W16", "reason of a division by zero", outcome},
    {"W16", "reason of a load outside", outcome},
    {"W16", "reason of a stack overflow", outcome},
    {"W16", "reason of a bad handle", outcome},
    {"W16", "full store", outcome},
    {"W17", "trap after a text", outcome},
    {"W17", "the guest's text first, then the trap", text_before_trap},
    {"W16", "symbols as they are", symbols_as_they_are},
    {"texts", "texts name the function", texts_name_the_function},
    {NULL, "whole texts", whole_texts},
    {NULL, "at most 32 frames", few_frames},
    {NULL, "exit codes", exits},
    {"W16", "exit codes in the text", exits_with_status},
};

RUN_TESTS(tests)
