/*
 * libextism on Wasmer: the C interface of Extism 0.1.0. Generated from src/ffi by `make header`; do not edit.
 *
 * From C++, include it inside extern "C" { }: the declarations are kept plain so that FFI parsers can read them.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

/**
 * Stops what one plugin runs. Made by `extism_plugin_cancel_handle`, freed by `extism_cancel_handle_free`; its contents are
 * private. It may be used by any thread at any time, also after its plugin and context have been freed.
 */
typedef struct ExtismCancelHandle ExtismCancelHandle;

/**
 * A set of plugins. Made by `extism_context_new`, freed by `extism_context_free`; its contents are private.
 *
 * All functions may be called from any thread. Calls on different plugins of a context run in parallel, calls on the
 * same plugin wait for each other. A context that is NULL, has been freed, or never was one is recognised: functions
 * then do nothing and return their error value.
 */
typedef struct ExtismContext ExtismContext;

/**
 * The id of a plugin in its context; 0 and up. Negative: no plugin.
 */
typedef int32_t ExtismPlugin;

/**
 * A number of bytes.
 */
typedef uint64_t ExtismSize;

/**
 * Makes a context without plugins.
 *
 * The first call of this function, `extism_log_file` or one of those about compilers reads the environment; variables that are set
 * later have no effect.
 *
 * @return The context, to be freed with `extism_context_free`. NULL if something inside the library fails that must not.
 */
struct ExtismContext *extism_context_new(void);

/**
 * Frees a context and its plugins, waiting for those that are running.
 *
 * NULL and contexts that have been freed before are ignored.
 *
 * @param ctx The context, or NULL.
 */
void extism_context_free(struct ExtismContext *ctx);

/**
 * Frees all plugins of a context, waiting for those that are running. The context can be used further; the ids of
 * its plugins are not given again.
 *
 * @param ctx The context; NULL is ignored.
 */
void extism_context_reset(struct ExtismContext *ctx);

/**
 * Makes a plugin.
 *
 * @param ctx The context that the plugin will belong to.
 * @param wasm A WebAssembly module, binary or text, or a manifest in JSON or TOML. Borrowed until the return.
 * @param wasm_size How many bytes `wasm` has.
 * @param with_wasi Whether the modules may import WASI.
 * @return The plugin's id, or -1; `extism_error(ctx, -1)` then says why.
 *
 * # Safety
 * `wasm` must be NULL or point to `wasm_size` readable bytes.
 */
ExtismPlugin extism_plugin_new(struct ExtismContext *ctx, const uint8_t *wasm, ExtismSize wasm_size, bool with_wasi);

/**
 * Replaces a plugin by a new one under the same id. Nothing of the old one stays: memory, variables, configuration
 * and error are new. Waits for a call that is running on it. If the new plugin cannot be made, the old one stays.
 *
 * @param ctx The context that the plugin belongs to.
 * @param index The plugin's id.
 * @param wasm A module or manifest as for `extism_plugin_new`. Borrowed until the return.
 * @param wasm_size How many bytes `wasm` has.
 * @param with_wasi Whether the modules may import WASI.
 * @return false if the plugin cannot be made or there is none with this id; `extism_error(ctx, -1)` says which.
 *
 * # Safety
 * `wasm` must be NULL or point to `wasm_size` readable bytes.
 */
bool extism_plugin_update(struct ExtismContext *ctx,
                          ExtismPlugin index,
                          const uint8_t *wasm,
                          ExtismSize wasm_size,
                          bool with_wasi);

/**
 * Frees a plugin, waiting for a call that is running on it. NULL contexts and unknown ids are ignored.
 *
 * @param ctx The context that the plugin belongs to, or NULL.
 * @param plugin The plugin's id.
 */
void extism_plugin_free(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * Changes the configuration that a plugin reads. Waits for a call that is running on it. Clears errors like
 * `extism_plugin_call`.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @param json An object of strings and nulls, in JSON: a string sets its key, null removes it, other keys stay. As in
 *             a manifest, it may be a list of pairs, an empty list too, and begin with a byte order mark. Borrowed
 *             until the return.
 * @param json_size How many bytes `json` has.
 * @return false if there is no such plugin or `json` is anything else; nothing is changed then, and `extism_error`
 *         says why.
 *
 * # Safety
 * `json` must be NULL or point to `json_size` readable bytes.
 */
bool extism_plugin_config(struct ExtismContext *ctx, ExtismPlugin plugin, const uint8_t *json, ExtismSize json_size);

/**
 * Whether a plugin's main module exports a function of this name, of whatever type. Clears errors like
 * `extism_plugin_call`.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @param func_name The function's name, in UTF-8. Borrowed until the return.
 * @return true if it does. false also if there is no such plugin or the name is NULL or not UTF-8; `extism_error`
 *         tells these cases apart.
 *
 * # Safety
 * `func_name` must be NULL or point to a NUL-terminated string.
 */
bool extism_plugin_function_exists(struct ExtismContext *ctx, ExtismPlugin plugin, const char *func_name);

/**
 * Calls a function that a plugin exports. It takes no parameters and returns an `i32` or nothing. Waits for a call
 * that is running on the plugin already.
 *
 * The plugin's error, and this thread's of the context, are cleared first, and the output is emptied.
 *
 * After a call that trapped, was stopped or exited, the next one gets a new instance: memory and globals are as when the plugin
 * was made, configuration and variables stay. `"after_trap": "keep"` in the manifest keeps the old one after a trap or an exit.
 *
 * The first call on a thread, or the first plugin that it makes, unblocks SIGSEGV, SIGILL, SIGFPE, SIGURG and one real-time
 * signal there, which traps and timeouts arrive as, and gives it an alternate stack for handlers if it has none of 64 KiB. A
 * thread that blocks them after that gets no timeouts, and a trap in it ends the process.
 *
 * A thread whose thread-local values are being destroyed, or the process by `exit`, may call all functions. They are then run on
 * a thread made for it, while it waits. Once `exit` has been called, no more plugins can be made of modules that no plugin has.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin_id The plugin's id.
 * @param func_name The function's name, in UTF-8. Borrowed until the return.
 * @param data The input. Borrowed until the return. NULL: the input is empty, whatever `data_len` says.
 * @param data_len How many bytes `data` has.
 * @return What the function returned, by convention 0 for success; 0 if it returns nothing; the status 0 to 125 if
 *         it called WASI's `proc_exit`; -1 if it could not be called or trapped. `extism_error` has the text, which
 *         a plugin may also set together with a result of 0.
 *
 * # Safety
 * `func_name` must be NULL or point to a NUL-terminated string, `data` must be NULL or point to `data_len` readable
 * bytes.
 */
int32_t extism_plugin_call(struct ExtismContext *ctx,
                           ExtismPlugin plugin_id,
                           const char *func_name,
                           const uint8_t *data,
                           ExtismSize data_len);

/**
 * The text of an error: of a plugin, or of the context if there is no plugin with this id (such as -1). Does not wait
 * for a running call and clears nothing. A plugin has one error: threads that share a plugin clear each other's by
 * their next call. A context has one for each thread that failed in it; a thread that has none gets the newest.
 *
 * @param ctx The context.
 * @param plugin The plugin's id, or -1.
 * @return A NUL-terminated text, or NULL if there is no error. It belongs to the library and is valid until this
 *         thread calls `extism_error` again or ends. Short texts stay for some calls more, for languages that go on on
 *         another thread before they have copied one.
 */
const char *extism_error(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * How many bytes the last call of a plugin has output. Waits for a running call. Clears errors like
 * `extism_plugin_call`: ask for the error first.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @return The length; 0 if there is no output or no such plugin, or where `extism_plugin_output_data` has no room.
 */
ExtismSize extism_plugin_output_length(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * The output of the last call of a plugin. Waits for a running call. Clears errors like `extism_plugin_call`: ask for
 * the error first.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @return The bytes, as many as `extism_plugin_output_length` says; they stand in the plugin's memory, are not
 *         NUL-terminated, and are valid until the plugin is called, updated or freed, or the context is reset or
 *         freed. Not NULL even if there is no output. NULL if there is no such plugin; NULL, and an error, if the
 *         output ends where the memory does, so that it is copied, and there is no room for that.
 */
const uint8_t *extism_plugin_output_data(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * How many instructions the last call of a plugin has executed, where its manifest has `fuel`: of all its modules together.
 * Of a call that was stopped or has trapped, the last few may be missing. Waits for a running call; leaves errors as they are.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @return The number; 0 if instructions are not counted, nothing has been called, or there is no such plugin.
 */
uint64_t extism_plugin_fuel_used(struct ExtismContext *ctx,
                                 ExtismPlugin plugin);

/**
 * Sets where log lines go, for the whole process. Can be called again at any time, from any thread; until the first
 * call lines go to the logger of the host, if that is written in Rust and has one.
 *
 * @param filename `-` or `stdout`, `stderr`, or the path of a file, which is appended to; missing directories are
 *                 made, `$ENV{NAME}` is replaced by that environment variable. NULL means `stderr`. Borrowed.
 * @param log_level `off`, `error`, `warn`, `info`, `debug` or `trace`, in any case. NULL means `error`. Borrowed.
 * @return false if the level is none of these, a text is not UTF-8, the file cannot be opened, or a variable in its
 *         name is not set; the log then stays as it was, and gets a line of level error that says which.
 *
 * # Safety
 * Each pointer must be NULL or point to a NUL-terminated string.
 */
bool extism_log_file(const char *filename, const char *log_level);

/**
 * The version of the library, such as `0.1.0`.
 *
 * @return A NUL-terminated text that lives as long as the library.
 */
const char *extism_version(void);

/**
 * Chooses the compiler for plugins that are made from now on, by all threads, unless their manifest has `compiler`.
 * Plugins that are there keep their code. Wins over the environment variable `EXTISM_COMPILER`.
 *
 * In a library without compilers it chooses whose precompiled code is looked for.
 *
 * @param name `cranelift`, `llvm` or `singlepass`; NULL goes back to `EXTISM_COMPILER` and the default. Borrowed.
 * @return false if there is no such compiler in this library; the choice then stays as it was.
 *
 * # Safety
 * `name` must be NULL or point to a NUL-terminated string.
 */
bool extism_compiler_set(const char *name);

/**
 * The compiler for the next plugin whose manifest has no `compiler`.
 *
 * @return A NUL-terminated name that lives as long as the library; `headless` if no compiler is built in and none was
 *         chosen; NULL if `EXTISM_COMPILER` names one that is not there, which is also the error of the next plugin.
 */
const char *extism_compiler(void);

/**
 * Whether a compiler is built into this library.
 *
 * @param name The compiler's name. Borrowed.
 * @return false if it is not, or if there is no compiler of that name; also for NULL.
 *
 * # Safety
 * `name` must be NULL or point to a NUL-terminated string.
 */
bool extism_compiler_available(const char *name);

/**
 * Makes a handle that stops calls of a plugin. It follows `extism_plugin_update`. Does not wait for a running call.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @return The handle, to be freed with `extism_cancel_handle_free`. NULL if there is no such plugin.
 */
const struct ExtismCancelHandle *extism_plugin_cancel_handle(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * Stops the call that a plugin is running, which then returns -1; its error text contains `cancelled`, or `timeout` if its time
 * was over before. It stops at once in the plugin's own code, and also in waiting for a timer or an answer by HTTP; in anything
 * else that the library does for the plugin, such as to fill memory, at the end of that. The plugin can be called again. Does not
 * wait for the call to stop.
 *
 * @param handle The handle. NULL and handles that have been freed are ignored.
 * @return true if a call was running, which may have come to its end by itself all the same; false if not, and then
 *         nothing has happened. false also where the system refuses each signal that could reach the plugin's thread, as
 *         filters of system calls do: a call that is running then ends in the next host function that it calls.
 */
bool extism_plugin_cancel(const struct ExtismCancelHandle *handle);

/**
 * Frees a handle. NULL and handles that have been freed before are ignored.
 *
 * @param handle The handle, or NULL.
 */
void extism_cancel_handle_free(const struct ExtismCancelHandle *handle);
