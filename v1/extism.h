/*
 * libextism on Wasmer: the C interface of Extism 1.x. Generated from v1/src/ffi and capi/src/ffi by `make header`; do not
 * edit.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The version of libextism on Wasmer that this header belongs to. */
#define EXTISM_WASMER_VERSION_MAJOR 0
#define EXTISM_WASMER_VERSION_MINOR 1
#define EXTISM_WASMER_VERSION_PATCH 0

/* What `extism_plugin_call` returns for success. */
#define EXTISM_SUCCESS 0

/* The type of parameters and results that are handles of blocks. */
#define EXTISM_PTR ExtismValType_I64

/* Declares the function N as one for `extism_function_new`. */
#define EXTISM_FUNCTION(N) extern void N(ExtismCurrentPlugin *, const ExtismVal *, ExtismSize, ExtismVal *, ExtismSize, void *)

/* The same with the types that cgo gives to a function that Go exports. */
#define EXTISM_GO_FUNCTION(N) extern void N(void *, ExtismVal *, ExtismSize, ExtismVal *, ExtismSize, uintptr_t)


/**
 * The type of a value that a host function takes or returns. Only the first four can be used: a plugin with a host
 * function that has another one cannot be made.
 */
typedef enum {
  /**
   * A 32-bit integer.
   */
  ExtismValType_I32,
  /**
   * A 64-bit integer. Handles of blocks are of this type.
   */
  ExtismValType_I64,
  /**
   * A 32-bit float.
   */
  ExtismValType_F32,
  /**
   * A 64-bit float.
   */
  ExtismValType_F64,
  /**
   * A vector. Cannot be used.
   */
  ExtismValType_V128,
  /**
   * A reference to a function. Cannot be used.
   */
  ExtismValType_FuncRef,
  /**
   * A reference to an object of the host. Cannot be used.
   */
  ExtismValType_ExternRef,
} ExtismValType;

/**
 * Stops the calls of one plugin, to which it belongs: there is nothing to free. Its contents are private.
 */
typedef struct ExtismCancelHandle ExtismCancelHandle;

/**
 * A manifest whose modules are loaded and compiled, and of which any number of plugins can be made, by any thread. Made
 * by `extism_compiled_plugin_new`, freed by `extism_compiled_plugin_free`; its contents are private.
 */
typedef struct ExtismCompiledPlugin ExtismCompiledPlugin;

/**
 * The plugin that calls a host function, for the time of that call and on its thread. Each call of a host function gets
 * another pointer. At other times, and on other threads, functions recognise it, do nothing and return 0 or NULL. Do not
 * keep it all the same: a pointer comes again on its thread, after 4096 calls of host functions at the earliest.
 */
typedef struct ExtismCurrentPlugin ExtismCurrentPlugin;

/**
 * A function of the program that plugins can call. Made by `extism_function_new`, freed by `extism_function_free`; its
 * contents are private. Any thread may use it.
 */
typedef struct ExtismFunction ExtismFunction;

/**
 * A plugin. Made by `extism_plugin_new` and the like, freed by `extism_plugin_free`; its contents are private.
 *
 * All functions may be called from any thread. Calls of different plugins run in parallel, calls of the same plugin wait
 * for each other. A plugin that is NULL, has been freed, or never was one is recognised: functions then do nothing and
 * return their error value. The same is true of all other pointers that this library hands out; that of
 * `ExtismCurrentPlugin` says how long.
 */
typedef struct ExtismPlugin ExtismPlugin;

/**
 * A number of bytes, or of elements.
 */
typedef uint64_t ExtismSize;

/**
 * A value without its type.
 */
typedef union {
  /**
   * The value of an `I32`.
   */
  int32_t i32;
  /**
   * The value of an `I64`.
   */
  int64_t i64;
  /**
   * The value of an `F32`.
   */
  float f32;
  /**
   * The value of an `F64`.
   */
  double f64;
} ExtismValUnion;

/**
 * A value that a host function takes or returns.
 */
typedef struct {
  /**
   * The type, which is set in arguments and in results. Changing that of a result has no effect.
   */
  ExtismValType t;
  /**
   * The value: the member of type `t`.
   */
  ExtismValUnion v;
} ExtismVal;

/**
 * The work of a host function. It runs on the thread that called the plugin, and may use the library, also this plugin
 * as far as its functions say so. It must return: no exception and no `longjmp` may leave it.
 *
 * @param plugin The plugin that calls, until the return.
 * @param inputs The arguments, `n_inputs` of them; NULL if there are none.
 * @param outputs The place for the results, `n_outputs` of them; NULL if there are none. Their types are set, and their
 *                values are 0. Only the member `v` counts at the return.
 * @param data The `user_data` of `extism_function_new`.
 */
typedef void (*ExtismFunctionType)(ExtismCurrentPlugin *plugin,
                                   const ExtismVal *inputs,
                                   ExtismSize n_inputs,
                                   ExtismVal *outputs,
                                   ExtismSize n_outputs,
                                   void *data);

/**
 * The place of a block in a plugin's memory for input and output, in bytes from that memory's begin. 0 is no block.
 */
typedef uint64_t ExtismMemoryHandle;

/**
 * Gets one line of the log.
 *
 * @param data The line in UTF-8, which ends in a newline; a NUL follows. Borrowed until the return.
 * @param size The number of bytes at `data`, with the newline and without the NUL.
 */
typedef void (*ExtismLogDrainFunctionType)(const char *data, ExtismSize size);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a plugin.
 *
 * Compiling may take seconds, unless the code is in the process or in the cache. Start functions of the modules run before
 * this returns, on this thread, and may call the host functions.
 *
 * @param wasm A WebAssembly module, binary or text, or a manifest in JSON or TOML. Borrowed until the return.
 * @param wasm_size The number of bytes at `wasm`.
 * @param functions Host functions, `n_functions` of them, that the plugin may import. Each may be given to any number of
 *                  plugins, and freed at any time. Of two with the same namespace and name, the later counts. NULL:
 *                  there are none. The plugin cannot be made if one of them is NULL or has been freed, has a type that
 *                  cannot be used, or was made without `func`.
 * @param n_functions The number of pointers at `functions`, at most 100000. Ignored if `functions` is NULL.
 * @param with_wasi Whether the modules may import WASI.
 * @param errmsg Where to put the text of why it failed, to be freed with `extism_plugin_new_error_free`. Written on
 *               failure only, and never read. May be NULL.
 * @return The plugin, to be freed with `extism_plugin_free`. NULL if it cannot be made.
 *
 * # Safety
 * `wasm` must be NULL or point to `wasm_size` readable bytes, `functions` must be NULL or point to `n_functions` pointers,
 * `errmsg` must be NULL or point to a pointer that may be written.
 */
ExtismPlugin *extism_plugin_new(const uint8_t *wasm,
                                ExtismSize wasm_size,
                                const ExtismFunction **functions,
                                ExtismSize n_functions,
                                bool with_wasi,
                                char **errmsg);

/**
 * Like `extism_plugin_new`, with a limit on the instructions that each call may execute. A call that reaches it fails with
 * an error that contains `fuel`. The start functions of the modules have the same limit: a plugin that reaches it there
 * cannot be made.
 *
 * @param wasm As for `extism_plugin_new`.
 * @param wasm_size As for `extism_plugin_new`.
 * @param functions As for `extism_plugin_new`.
 * @param n_functions As for `extism_plugin_new`.
 * @param with_wasi As for `extism_plugin_new`.
 * @param fuel_limit The number of instructions. Takes the place of `fuel` in the manifest.
 * @param errmsg As for `extism_plugin_new`.
 * @return As for `extism_plugin_new`.
 *
 * # Safety
 * As for `extism_plugin_new`.
 */
ExtismPlugin *extism_plugin_new_with_fuel_limit(const uint8_t *wasm,
                                                ExtismSize wasm_size,
                                                const ExtismFunction **functions,
                                                ExtismSize n_functions,
                                                bool with_wasi,
                                                uint64_t fuel_limit,
                                                char **errmsg);

/**
 * Frees the text that a function which makes plugins has put into `errmsg`.
 *
 * @param err The text. NULL, texts that have been freed before, and other pointers are ignored.
 */
void extism_plugin_new_error_free(char *err);

/**
 * Frees a plugin, waiting for a call that another thread is running on it. The host functions that it was made with are
 * released on this thread, before the return; while thread-local values are destroyed, on another, for which this waits.
 *
 * From inside a host function that the plugin itself is calling, the plugin is freed when its call returns, which then
 * fails; for all functions, it is freed at once.
 *
 * @param plugin The plugin. NULL and plugins that have been freed before are ignored.
 */
void extism_plugin_free(ExtismPlugin *plugin);

/**
 * The plugin's id, by which lines of the log name it.
 *
 * @param plugin The plugin.
 * @return The 16 bytes of a UUID (version 4), in the order of its text. They belong to the plugin, and are at the same
 *         address until it is freed. NULL if there is no such plugin.
 */
const uint8_t *extism_plugin_id(ExtismPlugin *plugin);

/**
 * Frees the blocks in the plugin's memory for input and output, and empties its output. The plugin's own memory, globals,
 * variables and configuration stay, and so does its error. Waits for a running call.
 *
 * @param plugin The plugin.
 * @return false if there is no such plugin, or if a call of it is running on this very thread; nothing has happened then.
 */
bool extism_plugin_reset(ExtismPlugin *plugin);

/**
 * Loads and compiles the modules of a plugin, which may take seconds. Nothing of them runs: an import that nobody serves,
 * or a start function that fails, shows when a plugin is made.
 *
 * @param wasm A WebAssembly module, binary or text, or a manifest in JSON or TOML. Borrowed until the return.
 * @param wasm_size The number of bytes at `wasm`.
 * @param functions Host functions for the plugins, as for `extism_plugin_new`.
 * @param n_functions As for `extism_plugin_new`.
 * @param with_wasi Whether the modules may import WASI.
 * @param errmsg As for `extism_plugin_new`.
 * @return The compiled plugin, to be freed with `extism_compiled_plugin_free`. NULL if it cannot be made.
 *
 * # Safety
 * As for `extism_plugin_new`.
 */
ExtismCompiledPlugin *extism_compiled_plugin_new(const uint8_t *wasm,
                                                 ExtismSize wasm_size,
                                                 const ExtismFunction **functions,
                                                 ExtismSize n_functions,
                                                 bool with_wasi,
                                                 char **errmsg);

/**
 * Like `extism_compiled_plugin_new`, with a limit on the instructions that each call of its plugins may execute, as for
 * `extism_plugin_new_with_fuel_limit`.
 *
 * @param wasm As for `extism_compiled_plugin_new`.
 * @param wasm_size As for `extism_compiled_plugin_new`.
 * @param functions As for `extism_compiled_plugin_new`.
 * @param n_functions As for `extism_compiled_plugin_new`.
 * @param with_wasi As for `extism_compiled_plugin_new`.
 * @param fuel_limit The number of instructions. Takes the place of `fuel` in the manifest.
 * @param errmsg As for `extism_compiled_plugin_new`.
 * @return As for `extism_compiled_plugin_new`.
 *
 * # Safety
 * As for `extism_plugin_new`.
 */
ExtismCompiledPlugin *extism_compiled_plugin_new_with_fuel_limit(const uint8_t *wasm,
                                                                 ExtismSize wasm_size,
                                                                 const ExtismFunction **functions,
                                                                 ExtismSize n_functions,
                                                                 bool with_wasi,
                                                                 uint64_t fuel_limit,
                                                                 char **errmsg);

/**
 * Makes a plugin of a compiled plugin. It has an id, a configuration, variables and a memory of its own, and shares the
 * code and the host functions. It may outlive the compiled plugin. Start functions of the modules run before this returns,
 * on this thread, and may call the host functions.
 *
 * @param compiled The compiled plugin.
 * @param errmsg As for `extism_plugin_new`.
 * @return The plugin, to be freed with `extism_plugin_free`. NULL if it cannot be made.
 *
 * # Safety
 * `errmsg` must be NULL or point to a pointer that may be written.
 */
ExtismPlugin *extism_plugin_new_from_compiled(const ExtismCompiledPlugin *compiled,
                                              char **errmsg);

/**
 * Frees a compiled plugin. Plugins that were made of it keep what they need of it.
 *
 * @param compiled The compiled plugin. NULL and those that have been freed before are ignored.
 */
void extism_compiled_plugin_free(ExtismCompiledPlugin *compiled);

/**
 * Changes the configuration that a plugin reads, from its next look on. Does not wait for a running call. Clears the
 * plugin's error if it succeeds.
 *
 * @param plugin The plugin.
 * @param json An object of strings and nulls, in JSON: a string sets its key, null removes it, other keys stay. As in a
 *             manifest, it may be a list of pairs, and begin with a byte order mark. Borrowed until the return.
 * @param json_size The number of bytes at `json`.
 * @return false if there is no such plugin, or `json` is anything else. Nothing is changed then, and in the second case the
 *         log has a line of level error that says why.
 *
 * # Safety
 * `json` must be NULL or point to `json_size` readable bytes.
 */
bool extism_plugin_config(ExtismPlugin *plugin,
                          const uint8_t *json,
                          ExtismSize json_size);

/**
 * Tells whether a plugin's main module exports a function of this name that can be called: no parameters, result `i32` or
 * none. Does not wait for a running call. Clears the plugin's error if the name is UTF-8.
 *
 * @param plugin The plugin.
 * @param func_name The function's name, in UTF-8. Borrowed until the return.
 * @return true if it does. Also false if the name is NULL or not UTF-8, or there is no such plugin.
 *
 * # Safety
 * `func_name` must be NULL or point to a NUL-terminated string.
 */
bool extism_plugin_function_exists(ExtismPlugin *plugin,
                                   const char *func_name);

/**
 * Has a plugin get the headers of HTTP answers, from its next request on. Does not wait for a running call.
 *
 * @param plugin The plugin.
 */
void extism_plugin_allow_http_response_headers(ExtismPlugin *plugin);

/**
 * Calls a function that a plugin exports: no parameters, result `i32` or none. Waits for a running call of the plugin.
 *
 * Forgets the error and this thread's output of the plugin, and frees the blocks of the call before.
 *
 * After a call that trapped, was stopped or exited, the next call gets a new instance: memory and globals are as when
 * the plugin was made; configuration and variables stay. `"after_trap": "keep"` in the manifest keeps the instance
 * after a trap or an exit.
 *
 * The first call on a thread, or the first plugin that it makes, unblocks SIGSEGV, SIGILL, SIGFPE, SIGURG and one
 * real-time signal there, which traps and timeouts arrive as, and sets an alternate signal stack unless there is one
 * of 64 KiB. A thread that blocks the signals later gets no timeouts, and a trap in it ends the process.
 *
 * All functions may be called while thread-local values are destroyed, at a thread's end or by `exit`. They then run
 * on another thread, for which the caller waits.
 *
 * @param plugin The plugin.
 * @param func_name The function's name, in UTF-8. Borrowed until the return.
 * @param data The input. Borrowed until the return. NULL: the input is empty, whatever `data_len` says.
 * @param data_len The number of bytes at `data`.
 * @return The function's result, by convention 0 for success; 0 if it returns nothing; the status 0 to 125 if it called
 *         WASI's `proc_exit`; 134 if it trapped, timed out or was cancelled; -1 if it failed otherwise, could not be
 *         called, or there is no such plugin. `extism_plugin_error` has the text, which a plugin may also set together
 *         with a result of 0.
 *
 * # Safety
 * `func_name` must be NULL or a NUL-terminated string, `data` must be NULL or point to `data_len` readable bytes.
 */
int32_t extism_plugin_call(ExtismPlugin *plugin, const char *func_name, const uint8_t *data, ExtismSize data_len);

/**
 * Like `extism_plugin_call`, with a pointer for the host functions that the plugin calls.
 *
 * @param plugin As for `extism_plugin_call`.
 * @param func_name As for `extism_plugin_call`.
 * @param data As for `extism_plugin_call`.
 * @param data_len As for `extism_plugin_call`.
 * @param host_context What `extism_current_plugin_host_context` returns during this call. The library only hands it on.
 * @return As for `extism_plugin_call`.
 *
 * # Safety
 * As for `extism_plugin_call`.
 */
int32_t extism_plugin_call_with_host_context(ExtismPlugin *plugin,
                                             const char *func_name,
                                             const uint8_t *data,
                                             ExtismSize data_len,
                                             void *host_context);

/**
 * The error of a plugin's last call. Does not wait for a running call, and clears nothing. It is cleared by the next call,
 * by `extism_plugin_function_exists`, and by an `extism_plugin_config` that succeeds.
 *
 * @param plugin The plugin.
 * @return A NUL-terminated text in UTF-8. NULL if the call had no error, or if there is no such plugin. The text belongs
 *         to the library and is valid until this thread asks for an error again or ends. Short texts stay valid for some
 *         calls more, for languages that may move to another thread before they have copied the text.
 */
const char *extism_plugin_error(ExtismPlugin *plugin);

/**
 * The same as `extism_plugin_error`, under its old name.
 *
 * @param plugin The plugin.
 * @return As for `extism_plugin_error`.
 */
const char *extism_error(ExtismPlugin *plugin);

/**
 * The number of instructions of a plugin's last call in all its modules, if it has a limit of them. After a stop or a
 * trap, the last few may be missing. Waits for a running call; leaves the error as it is. Extism's own library lacks this
 * function.
 *
 * @param plugin The plugin.
 * @return The number; 0 if instructions are not counted, nothing has been called, a call is running on this very thread,
 *         or there is no such plugin.
 */
uint64_t extism_plugin_fuel_consumed(ExtismPlugin *plugin);

/**
 * The length in bytes of the output of the last call that this thread made of a plugin; of the newest call if it has made
 * none. Does not wait for a running call. Leaves the error as it is.
 *
 * @param plugin The plugin.
 * @return The length. 0 if there is no output, the plugin was reset since, a call is running on this very thread, or there is
 *         no such plugin.
 */
ExtismSize extism_plugin_output_length(ExtismPlugin *plugin);

/**
 * The output that `extism_plugin_output_length` tells the length of. Does not wait for a running call. Leaves the error as
 * it is.
 *
 * @param plugin The plugin.
 * @return The bytes, which are not NUL-terminated, but the one after them may be read. Not NULL even if there is no output.
 *         NULL if there is no such plugin. Up to 4096 bytes: valid until this thread calls the plugin or ends, or it is
 *         reset or freed. Larger: until any thread calls it, too; ask again after that.
 */
const uint8_t *extism_plugin_output_data(ExtismPlugin *plugin);

/**
 * The handle that stops the calls of a plugin from other threads. Does not wait for a running call.
 *
 * @param plugin The plugin.
 * @return The handle, the same each time, until the plugin is freed. NULL if there is no such plugin.
 */
const ExtismCancelHandle *extism_plugin_cancel_handle(const ExtismPlugin *plugin);

/**
 * Stops a plugin's running call, which then returns 134 with an error that contains `timeout`. The call stops at once in
 * the plugin's own code and while it waits for a timer or an HTTP answer; in a host function, when that returns. The plugin
 * can be called again. Does not wait for the call to stop. Later calls are not stopped.
 *
 * @param handle The handle.
 * @return true, also if no call is running: nothing has happened then. false if the handle is NULL, is no handle, or its
 *         plugin has been freed.
 */
bool extism_plugin_cancel(const ExtismCancelHandle *handle);

/**
 * Makes a host function, which plugins made with it can import. Any number of plugins can be made with it, and it can be
 * freed as soon as they are.
 *
 * @param name The import's name, in UTF-8. Borrowed until the return.
 * @param inputs The types of the parameters, `n_inputs` of them, at most 1000. Borrowed until the return. NULL: there are
 *               none.
 * @param n_inputs The number of parameters.
 * @param outputs The types of the results, `n_outputs` of them, at most 1000. Borrowed until the return. NULL: there are
 *                none.
 * @param n_outputs The number of results.
 * @param func The work of the function, which any thread may be given. If it is NULL, no plugin can be made with the
 *             function.
 * @param user_data What `func` gets as its last argument, on each thread. May be NULL.
 * @param free_user_data Called once with `user_data` when nothing can use it any more: inside the call that frees the
 *                       last of this function and of all that was made with it, on the same thread, before that call
 *                       returns. It may use the library. Not called if it or `user_data` is NULL.
 * @return The function, to be freed with `extism_function_free`. NULL if the name is NULL or not UTF-8, or if there are
 *         too many types: the log has a line of level error that says so, and `free_user_data` is not called.
 *
 * # Safety
 * `name` must be NULL or point to a NUL-terminated string, `inputs` and `outputs` must be NULL or point to as many types
 * as their numbers say. `func` and `free_user_data` must be NULL or functions of their types, which any thread may call
 * with `user_data`.
 */
ExtismFunction *extism_function_new(const char *name,
                                    const ExtismValType *inputs,
                                    ExtismSize n_inputs,
                                    const ExtismValType *outputs,
                                    ExtismSize n_outputs,
                                    ExtismFunctionType func,
                                    void *user_data,
                                    void (*free_user_data)(void *user_data));

/**
 * Sets the namespace of a host function: the module that plugins import it from. Counts for what is made with the function
 * later.
 *
 * @param function The function. Nothing happens if it is NULL or has been freed.
 * @param namespace_ The namespace, in UTF-8; `extism:host/user` until it is set. Borrowed until the return. Nothing
 *                   happens if it is NULL or not UTF-8.
 *
 * # Safety
 * `namespace_` must be NULL or point to a NUL-terminated string.
 */
void extism_function_set_namespace(ExtismFunction *function,
                                   const char *namespace_);

/**
 * Frees a host function. Plugins that were made with it keep what they need of it.
 *
 * @param function The function. NULL and functions that have been freed before are ignored.
 */
void extism_function_free(ExtismFunction *function);

/**
 * The plugin's memory for input, output and blocks. The block of handle `h` begins at this address plus `h`.
 *
 * The memory does not move, so that addresses in it are good until the plugin's call ends. Its first byte is 0. Bytes
 * outside of blocks belong to the library.
 *
 * @param plugin The plugin that calls the host function.
 * @return The address of the first byte. NULL if `plugin` is not good here.
 */
uint8_t *extism_current_plugin_memory(ExtismCurrentPlugin *plugin);

/**
 * Makes a block in the plugin's memory, of which all bytes are 0. It is freed when the plugin is next called or reset,
 * or by `extism_current_plugin_memory_free`. The plugin's code may free it, too.
 *
 * @param plugin The plugin that calls the host function.
 * @param size The number of bytes.
 * @return The block's handle, from 1 to 2147483647. 0 if `size` is 0, if the block is larger than the plugin's memory may
 *         be, if there is no room, or if `plugin` is not good here.
 */
ExtismMemoryHandle extism_current_plugin_memory_alloc(ExtismCurrentPlugin *plugin,
                                                      ExtismSize size);

/**
 * The length of a block in the plugin's memory: one of the host's or of the plugin's, such as the plugin's arguments.
 *
 * @param plugin The plugin that calls the host function.
 * @param handle The block's handle.
 * @return The number of bytes. 0 if no block begins there, or if `plugin` is not good here.
 */
ExtismSize extism_current_plugin_memory_length(ExtismCurrentPlugin *plugin, ExtismMemoryHandle handle);

/**
 * Frees a block in the plugin's memory, the host's or the plugin's. Does nothing if no block begins there, or if
 * `plugin` is not good here.
 *
 * @param plugin The plugin that calls the host function.
 * @param handle The block's handle.
 */
void extism_current_plugin_memory_free(ExtismCurrentPlugin *plugin, ExtismMemoryHandle handle);

/**
 * The host context of the plugin's call: a pointer of the program's own that came with the call.
 *
 * @param plugin The plugin that calls the host function.
 * @return The pointer. NULL if the call has none, as every call of the interface of Extism 0.1.0, or if `plugin` is not
 *         good here.
 */
void *extism_current_plugin_host_context(ExtismCurrentPlugin *plugin);

/**
 * Has the host function fail: once it returns, the plugin's call ends with this text as its error. Extism's own library
 * lacks this function.
 *
 * @param plugin The plugin that calls the host function. Nothing happens if it is not good here.
 * @param text The error, of which the first 1048576 bytes count; bytes that are not UTF-8 are replaced. Borrowed until
 *             the return. An empty one is replaced by one that says so. NULL takes back what an earlier call has set.
 *
 * # Safety
 * `text` must be NULL or point to a NUL-terminated string.
 */
void extism_current_plugin_error_set(ExtismCurrentPlugin *plugin, const char *text);

/**
 * Sets the destination of log lines, for the whole process. Can be called again at any time, from any thread.
 *
 * @param filename `-` or `stderr`, `stdout`, or the path of a file, which is appended to and made if it is missing; no
 *                 directory is made. NULL means `stderr`. Borrowed.
 * @param log_level `off`, `error`, `warn`, `info`, `debug` or `trace`, in any case, or a filter such as
 *                  `extism=trace,cranelift=debug`, of which the part for `extism` counts. NULL means `error`. Borrowed.
 * @return false if the level is none of these, a text is not UTF-8, or the file cannot be opened; the log then stays as it
 *         was, and gets a line of level error that says which.
 *
 * # Safety
 * Each pointer must be NULL or point to a NUL-terminated string.
 */
bool extism_log_file(const char *filename,
                     const char *log_level);

/**
 * Has log lines kept in memory until `extism_log_drain` takes them, for the whole process. The library keeps the newest
 * 16 MiB of them; where older ones are left out, a line says how many. Can be called again at any time: lines that are
 * kept stay.
 *
 * @param log_level As for `extism_log_file`.
 * @return false if the level cannot be used, as for `extism_log_file`.
 *
 * # Safety
 * `log_level` must be NULL or point to a NUL-terminated string.
 */
bool extism_log_custom(const char *log_level);

/**
 * Takes the lines that `extism_log_custom` has kept, and calls a function with each, oldest first. No lock is held then:
 * the function may log, drain and call plugins. Lines that are logged meanwhile are for the next drain.
 *
 * @param handler The function; it must return. If it is NULL, nothing happens and the lines stay.
 *
 * # Safety
 * `handler` must be NULL or a function of its type.
 */
void extism_log_drain(ExtismLogDrainFunctionType handler);

/**
 * The version of Extism whose C interface this is, such as `1.41.0`. `extism_wasmer_version` is the library's own.
 *
 * @return A NUL-terminated text that lives as long as the library.
 */
const char *extism_version(void);

/**
 * Chooses the compiler for plugins that any thread makes from this call on, unless their manifest has `compiler`.
 * Existing plugins keep their code. Takes precedence over the environment variable `EXTISM_COMPILER`.
 *
 * In a library without compilers, it chooses the compiler whose precompiled code is looked up.
 *
 * @param name `cranelift`, `llvm` or `singlepass`; NULL goes back to `EXTISM_COMPILER` and the default. Borrowed.
 * @return false if the compiler is not built in, or there is none of that name; the choice then stays as it was. A
 *         library without compilers accepts all three names.
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
 * Tells whether a compiler is built into this library.
 *
 * @param name The compiler's name. Borrowed.
 * @return false if it is not built in, if there is no compiler of that name, or for NULL.
 *
 * # Safety
 * `name` must be NULL or point to a NUL-terminated string.
 */
bool extism_compiler_available(const char *name);

/**
 * The version of libextism on Wasmer, such as `0.1.0`. The header's macros `EXTISM_WASMER_VERSION_MAJOR`, `_MINOR` and
 * `_PATCH` are the version that a program was compiled with.
 *
 * Extism's own library lacks this function. A program that loads a library at run time can tell the two by `dlsym`.
 *
 * @return A NUL-terminated text that lives as long as the library.
 */
const char *extism_wasmer_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus
