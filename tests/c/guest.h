/*
 * Guests for the tests: the head of each module, and functions that load and call one.
 *
 * A guest is WebAssembly text that begins with `(module`. C guarantees no string literals above 4095 characters, so
 * GUEST is short and a module stays small.
 */
#ifndef GUEST_H
#define GUEST_H

#include "check.h"

/* The head of a guest: imports of the guest ABI, one page of memory, and three helpers:
 *   $block   copies memory (pointer, length) to a new block
 *   $input   copies the input to a new block
 *   $output  makes a block the output */
#define GUEST                                                                                                          \
    "(import \"env\" \"extism_input_length\" (func $input_length (result i64)))"                                       \
    "(import \"env\" \"extism_input_load_u8\" (func $input_u8 (param i64) (result i32)))"                              \
    "(import \"env\" \"extism_input_load_u64\" (func $input_u64 (param i64) (result i64)))"                            \
    "(import \"env\" \"extism_alloc\" (func $alloc (param i64) (result i64)))"                                         \
    "(import \"env\" \"extism_free\" (func $free (param i64)))"                                                        \
    "(import \"env\" \"extism_length\" (func $length (param i64) (result i64)))"                                       \
    "(import \"env\" \"extism_load_u8\" (func $load_u8 (param i64) (result i32)))"                                     \
    "(import \"env\" \"extism_load_u64\" (func $load_u64 (param i64) (result i64)))"                                   \
    "(import \"env\" \"extism_store_u8\" (func $store_u8 (param i64 i32)))"                                            \
    "(import \"env\" \"extism_store_u64\" (func $store_u64 (param i64 i64)))"                                          \
    "(import \"env\" \"extism_output_set\" (func $output_set (param i64 i64)))"                                        \
    "(import \"env\" \"extism_error_set\" (func $error_set (param i64)))"                                              \
    "(import \"env\" \"extism_config_get\" (func $config_get (param i64) (result i64)))"                               \
    "(import \"env\" \"extism_var_get\" (func $var_get (param i64) (result i64)))"                                     \
    "(import \"env\" \"extism_var_set\" (func $var_set (param i64 i64)))"                                              \
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

static inline ExtismPlugin guest_new(ExtismContext *ctx, const char *wat)
{
    return extism_plugin_new(ctx, (const uint8_t *)wat, strlen(wat), false);
}

static inline bool guest_update(ExtismContext *ctx, ExtismPlugin plugin, const char *wat)
{
    return extism_plugin_update(ctx, plugin, (const uint8_t *)wat, strlen(wat), false);
}

static inline bool guest_config(ExtismContext *ctx, ExtismPlugin plugin, const char *json)
{
    return extism_plugin_config(ctx, plugin, (const uint8_t *)json, strlen(json));
}

static inline int32_t guest_call(ExtismContext *ctx, ExtismPlugin plugin, const char *function, const char *input)
{
    return extism_plugin_call(ctx, plugin, function, (const uint8_t *)input, strlen(input));
}

static inline bool guest_output_is(ExtismContext *ctx, ExtismPlugin plugin, const void *want, size_t len)
{
    const uint8_t *data = extism_plugin_output_data(ctx, plugin);
    return extism_plugin_output_length(ctx, plugin) == len && data && memcmp(data, want, len) == 0;
}

/* Calls a function that must succeed with this text as its output. */
static inline bool guest_answers(ExtismContext *ctx, ExtismPlugin plugin, const char *function, const char *input,
                                 const char *want)
{
    return guest_call(ctx, plugin, function, input) == 0 && guest_output_is(ctx, plugin, want, strlen(want));
}

/* Standard base64 with padding, for modules inside manifests. */
static inline void base64(char *out, size_t room, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(text), n = 0;

    if (room < (len + 2) / 3 * 4 + 1) {
        fprintf(stderr, "base64: %zu bytes do not fit in %zu\n", len, room);
        exit(1);
    }
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)text[i] << 16;
        if (i + 1 < len)
            bits |= (uint32_t)(unsigned char)text[i + 1] << 8;
        if (i + 2 < len)
            bits |= (unsigned char)text[i + 2];
        out[n++] = digits[bits >> 18];
        out[n++] = digits[bits >> 12 & 63];
        out[n++] = i + 1 < len ? digits[bits >> 6 & 63] : '=';
        out[n++] = i + 2 < len ? digits[bits & 63] : '=';
    }
    out[n] = 0;
}

/* Makes a plugin of a manifest in which `%s` stands for the module. */
static inline ExtismPlugin guest_new_in(ExtismContext *ctx, const char *manifest, const char *wat)
{
    char module[6000], text[8192];
    const char *hole = strstr(manifest, "%s");

    base64(module, sizeof module, wat);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - manifest), manifest, module, hole + 2);
    return guest_new(ctx, text);
}

#endif
