// Host functions inside Node.js.

// koffi's calls on other threads use those of Node.js.
process.env.UV_THREADPOOL_SIZE = 8;

const assert = require("node:assert");
const { test } = require("node:test");
const { Worker, isMainThread, workerData } = require("node:worker_threads");
const { Plugin, bodies, compile, extism, koffi } = require("./extism.js");

const TRAPS = {
  unreachable: "unreachable",
  outside: "out of bounds",
  divide: "divide by zero",
  recurse: "call stack exhausted",
};

function answers(plugin, input = "hello") {
  assert.strictEqual(plugin.call("run", input), 0, plugin.error());
  assert.strictEqual(plugin.output(), input.toUpperCase());
}

function fails(plugin, name, code, text) {
  assert.strictEqual(plugin.call(name), code);
  assert(plugin.error().includes(text), plugin.error());
  assert.strictEqual(plugin.call("fine"), 7);
  assert.strictEqual(plugin.error(), "");
}

function allTraps(plugin) {
  for (const [name, text] of Object.entries(TRAPS)) fails(plugin, name, 134, text);
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
    for (let round = 0; round < 10; round++) {
      answers(plugin, `round ${round}`);
      fails(plugin, "run", -1, "as asked");
      allTraps(plugin);
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
  answers(plugin);
  answers(plugin, "x".repeat(300_000));
  const vowels = new Plugin(upper, {}, process.env.EXTISM_PLUGIN);
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
  fails(plugin, "run", -1, "héllo");
  problem = "no Error";
  fails(plugin, "run", -1, "no Error");
  problem = null;
  answers(plugin);
  const forever = () => forever() + 1;
  for (let round = 0; round < 10; round++) {
    fails(new Plugin(forever), "run", -1, "RangeError");
  }
});

test("a callback that calls the library", () => {
  const inner = new Plugin(upper);
  let seen;
  let outer = new Plugin((data) => {
    allTraps(inner);
    answers(inner);
    answers(new Plugin(upper));
    seen = [outer.call("run"), outer.error()];
    return upper(data);
  });
  answers(outer);
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
  fails(new Plugin((data) => {
    depth++;
    return data;
  }), "deeper", 134, "call stack exhausted");
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
      answers(plugin);
      await new Promise(setImmediate);
      answers(plugin);
      answers(new Plugin(collect));
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
  fails(new Plugin(sleep, { timeout_ms: 50 }), "run", 134, "timeout");
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
    fails(plugin, "run_forever", 134, "timeout: cancelled");
    assert.strictEqual(await canceller, 0);
  });
}

test("cancel on a thread of koffi's", async () => {
  let plugin;
  const running = new Promise((resolve) => (plugin = new Plugin(resolve)));
  const call = plugin.callAside("run_forever");
  assert.strictEqual(await running, null);
  assert(plugin.cancel());
  assert.strictEqual(await call, 134);
  assert(plugin.error().includes("timeout: cancelled"), plugin.error());
});
