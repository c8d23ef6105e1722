/* Types, macros and signatures, as programs that were built with another 1.x header expect them. */
#include "guest.h"

/* A wrong signature or layout does not compile. */
#ifdef __cplusplus
#define SAME(what) static_assert(what, #what)
#else
#define SAME(what) _Static_assert(what, #what)
#endif

SAME(sizeof(ExtismSize) == 8);
SAME(sizeof(ExtismMemoryHandle) == 8);
SAME(sizeof(ExtismValType) == 4);
SAME(ExtismValType_I32 == 0);
SAME(ExtismValType_I64 == 1);
SAME(ExtismValType_F32 == 2);
SAME(ExtismValType_F64 == 3);
SAME(ExtismValType_V128 == 4);
SAME(ExtismValType_FuncRef == 5);
SAME(ExtismValType_ExternRef == 6);
SAME(sizeof(ExtismValUnion) == 8);
SAME(sizeof(ExtismVal) == 16);
SAME(offsetof(ExtismVal, t) == 0);
SAME(offsetof(ExtismVal, v) == 8);
SAME(offsetof(ExtismValUnion, i32) == 0);
SAME(offsetof(ExtismValUnion, i64) == 0);
SAME(offsetof(ExtismValUnion, f32) == 0);
SAME(offsetof(ExtismValUnion, f64) == 0);
SAME(EXTISM_SUCCESS == 0);
SAME(EXTISM_PTR == ExtismValType_I64);
#ifdef __cplusplus
SAME(alignof(ExtismVal) == 8);
#else
SAME(_Alignof(ExtismVal) == 8);
#endif

/* The macros declare callbacks that are defined elsewhere, here below. */
#ifdef __cplusplus
extern "C" {
#endif
EXTISM_FUNCTION(declared_callback);
EXTISM_GO_FUNCTION(declared_for_go);
#ifdef __cplusplus
}
#endif

void declared_callback(ExtismCurrentPlugin *plugin, const ExtismVal *in, ExtismSize n_in, ExtismVal *out,
                       ExtismSize n_out, void *data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out;
    ++*(int *)data;
}

void declared_for_go(void *plugin, ExtismVal *in, ExtismSize n_in, ExtismVal *out, ExtismSize n_out, uintptr_t data)
{
    (void)plugin, (void)in, (void)n_in, (void)out, (void)n_out, (void)data;
}

static void macros(void)
{
    int calls = 0;
    ExtismPlugin *plugin = guest_hosted("(module " USER "\"f\" (func $f)) (func (export \"go\") (call $f)))", "f", "",
                                        "", declared_callback, &calls);

    CHECK(guest_call(plugin, "go", "") == EXTISM_SUCCESS && calls == 1);
    declared_for_go(NULL, NULL, 0, NULL, 0, 0);
    extism_plugin_free(plugin);
}

typedef const uint8_t *Bytes;
typedef const ExtismFunction **Functions;

/* All functions of the header, by name and type. */
static const struct {
    const char *(*version)(void);
    ExtismPlugin *(*plugin_new)(Bytes, ExtismSize, Functions, ExtismSize, bool, char **);
    ExtismPlugin *(*plugin_new_with_fuel_limit)(Bytes, ExtismSize, Functions, ExtismSize, bool, uint64_t, char **);
    ExtismCompiledPlugin *(*compiled_plugin_new)(Bytes, ExtismSize, Functions, ExtismSize, bool, char **);
    ExtismCompiledPlugin *(*compiled_plugin_new_with_fuel_limit)(Bytes, ExtismSize, Functions, ExtismSize, bool,
                                                                 uint64_t, char **);
    void (*compiled_plugin_free)(ExtismCompiledPlugin *);
    ExtismPlugin *(*plugin_new_from_compiled)(const ExtismCompiledPlugin *, char **);
    void (*plugin_new_error_free)(char *);
    void (*plugin_free)(ExtismPlugin *);
    Bytes (*plugin_id)(ExtismPlugin *);
    bool (*plugin_config)(ExtismPlugin *, Bytes, ExtismSize);
    bool (*plugin_function_exists)(ExtismPlugin *, const char *);
    int32_t (*plugin_call)(ExtismPlugin *, const char *, Bytes, ExtismSize);
    int32_t (*plugin_call_with_host_context)(ExtismPlugin *, const char *, Bytes, ExtismSize, void *);
    const char *(*plugin_error)(ExtismPlugin *);
    const char *(*error)(ExtismPlugin *);
    ExtismSize (*plugin_output_length)(ExtismPlugin *);
    Bytes (*plugin_output_data)(ExtismPlugin *);
    bool (*plugin_reset)(ExtismPlugin *);
    const ExtismCancelHandle *(*plugin_cancel_handle)(const ExtismPlugin *);
    bool (*plugin_cancel)(const ExtismCancelHandle *);
    void (*plugin_allow_http_response_headers)(ExtismPlugin *);
    ExtismFunction *(*function_new)(const char *, const ExtismValType *, ExtismSize, const ExtismValType *, ExtismSize,
                                    ExtismFunctionType, void *, void (*)(void *));
    void (*function_set_namespace)(ExtismFunction *, const char *);
    void (*function_free)(ExtismFunction *);
    uint8_t *(*current_plugin_memory)(ExtismCurrentPlugin *);
    ExtismMemoryHandle (*current_plugin_memory_alloc)(ExtismCurrentPlugin *, ExtismSize);
    ExtismSize (*current_plugin_memory_length)(ExtismCurrentPlugin *, ExtismMemoryHandle);
    void (*current_plugin_memory_free)(ExtismCurrentPlugin *, ExtismMemoryHandle);
    void *(*current_plugin_host_context)(ExtismCurrentPlugin *);
    bool (*log_file)(const char *, const char *);
    bool (*log_custom)(const char *);
    void (*log_drain)(ExtismLogDrainFunctionType);
} all = {
    extism_version, extism_plugin_new, extism_plugin_new_with_fuel_limit, extism_compiled_plugin_new,
    extism_compiled_plugin_new_with_fuel_limit, extism_compiled_plugin_free, extism_plugin_new_from_compiled,
    extism_plugin_new_error_free, extism_plugin_free, extism_plugin_id, extism_plugin_config,
    extism_plugin_function_exists, extism_plugin_call, extism_plugin_call_with_host_context, extism_plugin_error,
    extism_error, extism_plugin_output_length, extism_plugin_output_data, extism_plugin_reset,
    extism_plugin_cancel_handle, extism_plugin_cancel, extism_plugin_allow_http_response_headers, extism_function_new,
    extism_function_set_namespace, extism_function_free, extism_current_plugin_memory,
    extism_current_plugin_memory_alloc, extism_current_plugin_memory_length, extism_current_plugin_memory_free,
    extism_current_plugin_host_context, extism_log_file, extism_log_custom, extism_log_drain,
};

static void signatures(void)
{
    ExtismPlugin *plugin = all.plugin_new((const uint8_t *)"(module)", 8, NULL, 0, false, NULL);

    CHECK(sizeof all / sizeof all.version == 33);
    CHECK(plugin != NULL);
    CHECK(all.plugin_output_data(plugin) != NULL);
    all.plugin_free(plugin);
}

static void additions(void)
{
    void (*error_set)(ExtismCurrentPlugin *, const char *) = extism_current_plugin_error_set;
    uint64_t (*fuel_consumed)(ExtismPlugin *) = extism_plugin_fuel_consumed;

    CHECK(error_set != NULL);
    CHECK(fuel_consumed != NULL);
}

static const struct test tests[] = {
    {NULL, "macros", macros},
    {NULL, "signatures", signatures},
    {"addition", "additions", additions},
};

RUN_TESTS(tests)
