/*
 * Guests for the tests, the plugins made of them, and host functions.
 *
 * A guest is WebAssembly text that begins with `(module`. C guarantees no string literals above 4095 characters, so
 * GUEST is short and a module stays small.
 */
#ifndef GUEST_H
#define GUEST_H

#include "harness.h"

#define ENV "(import \"extism:host/env\" "
#define USER "(import \"extism:host/user\" "

/* The head of a guest: imports of the guest ABI, one page of memory, and three helpers:
 *   $block   copies memory (pointer, length) to a new block
 *   $input   copies the input to a new block, 0 if there is none
 *   $output  makes a block the output
 * Imports come first in a module, so a guest with imports of its own puts them before GUEST. */
#define GUEST                                                                                                          \
    ENV "\"input_length\" (func $input_length (result i64)))"                                                          \
    ENV "\"input_offset\" (func $input_offset (result i64)))"                                                          \
    ENV "\"input_load_u8\" (func $input_u8 (param i64) (result i32)))"                                                 \
    ENV "\"alloc\" (func $alloc (param i64) (result i64)))"                                                            \
    ENV "\"free\" (func $free (param i64)))"                                                                           \
    ENV "\"length\" (func $length (param i64) (result i64)))"                                                          \
    ENV "\"load_u8\" (func $load_u8 (param i64) (result i32)))"                                                        \
    ENV "\"store_u8\" (func $store_u8 (param i64 i32)))"                                                               \
    ENV "\"store_u64\" (func $store_u64 (param i64 i64)))"                                                             \
    ENV "\"output_set\" (func $output_set (param i64 i64)))"                                                           \
    ENV "\"error_set\" (func $error_set (param i64)))"                                                                 \
    ENV "\"config_get\" (func $config_get (param i64) (result i64)))"                                                  \
    ENV "\"var_get\" (func $var_get (param i64) (result i64)))"                                                        \
    ENV "\"var_set\" (func $var_set (param i64 i64)))"                                                                 \
    "(memory (export \"memory\") 1)"                                                                                   \
    "(func $block (param $from i32) (param $len i32) (result i64) (local $to i64) (local $i i32)"                      \
    "  (local.set $to (call $alloc (i64.extend_i32_u (local.get $len))))"                                              \
    "  (block $done (loop $next"                                                                                       \
    "    (br_if $done (i32.ge_u (local.get $i) (local.get $len)))"                                                     \
    "    (call $store_u8 (i64.add (local.get $to) (i64.extend_i32_u (local.get $i)))"                                  \
    "      (i32.load8_u (i32.add (local.get $from) (local.get $i))))"                                                  \
    "    (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $next)))"                                           \
    "  (local.get $to))"                                                                                               \
    "(func $input (result i64) (local $to i64) (local $i i64)"                                                         \
    "  (local.set $to (call $alloc (call $input_length)))"                                                             \
    "  (block $done (loop $next"                                                                                       \
    "    (br_if $done (i64.ge_u (local.get $i) (call $input_length)))"                                                 \
    "    (call $store_u8 (i64.add (local.get $to) (local.get $i)) (call $input_u8 (local.get $i)))"                    \
    "    (local.set $i (i64.add (local.get $i) (i64.const 1))) (br $next)))"                                           \
    "  (local.get $to))"                                                                                               \
    "(func $output (param $at i64) (call $output_set (local.get $at) (call $length (local.get $at))))"

/* The message of the last creation that failed here, or NULL. Valid until the next creation. */
static char *creation_error;

static inline char **take_error(void)
{
    extism_plugin_new_error_free(creation_error);
    creation_error = NULL;
    return &creation_error;
}

/* Makes a plugin that may import host functions, and WASI if `wasi`. The functions stay the caller's. */
static inline ExtismPlugin *guest_with(const char *wat, ExtismFunction **functions, size_t n, bool wasi)
{
    return extism_plugin_new((const uint8_t *)wat, strlen(wat), (const ExtismFunction **)functions, n, wasi,
                             take_error());
}

static inline ExtismPlugin *guest_new(const char *wat) { return guest_with(wat, NULL, 0, false); }

static inline ExtismPlugin *guest_wasi(const char *wat) { return guest_with(wat, NULL, 0, true); }

static inline ExtismCompiledPlugin *guest_compile(const char *wat, ExtismFunction **functions, size_t n)
{
    return extism_compiled_plugin_new((const uint8_t *)wat, strlen(wat), (const ExtismFunction **)functions, n, false,
                                      take_error());
}

static inline ExtismPlugin *guest_instance(const ExtismCompiledPlugin *compiled)
{
    return extism_plugin_new_from_compiled(compiled, take_error());
}

static inline int32_t guest_call(ExtismPlugin *plugin, const char *function, const char *input)
{
    return extism_plugin_call(plugin, function, (const uint8_t *)input, strlen(input));
}

static inline bool guest_config(ExtismPlugin *plugin, const char *json)
{
    return extism_plugin_config(plugin, (const uint8_t *)json, strlen(json));
}

static inline bool guest_output_is(ExtismPlugin *plugin, const void *want, size_t len)
{
    const uint8_t *data = extism_plugin_output_data(plugin);
    return extism_plugin_output_length(plugin) == len && data && memcmp(data, want, len) == 0;
}

/* Calls a function that must succeed with this text as its output. */
static inline bool guest_answers(ExtismPlugin *plugin, const char *function, const char *input, const char *want)
{
    return guest_call(plugin, function, input) == 0 && guest_output_is(plugin, want, strlen(want));
}

/* The type that a letter stands for: i I32, I I64, f F32, F F64, v V128, r FuncRef, e ExternRef. */
static inline ExtismValType value_type(char letter)
{
    static const char letters[] = "iIfFvre";
    return (ExtismValType)(strchr(letters, letter) - letters);
}

/* Makes a host function with the types in two words of letters. */
static inline ExtismFunction *function_with(const char *name, const char *params, const char *results,
                                            ExtismFunctionType run, void *data, void (*free_data)(void *))
{
    ExtismValType in[16] = {ExtismValType_I32}, out[16] = {ExtismValType_I32};

    for (size_t i = 0; params[i]; i++)
        in[i] = value_type(params[i]);
    for (size_t i = 0; results[i]; i++)
        out[i] = value_type(results[i]);
    return extism_function_new(name, in, strlen(params), out, strlen(results), run, data, free_data);
}

static inline ExtismFunction *function(const char *name, const char *params, const char *results,
                                       ExtismFunctionType run, void *data)
{
    return function_with(name, params, results, run, data, NULL);
}

/* A plugin that has one host function. The function's own handle is already freed. */
static inline ExtismPlugin *guest_hosted(const char *wat, const char *name, const char *params, const char *results,
                                         ExtismFunctionType run, void *data)
{
    ExtismFunction *one = function(name, params, results, run, data);
    ExtismPlugin *plugin = guest_with(wat, &one, 1, false);

    extism_function_free(one);
    if (!plugin) {
        fprintf(stderr, "no plugin: %s\n", creation_error ? creation_error : "(NULL)");
        exit(1);
    }
    return plugin;
}

/* Standard base64 with padding, for modules inside manifests. */
static inline void base64(char *out, size_t room, const void *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)bytes;
    size_t n = 0;

    if (room < (len + 2) / 3 * 4 + 1) {
        fprintf(stderr, "base64: %zu bytes do not fit in %zu\n", len, room);
        exit(1);
    }
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)in[i] << 16 | (i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0) |
                        (i + 2 < len ? in[i + 2] : 0);
        out[n++] = digits[bits >> 18];
        out[n++] = digits[bits >> 12 & 63];
        out[n++] = i + 1 < len ? digits[bits >> 6 & 63] : '=';
        out[n++] = i + 2 < len ? digits[bits & 63] : '=';
    }
    out[n] = 0;
}

/* A manifest in which each `%s` stands for the next of at most three modules. Valid until the next call. */
static inline const char *manifest(const char *text, const char *a, const char *b, const char *c)
{
    static char out[32768];
    const char *modules[3] = {a, b, c};
    size_t n = 0, used = 0;

    for (; *text && n + 6000 < sizeof out; text++) {
        if (text[0] == '%' && text[1] == 's' && used < 3) {
            base64(out + n, sizeof out - n, modules[used], strlen(modules[used]));
            n += strlen(out + n);
            used++;
            text++;
        } else {
            out[n++] = *text;
        }
    }
    out[n] = 0;
    return out;
}

/* A manifest of one module with more keys, which begin with a comma. Valid until the next call, as `manifest`. */
static inline const char *manifest_of(const char *wat, const char *more)
{
    char text[512];

    snprintf(text, sizeof text, "{\"wasm\": [{\"data\": \"%%s\"}]%s}", more);
    return manifest(text, wat, NULL, NULL);
}

#endif
