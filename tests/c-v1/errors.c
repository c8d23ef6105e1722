/* The error text: which calls clear it, how long it may be read, and its bytes. */
#include "guest.h"

#define FAILS                                                                                                          \
    "(module " GUEST "(data (i32.const 0) \"nul\\00after\") (data (i32.const 16) \"\\ff\\fe text\")"                   \
    "(data (i32.const 32) \"\\f0\\9f\")"                                                                               \
    "(func $say (param i32 i32) (result i32)"                                                                   \
    "  (call $error_set (call $block (local.get 0) (local.get 1))) (i32.const 1))"                                     \
    "(func (export \"say\") (result i32) (call $error_set (call $input)) (i32.const 1))"                               \
    "(func (export \"nul\") (result i32) (call $say (i32.const 0) (i32.const 9)))"                                     \
    "(func (export \"invalid\") (result i32) (call $say (i32.const 16) (i32.const 7)))"                                \
    "(func (export \"cut\") (result i32) (call $say (i32.const 32) (i32.const 2)))"                                    \
    "(func (export \"fail\") unreachable) (func (export \"fine\") (call $output (call $input))))"

static void does_exists(ExtismPlugin *p) { extism_plugin_function_exists(p, "fine"); }
static void does_exists_not(ExtismPlugin *p) { extism_plugin_function_exists(p, "nobody"); }
static void does_call(ExtismPlugin *p) { guest_call(p, "fine", ""); }
static void does_config(ExtismPlugin *p) { guest_config(p, "{\"a\": \"b\"}"); }
static void does_bad_config(ExtismPlugin *p) { guest_config(p, "{\"a\": 1}"); }
static void does_no_config(ExtismPlugin *p) { guest_config(p, "nonsense"); }
static void does_length(ExtismPlugin *p) { extism_plugin_output_length(p); }
static void does_data(ExtismPlugin *p) { extism_plugin_output_data(p); }
static void does_reset(ExtismPlugin *p) { extism_plugin_reset(p); }
static void does_id(ExtismPlugin *p) { extism_plugin_id(p); }
static void does_handle(ExtismPlugin *p) { extism_plugin_cancel_handle(p); }
static void does_cancel(ExtismPlugin *p) { extism_plugin_cancel(extism_plugin_cancel_handle(p)); }
static void does_headers(ExtismPlugin *p) { extism_plugin_allow_http_response_headers(p); }
static void does_error(ExtismPlugin *p) { extism_plugin_error(p); }
static void does_new(ExtismPlugin *p) { (void)p, extism_plugin_free(guest_new("(module)")); }
static void does_no_new(ExtismPlugin *p) { (void)p, guest_new("{}"); }

/* Whether a failure of this function stays or goes as the table says. */
static void check_clearing(const char *function, int32_t failure, const char *start)
{
    static const struct {
        const char *name;
        void (*run)(ExtismPlugin *);
        bool clears;
    } cases[] = {
        {"function_exists", does_exists, true}, {"function_exists of none", does_exists_not, true},
        {"call", does_call, true},              {"config", does_config, true},
        {"refused config", does_bad_config, 0}, {"config that is no JSON", does_no_config, false},
        {"output_length", does_length, false},  {"output_data", does_data, false},
        {"reset", does_reset, false},           {"id", does_id, false},
        {"cancel_handle", does_handle, false},  {"cancel", does_cancel, false},
        {"headers", does_headers, false},       {"error", does_error, false},
        {"plugin_new", does_new, false},        {"failing plugin_new", does_no_new, false},
    };
    ExtismPlugin *plugin = guest_new(FAILS), *other = guest_new(FAILS);

    guest_call(other, "say", "of another");
    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t rc = guest_call(plugin, function, "text");
        CHECK_CASE(cases[i].name, rc == failure);
        cases[i].run(plugin);
        if (cases[i].clears)
            CHECK_CASE(cases[i].name, extism_plugin_error(plugin) == NULL);
        else
            CHECK_STARTS_CASE(cases[i].name, extism_plugin_error(plugin), start);
    }
    CHECK_TEXT(extism_plugin_error(other), "of another");
    extism_plugin_free(plugin);
    extism_plugin_free(other);
}

static void what_clears(void) { check_clearing("fail", 134, "error while executing"); }
static void what_clears_guests_text(void) { check_clearing("say", 1, "text"); }

/* The deprecated name answers the same. */
static void two_names(void)
{
    ExtismPlugin *plugin = guest_new(FAILS);

    CHECK(extism_plugin_error(plugin) == NULL);
    CHECK(extism_error(plugin) == NULL);
    guest_call(plugin, "say", "text");
    CHECK_TEXT(extism_error(plugin), "text");
    CHECK_TEXT(extism_plugin_error(plugin), "text");
    extism_plugin_free(plugin);
}

/* The text belongs to the asking thread: neither a call nor the plugin's end takes it away. */
static void text_outlives_call(void)
{
    ExtismPlugin *plugin = guest_new(FAILS);

    guest_call(plugin, "say", "a text that stands in memory of its own");
    const char *text = extism_plugin_error(plugin);
    CHECK_TEXT(text, "a text that stands in memory of its own");
    for (int i = 0; i < 10; i++)
        guest_call(plugin, "fine", "another text of the same number of bytes");
    CHECK_TEXT(text, "a text that stands in memory of its own");
    extism_plugin_free(plugin);
    CHECK_TEXT(text, "a text that stands in memory of its own");
}

static void *asks(void *plugin)
{
    const char *text = extism_plugin_error((ExtismPlugin *)plugin);
    return text ? strdup(text) : NULL;
}

static void other_threads_see_it(void)
{
    ExtismPlugin *plugin = guest_new(FAILS);
    void *got = NULL;

    guest_call(plugin, "say", "text");
    pthread_join(start(asks, plugin), &got);
    CHECK_TEXT((char *)got, "text");
    CHECK_TEXT(extism_plugin_error(plugin), "text");
    free(got);
    extism_plugin_free(plugin);
}

/* Whether a text is UTF-8, as a strict decoder sees it. Overlong forms and surrogates are not looked for. */
static bool is_utf8(const char *text)
{
    while (*text) {
        unsigned char c = (unsigned char)*text++;
        int more = c < 0x80 ? 0 : c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 && c < 0xe0 ? 1 : -1;
        if (more < 0 || c >= 0xf5)
            return false;
        for (; more; more--)
            if (((unsigned char)*text++ & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static void check_strict(const char *function, const char *part)
{
    ExtismPlugin *plugin = guest_new(FAILS);

    int32_t rc = guest_call(plugin, function, "");
    CHECK(rc == 1);
    const char *text = extism_plugin_error(plugin);
    CHECK(text && text[0] && is_utf8(text));
    CHECK_HAS(text, part);
    extism_plugin_free(plugin);
}

static void invalid_utf8(void) { check_strict("invalid", " text"); }
static void truncated_utf8(void) { check_strict("cut", ""); }

static void cut_at_nul(void)
{
    ExtismPlugin *plugin = guest_new(FAILS);

    int32_t rc = guest_call(plugin, "nul", "");
    CHECK(rc == 1);
    CHECK_TEXT(extism_plugin_error(plugin), "nul");
    extism_plugin_free(plugin);
}

static void long_text(void)
{
    static char text[100001];
    ExtismPlugin *plugin = guest_new(FAILS);

    memset(text, 'x', sizeof text - 1);
    int32_t rc = guest_call(plugin, "say", text);
    CHECK(rc == 1);
    CHECK_TEXT(extism_plugin_error(plugin), text);
    extism_plugin_free(plugin);
}

/* An untrusted module's names reach texts that end at a NUL. */
static void check_creation_with_nul(const char *wasm)
{
    ExtismPlugin *plugin = guest_new(wasm);

    CHECK(plugin == NULL);
    CHECK(creation_error && creation_error[0]);
}

static void nul_in_import(void) { check_creation_with_nul("(module (import \"a\\00b\" \"c\\00d\" (func)))"); }

static void nul_in_hash(void)
{
    check_creation_with_nul("{\"wasm\": [{\"data\": \"AGFzbQEAAAA=\", \"hash\": \"a\\u0000b\"}]}");
}

static void nul_in_function_name(void)
{
    ExtismPlugin *plugin =
        guest_new("(module (func (export \"a\\00b\") unreachable) (func (export \"c\") unreachable))");

    CHECK(plugin != NULL);
    CHECK(!extism_plugin_function_exists(plugin, "a"));
    int32_t rc = guest_call(plugin, "c", "");
    CHECK(rc == 134);
    CHECK(extism_plugin_error(plugin) != NULL);
    extism_plugin_free(plugin);
}

static const struct test tests[] = {
    {NULL, "what clears the error", what_clears},
    {"texts", "what clears a guest's text", what_clears_guests_text},
    {NULL, "two names", two_names},
    {"texts", "the text outlives the call", text_outlives_call},
    {NULL, "other threads see the error", other_threads_see_it},
    {"texts", "bytes that are no UTF-8", invalid_utf8},
    {"texts", "a cut character", truncated_utf8},
    {NULL, "cut at NUL", cut_at_nul},
    {NULL, "a long text", long_text},
    {"W8", "NUL in an import's name", nul_in_import},
    {"W8", "NUL in a hash", nul_in_hash},
    {NULL, "NUL in a function's name", nul_in_function_name},
};

RUN_TESTS(tests)
