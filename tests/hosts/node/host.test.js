// The library inside Node.js, by koffi.

const assert = require("node:assert");
const { test } = require("node:test");
const { Worker, isMainThread } = require("node:worker_threads");
const koffi = require("koffi");

const { EXTISM_LIBRARY, EXTISM_GUEST, EXTISM_PLUGIN } = process.env;

let seen = 0;
// A handler from before the library was loaded.
if (isMainThread) process.on("SIGUSR2", () => seen++);

const library = koffi.load(EXTISM_LIBRARY);
const extism = Object.fromEntries(
  [
    "const char *extism_version()",
    "void *extism_context_new()",
    "void extism_context_free(void *)",
    "int32_t extism_plugin_new(void *, const uint8_t *, uint64_t, bool)",
    "int32_t extism_plugin_call(void *, int32_t, const char *, const uint8_t *, uint64_t)",
    "const char *extism_error(void *, int32_t)",
    "uint64_t extism_plugin_output_length(void *, int32_t)",
    "const uint8_t *extism_plugin_output_data(void *, int32_t)",
    "const void *extism_plugin_cancel_handle(void *, int32_t)",
    "bool extism_plugin_cancel(const void *)",
    "void extism_cancel_handle_free(const void *)",
  ].map((prototype) => [prototype.match(/extism_(\w+)/)[1], library.func(prototype)]),
);

const TRAPS = {
  unreachable: "unreachable",
  outside: "out of bounds",
  divide: "divide by zero",
  recurse: "call stack exhausted",
};

/** A plugin in a context of its own. */
class Plugin {
  constructor(path, keys = {}) {
    const manifest = Buffer.from(JSON.stringify({ wasm: [{ path }], ...keys }));
    this.context = extism.context_new();
    this.id = extism.plugin_new(this.context, manifest, manifest.length, false);
    assert(this.id >= 0, extism.error(this.context, -1));
  }

  call(name, input = "") {
    const bytes = Buffer.from(input);
    return extism.plugin_call(this.context, this.id, name, bytes, bytes.length);
  }

  /** The same on a thread of koffi's. */
  callAside(name) {
    const call = extism.plugin_call.async;
    return new Promise((resolve, reject) =>
      call(this.context, this.id, name, null, 0, (error, code) => (error ? reject(error) : resolve(code))),
    );
  }

  error() {
    return extism.error(this.context, this.id) ?? "";
  }

  output() {
    const length = Number(extism.plugin_output_length(this.context, this.id));
    return Buffer.from(koffi.decode(extism.plugin_output_data(this.context, this.id), "uint8_t", length)).toString();
  }

  free() {
    extism.context_free(this.context);
  }
}

function allIsWell(plugin) {
  for (const [name, text] of Object.entries(TRAPS)) {
    assert.strictEqual(plugin.call(name), -1);
    assert(plugin.error().includes(text), plugin.error());
    assert.strictEqual(plugin.call("fine"), 7);
  }
}

function withPlugin(name, keys, body) {
  test(name, async () => {
    const plugin = new Plugin(EXTISM_GUEST, keys);
    await body(plugin);
    plugin.free();
  });
}

// The worker of the test "workers and the collector".
if (!isMainThread) {
  const plugin = new Plugin(EXTISM_GUEST);
  for (let round = 0; round < 20; round++) {
    allIsWell(plugin);
    globalThis.gc();
  }
  plugin.free();
  return;
}

test("answers", () => {
  assert(extism.version().startsWith("0.1."), extism.version());
  const plugin = new Plugin(EXTISM_PLUGIN);
  assert.strictEqual(plugin.call("count_vowels", "hello world"), 0);
  assert.strictEqual(JSON.parse(plugin.output()).count, 3);
  plugin.free();
});

withPlugin("traps", {}, allIsWell);

withPlugin("timeout", { timeout_ms: 50 }, (plugin) => {
  const start = performance.now();
  assert.strictEqual(plugin.call("forever"), -1);
  assert(plugin.error().includes("timeout"), plugin.error());
  const took = performance.now() - start;
  assert(took >= 50 && took < 5000, `${took} ms`);
  allIsWell(plugin);
});

withPlugin("cancel", {}, async (plugin) => {
  const handle = extism.plugin_cancel_handle(plugin.context, plugin.id);
  const running = plugin.callAside("forever");
  while (!extism.plugin_cancel(handle)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.strictEqual(await running, -1);
  assert(plugin.error().includes("cancelled"), plugin.error());
  assert(!extism.plugin_cancel(handle), "nothing runs");
  extism.cancel_handle_free(handle);
  allIsWell(plugin);
});

test("threads and the collector", async () => {
  const work = async () => {
    const plugin = new Plugin(EXTISM_GUEST);
    for (let round = 0; round < 20; round++) {
      for (const [name, text] of Object.entries(TRAPS)) {
        assert.strictEqual(await plugin.callAside(name), -1);
        assert(plugin.error().includes(text), plugin.error());
        assert.strictEqual(await plugin.callAside("fine"), 7);
        globalThis.gc();
      }
    }
    plugin.free();
  };
  await Promise.all([work(), work(), work(), work()]);
});

test("workers and the collector", async () => {
  const work = () =>
    new Promise((resolve, reject) => {
      new Worker(__filename).on("error", reject).on("exit", resolve);
    });
  assert.deepStrictEqual(await Promise.all([work(), work(), work()]), [0, 0, 0]);
});

withPlugin("the host faults", {}, (plugin) => {
  const forever = () => forever() + 1;
  for (let round = 0; round < 10; round++) {
    allIsWell(plugin);
    assert.throws(forever, RangeError);
    // WebAssembly of the host itself, whose faults V8 recognises by the same signals.
    const module = new WebAssembly.Module(OUTSIDE);
    assert.throws(() => new WebAssembly.Instance(module).exports.f(), WebAssembly.RuntimeError);
  }
  allIsWell(plugin);
});

/** (module (memory 1) (func (export "f") (i32.store (i32.const -1) (i32.const 1)))) */
const OUTSIDE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 5, 1, 1, 102, 0, 0, 10, 11, 1, 9, 0, 65, 127, 65,
  1, 54, 2, 0, 11,
]);

withPlugin("signals", {}, async (plugin) => {
  allIsWell(plugin);
  let after = 0;
  process.on("SIGHUP", () => after++);
  process.kill(process.pid, "SIGUSR2");
  process.kill(process.pid, "SIGHUP");
  while (seen === 0 || after === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});
