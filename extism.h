/*
 * libextism on Wasmer: the C interface of Extism 0.1.0. Generated from src/ffi by `make header`; do not edit.
 *
 * From C++, use extism.hpp, or include this inside extern "C" { }: the declarations are kept plain so that FFI parsers
 * can read them.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The version of libextism on Wasmer that this header belongs to. */
#define EXTISM_WASMER_VERSION_MAJOR 0
#define EXTISM_WASMER_VERSION_MINOR 1
#define EXTISM_WASMER_VERSION_PATCH 0


/**
 * The type of a value that a host function takes or returns. Only the first four can be used: a plugin with a host
 * function that has another one cannot be made.
 */
typedef enum ExtismValType {
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
 * Stops the calls of one plugin. Made by `extism_plugin_cancel_handle`, freed by `extism_cancel_handle_free`; its
 * contents are private. Any thread may use it at any time, also after its plugin and context have been freed.
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
 * The id of a plugin in its context; 0 and up. Negative: no plugin.
 */
typedef int32_t ExtismPlugin;

/**
 * A number of bytes, or of elements.
 */
typedef uint64_t ExtismSize;

/**
 * A value without its type.
 */
typedef union ExtismValUnion {
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
typedef struct ExtismVal {
  /**
   * The type, which is set in arguments and in results. Changing that of a result has no effect.
   */
  enum ExtismValType t;
  /**
   * The value: the member of type `t`.
   */
  union ExtismValUnion v;
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
typedef void (*ExtismFunctionType)(struct ExtismCurrentPlugin *plugin,
                                   const struct ExtismVal *inputs,
                                   ExtismSize n_inputs,
                                   struct ExtismVal *outputs,
                                   ExtismSize n_outputs,
                                   void *data);

/**
 * The place of a block in a plugin's memory for input and output, in bytes from that memory's begin. 0 is no block.
 */
typedef uint64_t ExtismMemoryHandle;

/**
 * Makes a context without plugins.
 *
 * The first call of this function, `extism_log_file` or a function about compilers reads the environment; variables
 * that are set later have no effect.
 *
 * @return The context, to be freed with `extism_context_free`. NULL after an internal error of the library.
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
 * @param wasm A WebAssembly module, binary or text, or a manifest in JSON or TOML, whose keys `docs/manifest.md` lists.
 *             Borrowed until the return.
 * @param wasm_size The number of bytes at `wasm`.
 * @param with_wasi Whether the modules may import WASI.
 * @return The plugin's id, or -1; `extism_error(ctx, -1)` then says why.
 *
 * # Safety
 * `wasm` must be NULL or point to `wasm_size` readable bytes.
 */
ExtismPlugin extism_plugin_new(struct ExtismContext *ctx, const uint8_t *wasm, ExtismSize wasm_size, bool with_wasi);

/**
 * Replaces a plugin by a new one under the same id. Nothing of the old one stays but its host functions: memory,
 * variables, configuration and error are new. Waits for a call that is running on it. If the new plugin cannot be
 * made, the old one stays.
 *
 * @param ctx The context that the plugin belongs to.
 * @param index The plugin's id.
 * @param wasm A module or manifest as for `extism_plugin_new`. Borrowed until the return.
 * @param wasm_size The number of bytes at `wasm`.
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
 * @param json_size The number of bytes at `json`.
 * @return false if there is no such plugin or `json` is anything else; nothing is changed then, and `extism_error`
 *         says why.
 *
 * # Safety
 * `json` must be NULL or point to `json_size` readable bytes.
 */
bool extism_plugin_config(struct ExtismContext *ctx, ExtismPlugin plugin, const uint8_t *json, ExtismSize json_size);

/**
 * Tells whether a plugin's main module exports a function of this name, of any type. Clears errors like
 * `extism_plugin_call`.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @param func_name The function's name, in UTF-8. Borrowed until the return.
 * @return true if it does. Also false if there is no such plugin or the name is NULL or not UTF-8; `extism_error`
 *         tells these cases apart.
 *
 * # Safety
 * `func_name` must be NULL or point to a NUL-terminated string.
 */
bool extism_plugin_function_exists(struct ExtismContext *ctx, ExtismPlugin plugin, const char *func_name);

/**
 * Calls a function that a plugin exports: no parameters, result `i32` or none. Waits for a running call on the plugin.
 *
 * Clears the plugin's error and this thread's error of the context, and empties the output.
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
 * on another thread, for which the caller waits. After `exit` was called, new plugins can only use modules that a
 * plugin has already.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin_id The plugin's id.
 * @param func_name The function's name, in UTF-8. Borrowed until the return.
 * @param data The input. Borrowed until the return. NULL: the input is empty, whatever `data_len` says.
 * @param data_len The number of bytes at `data`.
 * @return The function's result, by convention 0 for success; 0 if it returns nothing; the status 0 to 125 if it
 *         called WASI's `proc_exit`; -1 if it could not be called or trapped. `extism_error` has the text, which a
 *         plugin may also set together with a result of 0.
 *
 * # Safety
 * `func_name` must be NULL or a NUL-terminated string, `data` must be NULL or point to `data_len` readable bytes.
 */
int32_t extism_plugin_call(struct ExtismContext *ctx,
                           ExtismPlugin plugin_id,
                           const char *func_name,
                           const uint8_t *data,
                           ExtismSize data_len);

/**
 * The error text of a plugin, or of the context if there is no plugin with this id (such as -1). Does not wait for a
 * running call and clears nothing. A plugin has one error: threads that share a plugin clear each other's error by
 * their next call. A context has one error for each thread that failed in it; a thread without one gets the newest.
 *
 * @param ctx The context.
 * @param plugin The plugin's id, or -1.
 * @return A NUL-terminated text, or NULL if there is no error. It belongs to the library and is valid until this
 *         thread calls `extism_error` again or ends. Short texts stay valid for some calls more, for languages that
 *         may move to another thread before they have copied the text.
 */
const char *extism_error(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * The length in bytes of the output of a plugin's last call. Waits for a running call. Clears errors like
 * `extism_plugin_call`: read the error first.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @return The length; 0 if there is no output or no such plugin, or if `extism_plugin_output_data` lacks memory.
 */
ExtismSize extism_plugin_output_length(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * The output of a plugin's last call. Waits for a running call. Clears errors like `extism_plugin_call`: read the
 * error first.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @return The bytes, as many as `extism_plugin_output_length` reports. They are in the plugin's memory, are not
 *         NUL-terminated, and are valid until the plugin is called, updated or freed, or the context is reset or
 *         freed. Not NULL even if there is no output. NULL if there is no such plugin. Output that ends where the
 *         memory ends is copied: NULL, and an error, if there is no memory for the copy.
 */
const uint8_t *extism_plugin_output_data(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * The number of instructions of a plugin's last call in all its modules, if the manifest has `fuel`. After a stop or
 * a trap, the last few may be missing. Waits for a running call; leaves errors as they are.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @return The number; 0 if instructions are not counted, nothing has been called, or there is no such plugin.
 */
uint64_t extism_plugin_fuel_used(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * Makes a plugin, like `extism_plugin_new`, that can import host functions. Extism's own library lacks this function.
 *
 * `extism_plugin_update` keeps the functions. What frees the plugin releases them on its thread, before it returns:
 * `extism_plugin_free`, `extism_context_reset` or `extism_context_free`.
 *
 * @param ctx The context that the plugin will belong to.
 * @param wasm A module or manifest as for `extism_plugin_new`. Borrowed until the return.
 * @param wasm_size The number of bytes at `wasm`.
 * @param functions Host functions, `n_functions` of them, that the plugin may import. Each may be given to any number of
 *                  plugins, and freed at any time. Of two with the same namespace and name, the later counts. NULL:
 *                  there are none.
 * @param n_functions The number of pointers at `functions`, at most 100000.
 * @param with_wasi Whether the modules may import WASI.
 * @return The plugin's id, or -1; `extism_error(ctx, -1)` then says why.
 *
 * # Safety
 * `wasm` must be NULL or point to `wasm_size` readable bytes, `functions` must be NULL or point to `n_functions` pointers.
 */
ExtismPlugin extism_plugin_new_with_functions(struct ExtismContext *ctx,
                                              const uint8_t *wasm,
                                              ExtismSize wasm_size,
                                              const struct ExtismFunction **functions,
                                              ExtismSize n_functions,
                                              bool with_wasi);

/**
 * Sets the destination of log lines, for the whole process. Can be called again at any time, from any thread. Until
 * the first call, lines go to the host's logger, if the host is written in Rust and has one.
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
 * The version of Extism whose C interface this is: `0.1.0`. `extism_wasmer_version` is the library's own.
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
 * Makes a handle that stops calls of a plugin, also after `extism_plugin_update`. Does not wait for a running call.
 *
 * @param ctx The context that the plugin belongs to.
 * @param plugin The plugin's id.
 * @return The handle, to be freed with `extism_cancel_handle_free`. NULL if there is no such plugin.
 */
const struct ExtismCancelHandle *extism_plugin_cancel_handle(struct ExtismContext *ctx, ExtismPlugin plugin);

/**
 * Stops a plugin's running call, which then returns -1; its error text contains `cancelled`, or `timeout` if its time
 * was over before. The call stops at once in the plugin's own code and while it waits for a timer or an HTTP answer.
 * Other work that the library does for the plugin, such as filling memory, is finished first. The plugin can be called
 * again. Does not wait for the call to stop.
 *
 * @param handle The handle. NULL and handles that have been freed are ignored.
 * @return true if a call was running; it may still have ended by itself. false if no call was running: nothing has
 *         happened then. Also false where the system refuses each signal that could reach the plugin's thread, as
 *         filters of system calls do: a running call then ends in the next host function that it calls.
 */
bool extism_plugin_cancel(const struct ExtismCancelHandle *handle);

/**
 * Frees a handle. NULL and handles that have been freed before are ignored.
 *
 * @param handle The handle, or NULL.
 */
void extism_cancel_handle_free(const struct ExtismCancelHandle *handle);

/**
 * The version of libextism on Wasmer, such as `0.1.0`. The header's macros `EXTISM_WASMER_VERSION_MAJOR`, `_MINOR` and
 * `_PATCH` are the version that a program was compiled with.
 *
 * Extism's own library lacks this function. A program that loads a library at run time can tell the two by `dlsym`.
 *
 * @return A NUL-terminated text that lives as long as the library.
 */
const char *extism_wasmer_version(void);

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
 * @param free_user_data Called once with `user_data` when nothing can use it any more: by that `extism_function_free`,
 *                       `extism_plugin_free` or the like which frees the last of this function and the plugins and
 *                       compiled plugins made with it; on the same thread, before that returns. It may use the library.
 *                       NULL: nothing is called, as if `user_data` is NULL.
 * @return The function, to be freed with `extism_function_free`. NULL if the name is NULL or not UTF-8, or if there are
 *         too many types: the log has a line of level error that says so, and `free_user_data` is not called.
 *
 * # Safety
 * `name` must be NULL or point to a NUL-terminated string, `inputs` and `outputs` must be NULL or point to as many types
 * as their numbers say. `func` and `free_user_data` must be NULL or functions of their types, which any thread may call
 * with `user_data`.
 */
struct ExtismFunction *extism_function_new(const char *name,
                                           const enum ExtismValType *inputs,
                                           ExtismSize n_inputs,
                                           const enum ExtismValType *outputs,
                                           ExtismSize n_outputs,
                                           ExtismFunctionType func,
                                           void *user_data,
                                           void (*free_user_data)(void *user_data));

/**
 * Sets the namespace of a host function: the module that plugins import it from. Counts for plugins and compiled plugins
 * that are made later.
 *
 * @param ptr The function. Nothing happens if it is NULL or has been freed.
 * @param namespace_ The namespace, in UTF-8; `extism:host/user` until it is set. Borrowed until the return. Nothing
 *                   happens if it is NULL or not UTF-8.
 *
 * # Safety
 * `namespace_` must be NULL or point to a NUL-terminated string.
 */
void extism_function_set_namespace(struct ExtismFunction *ptr,
                                   const char *namespace_);

/**
 * Frees a host function. Plugins that were made with it keep what they need of it.
 *
 * @param f The function. NULL and functions that have been freed before are ignored.
 */
void extism_function_free(struct ExtismFunction *f);

/**
 * The plugin's memory for input, output and blocks. The block of handle `h` begins at this address plus `h`.
 *
 * The memory does not move, so that addresses in it are good until the plugin's call ends. Its first byte is 0. Bytes
 * outside of blocks belong to the library.
 *
 * @param plugin The plugin that calls the host function.
 * @return The address of the first byte. NULL if `plugin` is not good here.
 */
uint8_t *extism_current_plugin_memory(struct ExtismCurrentPlugin *plugin);

/**
 * Makes a block in the plugin's memory, of which all bytes are 0. It is freed when the plugin is next called or reset,
 * or by `extism_current_plugin_memory_free`. The plugin's code may free it, too.
 *
 * @param plugin The plugin that calls the host function.
 * @param n The number of bytes.
 * @return The block's handle, from 1 to 2147483647. 0 if `n` is 0, if the block is larger than the plugin's memory may
 *         be, if there is no room, or if `plugin` is not good here.
 */
ExtismMemoryHandle extism_current_plugin_memory_alloc(struct ExtismCurrentPlugin *plugin, ExtismSize n);

/**
 * The length of a block in the plugin's memory: one of the host's or of the plugin's, such as the plugin's arguments.
 *
 * @param plugin The plugin that calls the host function.
 * @param n The block's handle.
 * @return The number of bytes. 0 if no block begins there, or if `plugin` is not good here.
 */
ExtismSize extism_current_plugin_memory_length(struct ExtismCurrentPlugin *plugin, ExtismMemoryHandle n);

/**
 * Frees a block in the plugin's memory, the host's or the plugin's. Does nothing if no block begins there, or if
 * `plugin` is not good here.
 *
 * @param plugin The plugin that calls the host function.
 * @param ptr The block's handle.
 */
void extism_current_plugin_memory_free(struct ExtismCurrentPlugin *plugin, ExtismMemoryHandle ptr);

/**
 * The host context of the plugin's call: a pointer of the program's own, which the functions of Extism 1.x can pass with
 * a call. Those of Extism 0.1.0 cannot.
 *
 * @param plugin The plugin that calls the host function.
 * @return The pointer. NULL if the call has none, or if `plugin` is not good here.
 */
void *extism_current_plugin_host_context(struct ExtismCurrentPlugin *plugin);

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
void extism_current_plugin_error_set(struct ExtismCurrentPlugin *plugin, const char *text);
