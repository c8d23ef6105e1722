/* NULL for each argument that may be one: an error value or nothing, never a crash. */
#include "guest.h"

/* Gives its input, and the input's length as the result. */
#define ECHO                                                                                                           \
    "(module " GUEST "(func (export \"go\") (result i32) (call $output (call $input))"                                 \
    " (i32.wrap_i64 (call $input_length))))"

static void plugin_call(void)
{
    CHECK(extism_plugin_call(NULL, "go", (const uint8_t *)"x", 1) == -1);
    CHECK(extism_plugin_call_with_host_context(NULL, "go", NULL, 0, NULL) == -1);
}

static void plugin_questions(void)
{
    CHECK(extism_plugin_error(NULL) == NULL);
    CHECK(extism_error(NULL) == NULL);
    CHECK(extism_plugin_output_length(NULL) == 0);
    CHECK(extism_plugin_output_data(NULL) == NULL);
    CHECK(extism_plugin_id(NULL) == NULL);
    CHECK(!extism_plugin_function_exists(NULL, "go"));
    CHECK(!extism_plugin_config(NULL, (const uint8_t *)"{}", 2));
    CHECK(extism_plugin_cancel_handle(NULL) == NULL);
}

static void frees(void)
{
    extism_plugin_free(NULL);
    extism_compiled_plugin_free(NULL);
    extism_function_free(NULL);
    extism_plugin_new_error_free(NULL);
    ExtismPlugin *plugin = guest_new("(module)");
    CHECK(plugin != NULL);
    extism_plugin_free(plugin);
}

static void current(void)
{
    CHECK(extism_current_plugin_memory(NULL) == NULL);
    CHECK(extism_current_plugin_memory_alloc(NULL, 8) == 0);
    CHECK(extism_current_plugin_memory_length(NULL, 8) == 0);
    CHECK(extism_current_plugin_host_context(NULL) == NULL);
    extism_current_plugin_memory_free(NULL, 8);
}

static void cancel(void) { CHECK(!extism_plugin_cancel(NULL)); }
static void reset(void) { CHECK(!extism_plugin_reset(NULL)); }

static void headers(void)
{
    extism_plugin_allow_http_response_headers(NULL);
    CHECK(!extism_plugin_function_exists(NULL, "go"));
}

static void compiled(void)
{
    char *text = NULL;

    CHECK(extism_plugin_new_from_compiled(NULL, &text) == NULL);
    CHECK(text && text[0]);
    extism_plugin_new_error_free(text);
    CHECK(extism_plugin_new_from_compiled(NULL, NULL) == NULL);
}

static void nothing(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out,
                    void *data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out, (void)data;
}

static void namespace_of_none(void)
{
    extism_function_set_namespace(NULL, "other");
    CHECK(guest_new("nonsense") == NULL);
}

/* The function keeps the namespace that it has. */
static void no_namespace(void)
{
    ExtismFunction *f = function("f", "", "", nothing, NULL);

    extism_function_set_namespace(f, NULL);
    extism_function_set_namespace(f, "\xff");
    ExtismPlugin *plugin =
        guest_with("(module " USER "\"f\" (func $f)) (func (export \"go\") (call $f)))", &f, 1, false);
    CHECK(plugin != NULL && guest_call(plugin, "go", "") == 0);
    extism_function_free(f);
    extism_plugin_free(plugin);
}

static void function_name(void) { CHECK(extism_function_new(NULL, NULL, 0, NULL, 0, nothing, NULL, NULL) == NULL); }

static void name_of_call(void)
{
    ExtismPlugin *plugin = guest_new(ECHO);

    CHECK(extism_plugin_call(plugin, NULL, (const uint8_t *)"x", 1) == -1);
    CHECK(extism_plugin_error(plugin) != NULL);
    CHECK(guest_call(plugin, "go", "four") == 4);
    extism_plugin_free(plugin);
}

static void name_of_question(void)
{
    ExtismPlugin *plugin = guest_new(ECHO);

    CHECK(!extism_plugin_function_exists(plugin, NULL));
    CHECK(guest_call(plugin, "go", "four") == 4);
    extism_plugin_free(plugin);
}

/* Empty inputs have no address. */
static void empty_input(void)
{
    ExtismPlugin *plugin = guest_new(ECHO);

    CHECK(extism_plugin_call(plugin, "go", NULL, 0) == 0);
    CHECK(extism_plugin_output_length(plugin) == 0);
    CHECK(extism_plugin_call(plugin, "go", (const uint8_t *)(uintptr_t)8, 0) == 0);
    CHECK(!extism_plugin_config(plugin, NULL, 0));
    CHECK(guest_call(plugin, "go", "four") == 4);
    extism_plugin_free(plugin);
}

/* No address with a length is an empty input to a call, and refused elsewhere. */
static void input_of_call(void)
{
    ExtismPlugin *plugin = guest_new(ECHO);

    CHECK(guest_call(plugin, "go", "four") == 4);
    CHECK(extism_plugin_call(plugin, "go", NULL, 100) == 0);
    CHECK(extism_plugin_output_length(plugin) == 0);
    extism_plugin_free(plugin);
}

static void config(void)
{
    ExtismPlugin *plugin = guest_new(ECHO);

    CHECK(!extism_plugin_config(plugin, NULL, 100));
    CHECK(guest_call(plugin, "go", "four") == 4);
    extism_plugin_free(plugin);
}

static void wasm(void)
{
    CHECK(extism_plugin_new(NULL, 100, NULL, 0, false, take_error()) == NULL);
    CHECK(creation_error && creation_error[0]);
}

static void wasm_with_fuel(void)
{
    CHECK(extism_plugin_new_with_fuel_limit(NULL, 100, NULL, 0, false, 1000, take_error()) == NULL);
    CHECK(creation_error && creation_error[0]);
}

static void wasm_to_compile(void)
{
    CHECK(extism_compiled_plugin_new(NULL, 100, NULL, 0, false, take_error()) == NULL);
    CHECK(creation_error && creation_error[0]);
}

static void wasm_to_compile_with_fuel(void)
{
    CHECK(extism_compiled_plugin_new_with_fuel_limit(NULL, 100, NULL, 0, false, 1000, take_error()) == NULL);
    CHECK(creation_error && creation_error[0]);
}

/* Lengths that no memory has. */
static void huge_length(void)
{
    ExtismPlugin *plugin = guest_new(ECHO);

    CHECK(extism_plugin_new((const uint8_t *)"(module)", UINT64_MAX, NULL, 0, false, take_error()) == NULL);
    CHECK(creation_error && creation_error[0]);
    CHECK(!extism_plugin_config(plugin, (const uint8_t *)"{}", UINT64_MAX));
    extism_plugin_free(plugin);
}

static const struct test tests[] = {
    {NULL, "plugin of a call", plugin_call},
    {NULL, "plugin of a question", plugin_questions},
    {NULL, "what is freed", frees},
    {NULL, "current plugin", current},
    {NULL, "empty inputs", empty_input},
    {"W1", "cancel", cancel},
    {"W1", "reset", reset},
    {"W1", "allow_http_response_headers", headers},
    {"W1", "new_from_compiled", compiled},
    {"W1", "set_namespace of no function", namespace_of_none},
    {"W1", "set_namespace to none", no_namespace},
    {"W1", "name of a function", function_name},
    {"W1", "name of a call", name_of_call},
    {"W1", "name of function_exists", name_of_question},
    {"W2", "input of a call", input_of_call},
    {"W2", "config", config},
    {"W2", "wasm", wasm},
    {"W2", "wasm with fuel", wasm_with_fuel},
    {"W2", "wasm to compile", wasm_to_compile},
    {"W2", "wasm to compile with fuel", wasm_to_compile_with_fuel},
    {NULL, "a length that no memory has", huge_length},
};

RUN_TESTS(tests)
