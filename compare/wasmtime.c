/*
 * Plain wasmtime through its C API: an engine with its defaults, without fuel and epochs, and with only the four host
 * functions of Extism that the kernels import. Measures computing without Extism.
 *
 * Declares only the parts of the API that are used. Values are passed raw: their layout is the same in all versions.
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From wasm.h and wasmtime.h. Types that are only passed on are `void`; an error or trap that is not NULL is a failure. */

enum { KIND_I32 = 0, KIND_I64 = 1, EXTERN_FUNC = 0 };

union value {
    int32_t i32;
    int64_t i64;
    uint8_t v128[16];
};

struct types {
    size_t size;
    void **data;
};

struct message {
    size_t size;
    char *data;
};

struct function {
    uint64_t store;
    void *private;
};

struct item {
    uint8_t kind;
    union {
        struct function function;
        uint8_t others[64];
    } of;
};

struct instance {
    uint64_t store;
    size_t private;
};

typedef void *callback(void *environment, void *caller, union value *values, size_t count);

static struct {
    void *(*engine_new)(void);
    void *(*module_new)(void *engine, const uint8_t *bytes, size_t length, void **module);
    void (*module_delete)(void *module);
    void *(*store_new)(void *engine, void *data, void (*finalizer)(void *));
    void *(*store_context)(void *store);
    void (*store_delete)(void *store);
    void *(*linker_new)(void *engine);
    void *(*linker_define)(void *linker, const char *module, size_t module_length, const char *name, size_t name_length,
                           const void *type, callback *function, void *environment, void (*finalizer)(void *));
    void *(*linker_instantiate)(void *linker, void *context, const void *module, struct instance *instance, void **trap);
    void (*linker_delete)(void *linker);
    bool (*export_get)(void *context, const struct instance *instance, const char *name, size_t length, struct item *item);
    void *(*function_call)(void *context, const struct function *function, union value *values, size_t count, void **trap);
    void *(*type_new)(uint8_t kind);
    void (*types_new)(struct types *types, size_t size, void *const *data);
    void *(*function_type_new)(struct types *parameters, struct types *results);
    void (*function_type_delete)(void *type);
    void (*error_message)(const void *error, struct message *message);
    void (*trap_message)(const void *trap, struct message *message);
} api;

static const struct {
    const char *name;
    void *to;
} functions[] = {
    {"wasm_engine_new", &api.engine_new},
    {"wasmtime_module_new", &api.module_new},
    {"wasmtime_module_delete", &api.module_delete},
    {"wasmtime_store_new", &api.store_new},
    {"wasmtime_store_context", &api.store_context},
    {"wasmtime_store_delete", &api.store_delete},
    {"wasmtime_linker_new", &api.linker_new},
    {"wasmtime_linker_define_func_unchecked", &api.linker_define},
    {"wasmtime_linker_instantiate", &api.linker_instantiate},
    {"wasmtime_linker_delete", &api.linker_delete},
    {"wasmtime_instance_export_get", &api.export_get},
    {"wasmtime_func_call_unchecked", &api.function_call},
    {"wasm_valtype_new", &api.type_new},
    {"wasm_valtype_vec_new", &api.types_new},
    {"wasm_functype_new", &api.function_type_new},
    {"wasm_functype_delete", &api.function_type_delete},
    {"wasmtime_error_message", &api.error_message},
    {"wasm_trap_message", &api.trap_message},
};

/* Ends the process if there is an error or a trap. */
static void check(const char *what, const void *error, const void *trap)
{
    struct message message;
    if (!error && !trap)
        return;
    if (error)
        api.error_message(error, &message);
    else
        api.trap_message(trap, &message);
    fprintf(stderr, "driver: %s: %.*s\n", what, (int)message.size, message.data);
    exit(1);
}

/* A plugin, and the memory for bytes exchanged with it: blocks one after another, from the start again in each call. */
struct guest {
    void *module, *store;
    struct instance instance;
    uint8_t memory[1024];
    uint64_t used;
    struct output output;
};

/* The address of `length` bytes at `at` in the exchanged memory. */
static uint8_t *bytes_at(struct guest *guest, int64_t at, uint64_t length)
{
    if (at < 0 || (uint64_t)at > sizeof guest->memory || length > sizeof guest->memory - (uint64_t)at)
        fail(1, "plugin", "needs more memory than the driver has for it");
    return guest->memory + at;
}

static void *host_alloc(void *environment, void *caller, union value *values, size_t count)
{
    (void)caller, (void)count;
    struct guest *guest = environment;
    uint64_t length = (uint64_t)values[0].i64;
    values[0].i64 = (int64_t)guest->used;
    bytes_at(guest, values[0].i64, length);
    guest->used += length;
    return NULL;
}

static void *host_store_u8(void *environment, void *caller, union value *values, size_t count)
{
    (void)caller, (void)count;
    *bytes_at(environment, values[0].i64, 1) = (uint8_t)values[1].i32;
    return NULL;
}

static void *host_store_u64(void *environment, void *caller, union value *values, size_t count)
{
    (void)caller, (void)count;
    memcpy(bytes_at(environment, values[0].i64, sizeof values[1].i64), &values[1].i64, sizeof values[1].i64);
    return NULL;
}

static void *host_output_set(void *environment, void *caller, union value *values, size_t count)
{
    (void)caller, (void)count;
    struct guest *guest = environment;
    uint64_t length = (uint64_t)values[1].i64;
    guest->output = (struct output){bytes_at(guest, values[0].i64, length), length};
    return NULL;
}

/* Defines a host function under its names in Extism 0.x and 1.x. */
static void define(void *linker, struct guest *guest, const char *name, const uint8_t *kinds, size_t parameters, size_t results,
                   callback *function)
{
    struct types types[2];
    void *data[2];
    for (size_t i = 0; i < parameters; i++)
        data[i] = api.type_new(kinds[i]);
    api.types_new(&types[0], parameters, data);
    data[0] = results ? api.type_new(KIND_I64) : NULL;
    api.types_new(&types[1], results, data);
    void *type = api.function_type_new(&types[0], &types[1]);

    static const char *const modules[] = {"env", "extism:host/env"}, *const prefixes[] = {"extism_", ""};
    for (int i = 0; i < 2; i++) {
        char full[32];
        snprintf(full, sizeof full, "%s%s", prefixes[i], name);
        void *error = api.linker_define(linker, modules[i], strlen(modules[i]), full, strlen(full), type, function, guest, NULL);
        check(full, error, NULL);
    }
    api.function_type_delete(type);
}

static void *engine;
static uint8_t *module_bytes;
static size_t module_length;

static union plugin plugin_new(void)
{
    struct guest *guest = calloc(1, sizeof *guest);
    if (!guest)
        fail(2, "plugin", "no memory");
    check("plugin", api.module_new(engine, module_bytes, module_length, &guest->module), NULL);
    guest->store = api.store_new(engine, NULL, NULL);
    void *linker = api.linker_new(engine), *trap = NULL;
    static const uint8_t longs[] = {KIND_I64, KIND_I64}, long_and_int[] = {KIND_I64, KIND_I32};
    define(linker, guest, "alloc", longs, 1, 1, host_alloc);
    define(linker, guest, "store_u8", long_and_int, 2, 0, host_store_u8);
    define(linker, guest, "store_u64", longs, 2, 0, host_store_u64);
    define(linker, guest, "output_set", longs, 2, 0, host_output_set);
    void *error = api.linker_instantiate(linker, api.store_context(guest->store), guest->module, &guest->instance, &trap);
    check("plugin", error, trap);
    api.linker_delete(linker);
    return (union plugin){.address = guest};
}

/* Ignores the input, because no kernel imports a function that reads it. */
static void plugin_call(union plugin plugin, const char *function, const uint8_t *input, uint64_t length)
{
    (void)input, (void)length;
    struct guest *guest = plugin.address;
    void *context = api.store_context(guest->store), *trap = NULL;
    struct item item;
    if (!api.export_get(context, &guest->instance, function, strlen(function), &item) || item.kind != EXTERN_FUNC)
        fail(1, function, "no such function");
    /* Offset 0 is not a valid block. */
    guest->used = 8;
    guest->output = (struct output){0};
    union value result = {0};
    void *error = api.function_call(context, &item.of.function, &result, 1, &trap);
    check(function, error, trap);
    if (result.i32 != 0)
        fail(1, function, "did not succeed");
}

static struct output plugin_output(union plugin plugin)
{
    return ((struct guest *)plugin.address)->output;
}

static void plugin_free(union plugin plugin)
{
    struct guest *guest = plugin.address;
    api.store_delete(guest->store);
    api.module_delete(guest->module);
    free(guest);
}

static const struct library library = {plugin_new, plugin_call, plugin_output, plugin_free};

static void read_module(const char *path)
{
    enum { MAX_LENGTH = 1 << 20 };
    FILE *file = fopen(path, "rb");
    module_bytes = malloc(MAX_LENGTH);
    if (!file || !module_bytes)
        fail(2, path, "cannot be read");
    module_length = fread(module_bytes, 1, MAX_LENGTH, file);
    if (module_length == MAX_LENGTH || ferror(file))
        fail(2, path, "cannot be read, or is no kernel");
    fclose(file);
}

const struct library *wasmtime_open(void *handle, const struct source *source)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (!find(handle, functions[i].name, functions[i].to))
            return NULL;
    read_module(source->path);
    engine = api.engine_new();
    return &library;
}
