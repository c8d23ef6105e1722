/* Creating plugins: what is accepted, the messages of failures, ids. */
#include "guest.h"

#define COMPILE "Unable to compile Extism plugin: "

static void what_makes_a_plugin(void)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
    } cases[] = {
        {"binary", "\0asm\1\0\0\0", 8},
        {"text", "(module)", 8},
        {"text with a space", "( module)", 9},
        {"line comment", ";; a comment\n(module)", 21},
        {"block comment", "(; a comment ;)(module)", 23},
        {"comment after blanks", "  ;; a comment\n(module)", 23},
        {"JSON", "{\"wasm\": [{\"data\": \"AGFzbQEAAAA=\"}]}", 36},
        {"TOML", "[[wasm]]\ndata = \"AGFzbQEAAAA=\"\n", 31},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int wasi = 0; wasi < 2; wasi++) {
            char *text = NULL;
            ExtismPlugin *plugin =
                extism_plugin_new((const uint8_t *)cases[i].bytes, cases[i].len, NULL, 0, wasi == 1, &text);
            CHECK_CASE(cases[i].name, plugin != NULL);
            CHECK_CASE(cases[i].name, text == NULL);
            extism_plugin_free(plugin);
        }
    }
}

static void check_failure(ExtismPlugin *plugin, const char *start, const char *part, const char *which)
{
    CHECK_CASE(which, plugin == NULL);
    CHECK_STARTS_CASE(which, creation_error, start);
    CHECK_HAS_CASE(which, creation_error, part);
}

static void texts_of_failures(void)
{
    static const struct {
        const char *wasm, *start, *part;
    } cases[] = {
        {"(modul", COMPILE, ""},
        {"(module (import \"extism:host/user\" \"kv_read\" (func)))",
         COMPILE "unknown import: `extism:host/user::kv_read` has not been defined", ""},
        {"(module (import \"a\" \"b\" (func)))", COMPILE "unknown import: `a::b` has not been defined", ""},
        {"(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))))", COMPILE,
         "unknown import: `wasi_snapshot_preview1::proc_exit` has not been defined"},
        {"(module (import \"extism:host/env\" \"nothing\" (func)))", COMPILE, "nothing"},
        {"(module (func i32.const))", COMPILE, ""},
        {"(module (func (result i32)))", COMPILE, ""},
        {"(module (func $f unreachable) (start $f))", "Unable to c", ""},
        {"{\"wasm\": [{\"path\": \"/nowhere/at/all.wasm\"}]}", COMPILE, ""},
        {"{\"wasm\": []}", COMPILE, "No wasm files specified"},
        {"{}", COMPILE, "No wasm files specified"},
        {"", COMPILE, "No wasm files specified"},
        {"nonsense", COMPILE, ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        check_failure(guest_new(cases[i].wasm), cases[i].start, cases[i].part, cases[i].wasm);
}

/* The whole text that suites compare. */
static void unknown_import(void)
{
    ExtismPlugin *plugin = guest_new("(module (import \"extism:host/user\" \"kv_read\" (func)))");

    CHECK(plugin == NULL);
    CHECK_TEXT(creation_error,
               COMPILE "unknown import: `extism:host/user::kv_read` has not been defined");
}

static void no_input(void)
{
    check_failure(extism_plugin_new(NULL, 0, NULL, 0, false, take_error()), COMPILE, "", "NULL, 0");
}

static void reason_of_start_trap(void)
{
    check_failure(guest_new("(module (func $f unreachable) (start $f))"), "Unable to c", "unreachable", "");
}

/* In upstream's words linking includes the start section. */
static void words_of_start_trap(void)
{
    check_failure(guest_new("(module (func $f unreachable) (start $f))"), COMPILE, "", "");
}

static void reason_of_missing_file(void)
{
    check_failure(guest_new("{\"wasm\": [{\"path\": \"/nowhere/at/all.wasm\"}]}"), COMPILE, "/nowhere/at/all.wasm", "");
}

static void reason_of_missing_directory(void)
{
    ExtismPlugin *plugin = guest_wasi(manifest_of(
        "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))) (memory (export \"memory\") 1))",
        ", \"allowed_paths\": {\"/nowhere/dir\": \"/\"}"));

    check_failure(plugin, "Unable to", "/nowhere/dir", "");
}

/* A pointer to the message that no creation has written is as the caller left it, whatever that is. */
static void success_leaves_errmsg(void)
{
    char *const garbage = (char *)(uintptr_t)0x7;
    const uint8_t *wasm = (const uint8_t *)"(module)";
    char *text = garbage;

    ExtismPlugin *plugin = extism_plugin_new(wasm, 8, NULL, 0, false, &text);
    CHECK(plugin && text == garbage);
    extism_plugin_free(plugin);
    plugin = extism_plugin_new_with_fuel_limit(wasm, 8, NULL, 0, false, 100000, &text);
    CHECK(plugin && text == garbage);
    extism_plugin_free(plugin);
    ExtismCompiledPlugin *compiled = extism_compiled_plugin_new_with_fuel_limit(wasm, 8, NULL, 0, false, 100000, &text);
    CHECK(compiled && text == garbage);
    extism_compiled_plugin_free(compiled);
    compiled = extism_compiled_plugin_new(wasm, 8, NULL, 0, false, &text);
    CHECK(compiled && text == garbage);
    plugin = extism_plugin_new_from_compiled(compiled, &text);
    CHECK(plugin && text == garbage);
    extism_plugin_free(plugin);
    extism_compiled_plugin_free(compiled);
}

/* Makes something that cannot be made, with one of the five creators. */
static const void *fail_to_create(int creator, const ExtismCompiledPlugin *unlinked, char **errmsg)
{
    const uint8_t *wasm = (const uint8_t *)"nonsense";

    switch (creator) {
    case 0: return extism_plugin_new(wasm, 8, NULL, 0, false, errmsg);
    case 1: return extism_plugin_new_with_fuel_limit(wasm, 8, NULL, 0, false, 9, errmsg);
    case 2: return extism_compiled_plugin_new(wasm, 8, NULL, 0, false, errmsg);
    case 3: return extism_compiled_plugin_new_with_fuel_limit(wasm, 8, NULL, 0, false, 9, errmsg);
    default: return extism_plugin_new_from_compiled(unlinked, errmsg);
    }
}

/* Each creator writes its message over memory that nobody has initialised, and does without a place for it. */
static void every_failure_writes_errmsg(void)
{
    char *const garbage = (char *)(uintptr_t)0xdeadbeef;
    ExtismCompiledPlugin *unlinked = guest_compile("(module (import \"a\" \"b\" (func)))", NULL, 0);

    CHECK(unlinked != NULL);
    for (int creator = 0; creator < 5; creator++) {
        char *text = garbage;
        CHECK(fail_to_create(creator, unlinked, NULL) == NULL);
        CHECK(fail_to_create(creator, unlinked, &text) == NULL);
        CHECK(text != garbage && text != NULL && text[0]);
        if (text != garbage)
            extism_plugin_new_error_free(text);
    }
    extism_plugin_new_error_free(NULL);
    extism_compiled_plugin_free(unlinked);
}

static void null_entry(void)
{
    ExtismFunction *none = NULL;

    ExtismPlugin *plugin = guest_with("(module)", &none, 1, false);
    CHECK(plugin == NULL);
    CHECK_TEXT(creation_error, "Cannot pass null pointer");
    ExtismCompiledPlugin *compiled = guest_compile("(module)", &none, 1);
    CHECK(compiled == NULL);
    CHECK_TEXT(creation_error, "Cannot pass null pointer");
}

static void null_array(void)
{
    ExtismPlugin *plugin = guest_with("(module)", NULL, 5, false);
    CHECK(plugin != NULL);
    extism_plugin_free(plugin);
    ExtismFunction *unused[1] = {NULL};
    plugin = guest_with("(module)", unused, 0, false);
    CHECK(plugin != NULL);
    extism_plugin_free(plugin);
}

/* Ids are UUIDs of version 4: random, 16 bytes, at one address for as long as the plugin lives. */
static void ids(void)
{
    ExtismPlugin *plugins[50];
    uint8_t first[16];

    for (size_t i = 0; i < COUNT(plugins); i++)
        plugins[i] = guest_new("(module (func (export \"f\")))");
    const uint8_t *at = extism_plugin_id(plugins[0]);
    CHECK(at != NULL);
    memcpy(first, at, 16);
    for (size_t i = 0; i < COUNT(plugins); i++) {
        const uint8_t *id = extism_plugin_id(plugins[i]);
        CHECK(id && id[6] >> 4 == 4 && id[8] >> 6 == 2);
        for (size_t j = 0; j < i; j++)
            CHECK(memcmp(id, extism_plugin_id(plugins[j]), 16) != 0);
    }
    guest_call(plugins[0], "f", "");
    extism_plugin_reset(plugins[0]);
    CHECK(extism_plugin_id(plugins[0]) == at && memcmp(at, first, 16) == 0);
    for (size_t i = 0; i < COUNT(plugins); i++)
        extism_plugin_free(plugins[i]);
}

static void function_exists(void)
{
    static const struct {
        const char *name;
        bool exists;
    } cases[] = {
        {"plain", true},  {"status", true},        {"takes", false},     {"wide", false},  {"two", false},
        {"\xc3\xa4", true}, {"", true},             {"global", false},    {"memory", false}, {"table", false},
        {"inner", false}, {"Plain", false},        {"plai", false},      {"plain ", false}, {"alloc", false},
        {"\xff", false},  {"plain\xff", false},    {"imported", true},
    };
    ExtismPlugin *plugin = guest_new(
        "(module " ENV "\"alloc\" (func (param i64) (result i64))) " ENV "\"reset\" (func $reset))"
        " (memory (export \"memory\") 1) (table (export \"table\") 1 funcref)"
        " (global (export \"global\") i32 (i32.const 1))"
        " (func $inner) (func (export \"plain\")) (func (export \"status\") (result i32) (i32.const 0))"
        " (func (export \"takes\") (param i32)) (func (export \"wide\") (result i64) (i64.const 0))"
        " (func (export \"two\") (result i32 i32) (i32.const 0) (i32.const 0)) (export \"imported\" (func $reset))"
        " (func (export \"\\c3\\a4\")) (func (export \"\")))");

    CHECK(plugin != NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool exists = extism_plugin_function_exists(plugin, cases[i].name);
        CHECK_CASE(cases[i].name, exists == cases[i].exists);
    }
    extism_plugin_free(plugin);
}

static void version(void)
{
    int major = 0, minor = -1, patch = -1;
    const char *text = extism_version();

    CHECK(text && sscanf(text, "%d.%d.%d", &major, &minor, &patch) == 3);
    CHECK(major == 1 && minor >= 0 && patch >= 0);
    CHECK(extism_version() == text);
}

static const struct test tests[] = {
    {NULL, "what makes a plugin", what_makes_a_plugin},
    {NULL, "texts of failures", texts_of_failures},
    {NULL, "unknown import", unknown_import},
    {NULL, "no input", no_input},
    {NULL, "reason of a trap in the start section", reason_of_start_trap},
    {NULL, "words of a trap in the start section", words_of_start_trap},
    {NULL, "reason of a missing file", reason_of_missing_file},
    {"W16", "reason of a missing directory", reason_of_missing_directory},
    {NULL, "success leaves errmsg alone", success_leaves_errmsg},
    {NULL, "every failure writes errmsg", every_failure_writes_errmsg},
    {NULL, "NULL among the functions", null_entry},
    {NULL, "NULL for the functions", null_array},
    {NULL, "ids", ids},
    {NULL, "function_exists", function_exists},
    {NULL, "version", version},
};

RUN_TESTS(tests)
