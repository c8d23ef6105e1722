/* Manifests: what 1.x reads, its defaults and limits. */
#include "guest.h"

#include <sys/mman.h>

#define SIX "(module (func (export \"six\") (result i32) (i32.const 6)))"
#define SIX_DATA "KG1vZHVsZSAoZnVuYyAoZXhwb3J0ICJzaXgiKSAocmVzdWx0IGkzMikgKGkzMi5jb25zdCA2KSkp"

static ExtismPlugin *from_memory(const void *at, uint64_t len)
{
    char text[256];

    snprintf(text, sizeof text, "{\"wasm\": [{\"data\": {\"ptr\": %llu, \"len\": %llu}}]}",
             (unsigned long long)(uintptr_t)at, (unsigned long long)len);
    return guest_new(text);
}

/* Bytes in the caller's memory, which are copied. */
static void pointer_and_length(void)
{
    char *module = strdup(SIX);
    ExtismPlugin *plugin = from_memory(module, strlen(module));

    memset(module, 0, strlen(SIX));
    free(module);
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

/* Addresses that cannot be read are the manifest's fault. */
static void wild_pointers(void)
{
    char *page = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memcpy(page + 4096 - strlen(SIX), SIX, strlen(SIX));
    mprotect(page + 4096, 4096, PROT_NONE);
    const struct {
        const void *at;
        uint64_t len;
    } cases[] = {
        {(void *)8, 100},          {NULL, 100},
        {page + 4096, 10},         {page + 4000, 1000},
        {page, UINT64_MAX},        {(void *)UINTPTR_MAX, 1},
        {(void *)(UINTPTR_MAX - 50), 100}, {page, (uint64_t)1 << 60},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK(from_memory(cases[i].at, cases[i].len) == NULL);
        CHECK(creation_error && creation_error[0]);
    }
    ExtismPlugin *plugin = from_memory(page + 4096 - strlen(SIX), strlen(SIX));
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

/* Manifests that say too much or nothing. The test bears the name of a row. */
static const struct odd {
    const char *name, *text;
} odd[] = {
    {"unknown key", "{\"wasm\": [{\"data\": \"" SIX_DATA "\"}], \"colour\": \"red\"}"},
    {"unknown key of an entry", "{\"wasm\": [{\"data\": \"" SIX_DATA "\", \"colour\": \"red\"}]}"},
    {"memory null", "{\"wasm\": [{\"data\": \"" SIX_DATA "\"}], \"memory\": null}"},
    {"config null", "{\"wasm\": [{\"data\": \"" SIX_DATA "\"}], \"config\": null}"},
    {"nulls of options", "{\"wasm\": [{\"data\": \"" SIX_DATA "\", \"name\": null, \"hash\": null}],"
                         " \"timeout_ms\": null, \"allowed_hosts\": null, \"allowed_paths\": null,"
                         " \"memory\": {\"max_pages\": null}}"},
    {"empty objects", "{\"wasm\": [{\"data\": \"" SIX_DATA "\"}], \"memory\": {}, \"config\": {},"
                      " \"allowed_hosts\": []}"},
};

static void accepted(void)
{
    ExtismPlugin *plugin = guest_new(TEST_ROW(odd, odd)->text);

    CHECK(plugin != NULL);
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

static void refused(void)
{
    static const char *const cases[] = {
        "{\"memory\": {}}", "{\"wasm\": null}", "{\"wasm\": \"a\"}", "{\"wasm\": [{}]}",
        "{\"wasm\": [{\"data\": \"*\"}]}",
        "{\"wasm\": [{\"data\": \"" SIX_DATA "\"}], \"config\": {\"a\": 1}}",
        "{\"wasm\": [{\"data\": \"" SIX_DATA "\"}], \"timeout_ms\": \"soon\"}",
        "{\"wasm\": [{\"data\": \"" SIX_DATA "\"}", "[]", "null", "[[wasm]]\ndata = 3\n",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK_CASE(cases[i], guest_new(cases[i]) == NULL);
        CHECK_CASE(cases[i], creation_error && creation_error[0]);
    }
}

static void errors_name_the_key(void)
{
    CHECK(guest_new("{\"wasm\": [{\"data\": \"" SIX_DATA "\"}], \"timeout_ms\": \"soon\"}") == NULL);
    CHECK_HAS(creation_error, "timeout_ms");
}

/* SHA-256 of "(module)". */
#define RIGHT "1885772b94ca41b360d9bd07535547f4c8ef16cbe7e49d2c8e9780247e26c4de"

static void hashes(void)
{
    static const char form[] = "{\"wasm\": [{\"data\": \"KG1vZHVsZSk=\", \"hash\": \"%s\"}]}";
    char text[256];

    snprintf(text, sizeof text, form, RIGHT);
    ExtismPlugin *plugin = guest_new(text);
    CHECK(plugin != NULL);
    extism_plugin_free(plugin);
    snprintf(text, sizeof text, form, "0000000000000000000000000000000000000000000000000000000000000000");
    CHECK(guest_new(text) == NULL);
    CHECK_HAS(creation_error, "Hash mismatch, found " RIGHT " but expected 0000");
}

#define NAMED(n) "(module (func (export \"" n "\") (result i32) (i32.const 6)))"

static void which_is_main(void)
{
    static const struct {
        const char *text, *function;
    } cases[] = {
        {"{\"wasm\": [{\"data\": \"%s\", \"name\": \"x\"}]}", "a"},
        {"{\"wasm\": [{\"data\": \"%s\", \"name\": \"x\"}, {\"data\": \"%s\", \"name\": \"y\"}]}", "b"},
        {"{\"wasm\": [{\"data\": \"%s\", \"name\": \"y\"}, {\"data\": \"%s\", \"name\": \"x\"}]}", "b"},
        {"{\"wasm\": [{\"data\": \"%s\", \"name\": \"main\"}, {\"data\": \"%s\", \"name\": \"x\"}]}", "a"},
        {"{\"wasm\": [{\"data\": \"%s\"}, {\"data\": \"%s\", \"name\": \"x\"}]}", "a"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        ExtismPlugin *plugin = guest_new(manifest(cases[i].text, NAMED("a"), NAMED("b"), NULL));
        CHECK_CASE(cases[i].text, plugin != NULL);
        CHECK_CASE(cases[i].text, guest_call(plugin, cases[i].function, "") == 6);
        CHECK_CASE(cases[i].text, !extism_plugin_function_exists(plugin, cases[i].function[0] == 'a' ? "b" : "a"));
        extism_plugin_free(plugin);
    }
}

static void duplicate_names(void)
{
    CHECK(guest_new(manifest("{\"wasm\": [{\"data\": \"%s\"}, {\"data\": \"%s\"}]}", SIX, SIX, NULL)) == NULL);
    CHECK_HAS(creation_error, "Duplicate module name found in Extism manifest: main");
    CHECK(guest_new(manifest("{\"wasm\": [{\"data\": \"%s\", \"name\": \"x\"}, {\"data\": \"%s\", \"name\": \"x\"},"
                             " {\"data\": \"%s\"}]}", SIX, SIX, SIX)) == NULL);
    CHECK_HAS(creation_error, "Duplicate module name found in Extism manifest: x");
}

#define VARS                                                                                                           \
    "(module " GUEST "(data (i32.const 0) \"kl\")"                                                                     \
    "(func (export \"set\") (call $var_set (call $block (i32.const 0) (i32.const 1)) (call $input)))"                  \
    "(func (export \"more\") (call $var_set (call $block (i32.const 1) (i32.const 1)) (call $input))))"

/* Variables hold 1 MiB in all unless the manifest says otherwise. */
static void var_bytes(void)
{
    static char big[1100000];
    ExtismPlugin *plugin = guest_new(VARS);

    CHECK(extism_plugin_call(plugin, "set", (const uint8_t *)big, 900000) == 0);
    CHECK(extism_plugin_call(plugin, "more", (const uint8_t *)big, 500000) == -1);
    CHECK(extism_plugin_error(plugin) != NULL);
    CHECK(extism_plugin_call(plugin, "set", (const uint8_t *)big, 1100000) == -1);
    CHECK(extism_plugin_call(plugin, "set", (const uint8_t *)big, 10) == 0);
    extism_plugin_free(plugin);
    plugin = guest_new(manifest_of(VARS, ", \"memory\": {\"max_var_bytes\": 2000000}"));
    CHECK(extism_plugin_call(plugin, "set", (const uint8_t *)big, 1100000) == 0);
    extism_plugin_free(plugin);
    plugin = guest_new(manifest_of(VARS, ", \"memory\": {\"max_var_bytes\": 0}"));
    CHECK(guest_call(plugin, "set", "x") == -1);
    extism_plugin_free(plugin);
}

#define GROWS                                                                                                          \
    "(module (memory (export \"memory\") 2 10) (func (export \"six\") (result i32) (i32.const 6))"                     \
    "(func (export \"grow8\") (result i32) (memory.grow (i32.const 8)))"                                               \
    "(func (export \"grow9\") (result i32) (memory.grow (i32.const 9)))"                                               \
    "(func (export \"grow1\") (result i32) (memory.grow (i32.const 1))))"

static ExtismPlugin *limited(const char *wat, int pages)
{
    char more[64];

    snprintf(more, sizeof more, ", \"memory\": {\"max_pages\": %d}", pages);
    return guest_new(manifest_of(wat, more));
}

/* No pages: no call. */
static void no_pages(void)
{
    ExtismPlugin *plugin = limited(GROWS, 0);

    CHECK(!plugin || guest_call(plugin, "six", "") == -1);
    CHECK(plugin ? extism_plugin_error(plugin) != NULL : creation_error != NULL);
    extism_plugin_free(plugin);
}

static void no_pages_names_limit(void)
{
    ExtismPlugin *plugin = limited(GROWS, 0);

    CHECK(!plugin || guest_call(plugin, "six", "") == -1);
    CHECK_HAS(plugin ? extism_plugin_error(plugin) : creation_error, "max_pages");
    extism_plugin_free(plugin);
}

/* A guest that grows beyond the limit is told so and goes on. */
static void growth_beyond(void)
{
    ExtismPlugin *plugin = limited("(module (memory (export \"memory\") 1)"
                                   "(func (export \"grow\") (result i32) (memory.grow (i32.const 1000))))", 100);

    CHECK(guest_call(plugin, "grow", "") == -1);
    CHECK(extism_plugin_error(plugin) == NULL);
    extism_plugin_free(plugin);
}

/* A memory may grow to its own maximum if that is within the limit; a further growth is refused, in the guest. */
static void growth_to_own_maximum(void)
{
    ExtismPlugin *plugin = limited(GROWS, 200);

    CHECK(guest_call(plugin, "grow8", "") == 2);
    CHECK(guest_call(plugin, "grow1", "") == -1);
    CHECK(extism_plugin_error(plugin) == NULL);
    CHECK(guest_call(plugin, "six", "") == 6);
    extism_plugin_free(plugin);
}

/* Without a limit the guest is told the same. */
static void growth_beyond_own_maximum(void)
{
    ExtismPlugin *plugin = guest_new(GROWS);

    CHECK(guest_call(plugin, "grow9", "") == -1);
    CHECK(extism_plugin_error(plugin) == NULL);
    CHECK(guest_call(plugin, "grow8", "") == 2);
    extism_plugin_free(plugin);
}

static void check_large_input(const char *part)
{
    static char big[20 * 65536];
    ExtismPlugin *plugin = limited("(module " GUEST "(func (export \"go\")))", 10);

    CHECK(plugin != NULL);
    CHECK(extism_plugin_call(plugin, "go", (const uint8_t *)big, sizeof big) == -1);
    CHECK_HAS(extism_plugin_error(plugin), part);
    CHECK(guest_call(plugin, "go", "small") == 0);
    extism_plugin_free(plugin);
}

static void large_input(void) { check_large_input(""); }
static void large_input_names_limit(void) { check_large_input("max_pages"); }

/* Config is no environment of WASI. */
static void no_environment(void)
{
    static const char wat[] = "(module (import \"wasi_snapshot_preview1\" \"environ_sizes_get\""
                              " (func $sizes (param i32 i32) (result i32))) (memory (export \"memory\") 1)"
                              "(func (export \"count\") (result i32) (drop (call $sizes (i32.const 0) (i32.const 4)))"
                              " (i32.load (i32.const 0))))";
    ExtismPlugin *plugin = guest_wasi(manifest_of(wat, ", \"config\": {\"a\": \"1\", \"b\": \"2\"}"));

    CHECK(guest_config(plugin, "{\"c\": \"3\"}"));
    CHECK(guest_call(plugin, "count", "") == 0);
    extism_plugin_free(plugin);
}

static const struct test tests[] = {
    {NULL, "pointer and length", pointer_and_length},
    {"W11", "wild pointers", wild_pointers},
    {"manifest", "unknown key", accepted},
    {"manifest", "unknown key of an entry", accepted},
    {"manifest", "memory null", accepted},
    {"manifest", "config null", accepted},
    {NULL, "nulls of options", accepted},
    {NULL, "empty objects", accepted},
    {NULL, "refused", refused},
    {"manifest", "errors name the key", errors_name_the_key},
    {NULL, "hashes", hashes},
    {NULL, "which is main", which_is_main},
    {NULL, "duplicate names", duplicate_names},
    {NULL, "bytes of variables", var_bytes},
    {NULL, "no pages", no_pages},
    {"limits", "no pages, with the limit's name", no_pages_names_limit},
    {"limits", "growth beyond the limit", growth_beyond},
    {"W22", "growth to the memory's own maximum", growth_to_own_maximum},
    {NULL, "growth beyond the memory's own maximum", growth_beyond_own_maximum},
    {NULL, "a large input", large_input},
    {"limits", "a large input, with the limit's name", large_input_names_limit},
    {NULL, "no environment", no_environment},
};

RUN_TESTS(tests)
