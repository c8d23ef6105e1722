// Host functions inside Node.js, by koffi.

const assert = require("node:assert");
const { test } = require("node:test");
const { Worker, isMainThread, workerData } = require("node:worker_threads");
const { promisify } = require("node:util");
const koffi = require("koffi");

// koffi's calls on other threads use those of Node.js.
process.env.UV_THREADPOOL_SIZE = 8;
const { EXTISM_LIBRARY, EXTISM_GUEST, EXTISM_PLUGIN } = process.env;

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
    "void *extism_function_new(const char *, const uint32_t *, uint64_t, const uint32_t *, uint64_t, Called *, uintptr_t, Released *)",
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
  } catch (error) { // koffi would throw it when the plugin's call is over, and the plugin would go on
    extism.current_plugin_error_set(plugin, String(error));
  }
}
const CALLED = koffi.register(called, koffi.pointer(Called));
const RELEASED = koffi.register((number) => bodies.delete(number), koffi.pointer(Released));

const TRAPS = {
  unreachable: "unreachable",
  outside: "out of bounds",
  divide: "divide by zero",
  recurse: "call stack exhausted",
};

/** What frees tokens whose objects the collector has taken. */
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

const compile = (body) =>
  new Owned(extism.compiled_plugin_free, load(extism.compiled_plugin_new, body, EXTISM_GUEST, {}));

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

  answers(input = "hello") {
    assert.strictEqual(this.call("run", input), 0, this.error());
    assert.strictEqual(this.output(), input.toUpperCase());
  }

  fails(name, code, text) {
    assert.strictEqual(this.call(name), code);
    assert(this.error().includes(text), this.error());
    assert.strictEqual(this.call("fine"), 7);
    assert.strictEqual(this.error(), "");
  }

  traps() {
    for (const [name, text] of Object.entries(TRAPS)) this.fails(name, 134, text);
  }
}

const upper = (data) => data.toString().toUpperCase();
const sleep = (data) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200) && data;

/** A worker's end, once it has done `workerData`. */
const work = (workerData) =>
  new Promise((resolve, reject) => new Worker(__filename, { workerData }).on("error", reject).on("exit", resolve));

/** What workers do. */
const works = {
  /** Plugins with a function of the worker's. */
  alone() {
    const plugin = new Plugin((data) => (data.length === 0 ? assert.fail("as asked") : upper(data)));
    for (let round = 0; round < 20; round++) {
      plugin.answers(`round ${round}`);
      plugin.fails("run", -1, "as asked");
      plugin.traps();
      globalThis.gc();
    }
  },
  /** Cancels a call as soon as that has begun. */
  cancel({ flag, handle }) {
    Atomics.wait(flag, 0, 0);
    assert(extism.plugin_cancel(handle));
    Atomics.store(flag, 0, 2);
    Atomics.notify(flag, 0);
  },
};

if (!isMainThread) {
  works[workerData.work](workerData);
  return;
}

test("answers", () => {
  assert(extism.version().startsWith("1."), extism.version());
  const plugin = new Plugin(upper);
  plugin.answers();
  plugin.answers("x".repeat(300_000));
  const vowels = new Plugin(upper, {}, EXTISM_PLUGIN);
  assert.strictEqual(vowels.call("count_vowels", "hello world"), 0);
  assert.strictEqual(JSON.parse(vowels.output()).count, 3);
  assert.throws(() => new Plugin(upper, {}, "no.wasm"), /no\.wasm/);
});

test("a callback that throws", () => {
  let problem = new Error("héllo");
  const plugin = new Plugin((data) => {
    if (problem) throw problem;
    return upper(data);
  });
  plugin.fails("run", -1, "héllo");
  problem = "no Error";
  plugin.fails("run", -1, "no Error");
  problem = null;
  plugin.answers();
  const forever = () => forever() + 1;
  for (let round = 0; round < 10; round++) {
    new Plugin(forever).fails("run", -1, "RangeError");
  }
});

test("a callback that calls the library", () => {
  const inner = new Plugin(upper);
  let seen;
  let outer = new Plugin((data) => {
    inner.traps();
    inner.answers();
    new Plugin(upper).answers();
    seen = [outer.call("run"), outer.error()];
    return upper(data);
  });
  outer.answers();
  assert.strictEqual(seen[0], -1);
  assert(seen[1].includes("is running"), seen[1]);
  // A function that reaches its own plugin would keep it for ever.
  outer = null;

  const nested = (data) => {
    if (data.length === 0) return "!";
    const plugin = new Plugin(nested);
    assert.strictEqual(plugin.call("run", data.subarray(1)), 0, plugin.error());
    return plugin.output();
  };
  assert.strictEqual(nested(Buffer.alloc(20)), "!");
});

test("the host at the end of the stack", () => {
  let depth = 0;
  new Plugin((data) => {
    depth++;
    return data;
  }).fails("deeper", 134, "call stack exhausted");
  assert(depth > 100, `${depth} calls`);
});

test("the collector", async () => {
  const collect = (data) => {
    globalThis.gc();
    new Plugin(upper);
    return upper(data);
  };
  await (async () => {
    const compiled = compile(collect);
    for (let round = 0; round < 20; round++) {
      const plugin = Plugin.of(compiled);
      plugin.answers();
      await new Promise(setImmediate);
      plugin.answers();
      new Plugin(collect).answers();
    }
  })();
  // What earlier tests have made goes, too.
  for (let turn = 0; turn < 1000 && bodies.size > 0; turn++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.strictEqual(bodies.size, 0);
});

test("workers", async () => {
  assert.deepStrictEqual(await Promise.all(Array(8).fill({ work: "alone" }).map(work)), Array(8).fill(0));
});

test("one compiled plugin on threads of koffi's", async () => {
  let calls = 0;
  const compiled = compile((data) => {
    assert.strictEqual(data, null);
    calls++;
    globalThis.gc();
  });
  const rounds = async (number) => {
    const plugin = Plugin.of(compiled);
    for (let round = 0; round < 20; round++) {
      assert.strictEqual(await plugin.callAside("run", `${number} ${round}`), 0);
      assert.strictEqual(plugin.output(), `${number} ${round}`);
      for (const [name, text] of Object.entries(TRAPS)) {
        assert.strictEqual(await plugin.callAside(name), 134);
        assert(plugin.error().includes(text), plugin.error());
      }
    }
  };
  await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(rounds));
  assert.strictEqual(calls, 8 * 20);
});

test("a timeout while the callback sleeps", () => {
  const start = performance.now();
  new Plugin(sleep, { timeout_ms: 50 }).fails("run", 134, "timeout");
  const took = performance.now() - start;
  assert(took >= 199 && took < 10_000, `${took} ms`);
});

for (const whileAsleep of [false, true]) {
  test(`cancel ${whileAsleep ? "while the callback sleeps" : "from a worker"}`, async () => {
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const plugin = new Plugin((data) => {
      Atomics.store(flag, 0, 1);
      Atomics.notify(flag, 0);
      if (whileAsleep) Atomics.wait(flag, 0, 1, 10_000);
      return data;
    });
    const handle = koffi.address(extism.plugin_cancel_handle(plugin.token));
    const canceller = work({ work: "cancel", flag, handle });
    plugin.fails("run_forever", 134, "timeout: cancelled");
    assert.strictEqual(await canceller, 0);
  });
}

test("cancel on a thread of koffi's", async () => {
  let plugin;
  const running = new Promise((resolve) => (plugin = new Plugin(resolve)));
  const call = plugin.callAside("run_forever");
  assert.strictEqual(await running, null);
  assert(extism.plugin_cancel(extism.plugin_cancel_handle(plugin.token)));
  assert.strictEqual(await call, 134);
  assert(plugin.error().includes("timeout: cancelled"), plugin.error());
});
