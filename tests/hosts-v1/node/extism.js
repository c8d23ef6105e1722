// The library for Node.js, by koffi: as much of it as the tests of host functions need.

const assert = require("node:assert");
const { promisify } = require("node:util");
const koffi = require("koffi");

const { EXTISM_LIBRARY, EXTISM_GUEST } = process.env;

const library = koffi.load(EXTISM_LIBRARY);
/** ExtismVal with the one member that these tests use. */
const Val = koffi.struct("Val", { type: "uint32_t", i64: "int64_t" });
const Called = koffi.proto("void Called(void *, Val *, uint64_t, Val *, uint64_t, uintptr_t)");
const Released = koffi.proto("void Released(uintptr_t)");
const extism = Object.fromEntries(
  [
    "const char *extism_version()",
    "void *extism_plugin_new(const char *, uint64_t, void **, uint64_t, bool, _Out_ void **)",
    "void *extism_compiled_plugin_new(const char *, uint64_t, void **, uint64_t, bool, _Out_ void **)",
    "void extism_compiled_plugin_free(void *)",
    "void *extism_plugin_new_from_compiled(void *, _Out_ void **)",
    "void extism_plugin_new_error_free(void *)",
    "void extism_plugin_free(void *)",
    "int32_t extism_plugin_call(void *, const char *, const uint8_t *, uint64_t)",
    "const char *extism_plugin_error(void *)",
    "uint64_t extism_plugin_output_length(void *)",
    "const uint8_t *extism_plugin_output_data(void *)",
    "void *extism_plugin_cancel_handle(void *)",
    "bool extism_plugin_cancel(void *)",
    "void *extism_function_new(const char *, const uint32_t *, uint64_t, const uint32_t *, uint64_t, Called *, " +
      "uintptr_t, Released *)",
    "void extism_function_free(void *)",
    "uint8_t *extism_current_plugin_memory(void *)",
    "uint64_t extism_current_plugin_memory_alloc(void *, uint64_t)",
    "uint64_t extism_current_plugin_memory_length(void *, uint64_t)",
    "void extism_current_plugin_error_set(void *, const char *)",
  ].map((prototype) => [prototype.match(/extism_(\w+)/)[1], library.func(prototype)]),
);

/** What host functions do, by the number that is their user data. */
const bodies = new Map();
let made = 0;

/** Hands the argument's bytes to a body, and its answer to the plugin. An exception becomes the call's error. */
function called(plugin, inputs, nInputs, outputs, nOutputs, number) {
  try {
    let { i64 } = koffi.decode(inputs, Val);
    const body = bodies.get(number);
    const memory = extism.current_plugin_memory(plugin);
    if (memory === null) {
      // The plugin runs on another thread. Its numbers can be used, its memory cannot.
      body(null);
    } else {
      const length = extism.current_plugin_memory_length(plugin, i64);
      const answer = Buffer.from(body(Buffer.from(koffi.decode(memory, Number(i64), "uint8_t", length))));
      i64 = extism.current_plugin_memory_alloc(plugin, answer.length);
      assert(i64 !== 0 || answer.length === 0, "no room for the answer");
      koffi.encode(memory, Number(i64), "uint8_t", answer, answer.length);
    }
    koffi.encode(outputs, Val, { type: 1, i64 });
  } catch (error) {
    // koffi would throw it when the plugin's call is over, and the plugin would go on. On another thread, nothing happens.
    extism.current_plugin_error_set(plugin, String(error));
  }
}
const CALLED = koffi.register(called, koffi.pointer(Called));
const RELEASED = koffi.register((number) => bodies.delete(number), koffi.pointer(Released));

/** What frees tokens whose objects the collector has taken, never before the running job ends. */
const registry = new FinalizationRegistry(({ free, token }) => free(token));

/** Something of the library's, freed by the collector. */
class Owned {
  constructor(free, make) {
    const error = [null];
    this.token = make(error);
    if (this.token === null) {
      const text = koffi.decode(error[0], "char", -1);
      extism.plugin_new_error_free(error[0]);
      throw new Error(text);
    }
    registry.register(this, { free, token: this.token });
  }
}

/** The host function `host`. */
function newFunction(body) {
  const number = ++made;
  bodies.set(number, body);
  return new Owned(extism.function_free, () =>
    extism.function_new("host", [1], 1, [1], 1, CALLED, number, RELEASED),
  );
}

/** Makes a plugin or a compiled plugin, with one host function. */
function load(create, body, path, keys) {
  const manifest = JSON.stringify({ wasm: [{ path }], ...keys });
  return (error) => create(manifest, Buffer.byteLength(manifest), [newFunction(body).token], 1, false, error);
}

/** A compiled plugin with one host function. */
const compile = (body) =>
  new Owned(extism.compiled_plugin_free, load(extism.compiled_plugin_new, body, EXTISM_GUEST, {}));

/** A plugin with one host function. */
class Plugin extends Owned {
  constructor(body, keys = {}, path = EXTISM_GUEST) {
    super(extism.plugin_free, load(extism.plugin_new, body, path, keys));
  }

  /** A plugin of a compiled plugin. */
  static of(compiled) {
    const make = (error) => extism.plugin_new_from_compiled(compiled.token, error);
    return Object.setPrototypeOf(new Owned(extism.plugin_free, make), Plugin.prototype);
  }

  call(name, input = "") {
    const bytes = Buffer.from(input);
    return extism.plugin_call(this.token, name, bytes, bytes.length);
  }

  /** The same on a thread of koffi's. */
  callAside(name, input = "") {
    const bytes = Buffer.from(input);
    return promisify(extism.plugin_call.async)(this.token, name, bytes, bytes.length);
  }

  error() {
    return extism.plugin_error(this.token) ?? "";
  }

  output() {
    const length = extism.plugin_output_length(this.token);
    return Buffer.from(koffi.decode(extism.plugin_output_data(this.token), "uint8_t", length)).toString();
  }

  /** Stops the plugin's call. */
  cancel() {
    return extism.plugin_cancel(extism.plugin_cancel_handle(this.token));
  }
}

module.exports = { Plugin, bodies, compile, extism, koffi };
