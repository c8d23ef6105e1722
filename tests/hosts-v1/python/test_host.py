"""Host functions inside CPython, by ctypes."""

import ctypes
import gc
import itertools
import json
import sys
import threading
import time
import unittest
import weakref

LIBRARY, GUEST, PLUGIN = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)


class Val(ctypes.Structure):
    """ExtismVal with the one member that these tests use."""

    _fields_ = [("type", ctypes.c_uint32), ("i64", ctypes.c_int64)]


POINTER, SIZE, TEXT, BOOL = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_char_p, ctypes.c_bool
VALUES = ctypes.POINTER(Val)
CALLBACK = ctypes.CFUNCTYPE(None, POINTER, VALUES, SIZE, VALUES, SIZE, POINTER)
RELEASE = ctypes.CFUNCTYPE(None, POINTER)
NEW = [TEXT, SIZE, ctypes.POINTER(POINTER), SIZE, BOOL, ctypes.POINTER(POINTER)]
I64 = ctypes.byref(ctypes.c_uint32(1))

lib = ctypes.CDLL(LIBRARY)
for name, result, arguments in [
    ("extism_version", TEXT, []),
    ("extism_plugin_new", POINTER, NEW),
    ("extism_compiled_plugin_new", POINTER, NEW),
    ("extism_compiled_plugin_free", None, [POINTER]),
    ("extism_plugin_new_from_compiled", POINTER, [POINTER, ctypes.POINTER(POINTER)]),
    ("extism_plugin_new_error_free", None, [POINTER]),
    ("extism_plugin_free", None, [POINTER]),
    ("extism_plugin_call", ctypes.c_int32, [POINTER, TEXT, TEXT, SIZE]),
    ("extism_plugin_error", TEXT, [POINTER]),
    ("extism_plugin_output_length", SIZE, [POINTER]),
    ("extism_plugin_output_data", POINTER, [POINTER]),
    ("extism_plugin_cancel_handle", POINTER, [POINTER]),
    ("extism_plugin_cancel", BOOL, [POINTER]),
    ("extism_function_new", POINTER, [TEXT, POINTER, SIZE, POINTER, SIZE, CALLBACK, POINTER, RELEASE]),
    ("extism_function_free", None, [POINTER]),
    ("extism_current_plugin_memory", POINTER, [POINTER]),
    ("extism_current_plugin_memory_alloc", SIZE, [POINTER, SIZE]),
    ("extism_current_plugin_memory_length", SIZE, [POINTER, SIZE]),
    ("extism_current_plugin_error_set", None, [POINTER, TEXT]),
]:
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments

# What host functions do, by the number that is their user data.
bodies = {}
numbers = itertools.count(1)


@CALLBACK
def callback(plugin, inputs, n_inputs, outputs, n_outputs, number):
    """Hands the argument's bytes to a body, and its answer to the plugin. An exception becomes the call's error."""
    try:
        handle = inputs[0].i64
        length = lib.extism_current_plugin_memory_length(plugin, handle)
        data = ctypes.string_at(lib.extism_current_plugin_memory(plugin) + handle, length)
        answer = bodies[number](data)
        block = lib.extism_current_plugin_memory_alloc(plugin, len(answer))
        if block == 0 and answer:
            raise MemoryError("no room for the answer")
        ctypes.memmove(lib.extism_current_plugin_memory(plugin) + block, answer, len(answer))
        outputs[0].i64 = block
    except BaseException as error:  # ctypes prints exceptions and forgets them, and the plugin would go on
        lib.extism_current_plugin_error_set(plugin, repr(error).encode(errors="replace"))


@RELEASE
def release(number):
    del bodies[number]


def made(create, *arguments):
    """What `create` makes, or an exception with its error."""
    error = POINTER()
    token = create(*arguments, ctypes.byref(error))
    if token is None:
        text = ctypes.string_at(error.value).decode()
        lib.extism_plugin_new_error_free(error)
        raise ValueError(text)
    return token


class Function:
    """The host function `host`, freed by the collector."""

    def __init__(self, body):
        number = next(numbers)
        bodies[number] = body
        self.token = lib.extism_function_new(b"host", I64, 1, I64, 1, callback, number, release)
        weakref.finalize(self, lib.extism_function_free, self.token)


def load(create, body, path, keys):
    """What `create` makes of a module with one host function."""
    function = Function(body)
    manifest = json.dumps({"wasm": [{"path": path}], **keys}).encode()
    return made(create, manifest, len(manifest), ctypes.byref(POINTER(function.token)), 1, False)


class Compiled:
    """A compiled plugin with one host function, freed by the collector."""

    def __init__(self, body):
        self.token = load(lib.extism_compiled_plugin_new, body, GUEST, {})
        weakref.finalize(self, lib.extism_compiled_plugin_free, self.token)


class Plugin:
    """A plugin with one host function or of a compiled plugin, freed by the collector."""

    def __init__(self, source, path=GUEST, **keys):
        if isinstance(source, Compiled):
            self.token = made(lib.extism_plugin_new_from_compiled, source.token)
        else:
            self.token = load(lib.extism_plugin_new, source, path, keys)
        weakref.finalize(self, lib.extism_plugin_free, self.token)

    def call(self, name, data=b""):
        return lib.extism_plugin_call(self.token, name.encode(), data, len(data))

    def error(self):
        return (lib.extism_plugin_error(self.token) or b"").decode()

    def output(self):
        length = lib.extism_plugin_output_length(self.token)
        return ctypes.string_at(lib.extism_plugin_output_data(self.token), length)


TRAPS = {
    "unreachable": "unreachable",
    "outside": "out of bounds",
    "divide": "divide by zero",
    "recurse": "call stack exhausted",
}


class Host(unittest.TestCase):
    def answers(self, plugin, data=b"hello"):
        self.assertEqual(plugin.call("run", data), 0, plugin.error())
        self.assertEqual(plugin.output(), data.upper())

    def fails(self, plugin, name, code, text):
        self.assertEqual(plugin.call(name), code)
        self.assertIn(text, plugin.error())
        self.assertEqual(plugin.call("fine"), 7)
        self.assertEqual(plugin.error(), "")

    def test_answers(self):
        self.assertTrue(lib.extism_version().startswith(b"1."))
        plugin = Plugin(bytes.upper)
        self.answers(plugin)
        self.answers(plugin, b"x" * 300_000)
        vowels = Plugin(bytes.upper, path=PLUGIN)
        self.assertEqual(vowels.call("count_vowels", b"hello world"), 0)
        self.assertEqual(json.loads(vowels.output())["count"], 3)
        with self.assertRaisesRegex(ValueError, "no.wasm"):
            Plugin(bytes.upper, path="no.wasm")

    def test_a_callback_that_raises(self):
        def body(data):
            if problem:
                raise problem
            return data.upper()

        plugin = Plugin(body)
        for problem in [KeyError("héllo"), SystemExit(3), KeyboardInterrupt("stop")]:
            self.fails(plugin, "run", -1, repr(problem))
        problem = None
        self.answers(plugin)

        def forever(data):
            return forever(data)

        self.fails(Plugin(forever), "run", -1, "RecursionError")

    def test_a_callback_that_calls_the_library(self):
        inner = Plugin(bytes.upper)
        seen = []

        def body(data):
            for name, text in TRAPS.items():
                self.fails(inner, name, 134, text)
            self.answers(inner, data)
            self.answers(Plugin(bytes.upper), data)
            seen.append((outer.call("run"), outer.error()))
            with self.assertRaises(ValueError):
                Plugin(body, path="no.wasm")
            return data.upper()

        outer = Plugin(body)
        self.answers(outer)
        self.assertEqual(seen[0][0], -1)
        self.assertIn("is running", seen[0][1])
        # A function that reaches its own plugin would keep it for ever.
        outer = None

        def nested(data):
            if data == b"":
                return b"!"
            plugin = Plugin(nested)
            self.assertEqual(plugin.call("run", data[1:]), 0, plugin.error())
            return plugin.output()

        self.assertEqual(nested(b"x" * 20), b"!")

    def test_the_host_at_the_end_of_the_stack(self):
        depth = 0

        def body(data):
            nonlocal depth
            depth += 1
            return data

        self.fails(Plugin(body), "deeper", 134, "call stack exhausted")
        self.assertGreater(depth, 100)

    def test_the_collector(self):
        def body(data):
            gc.collect()
            Plugin(bytes.upper)
            return data.upper()

        compiled = Compiled(body)
        for _ in range(20):
            plugin = Plugin(compiled)
            self.answers(plugin)
            self.answers(Plugin(body))
        self.assertEqual(len(bodies), 1, "the compiled plugin's, and no other")
        del compiled
        gc.collect()
        self.answers(plugin)
        del plugin
        gc.collect()
        self.assertEqual(len(bodies), 0)

    def test_threads(self):
        compiled = Compiled(lambda data: 1 / 0 if data == b"raise" else data.upper())
        done = []

        def work(number):
            plugin = Plugin(compiled)
            for turn in range(50):
                self.answers(plugin, b"thread %d turn %d" % (number, turn))
                self.assertEqual(plugin.call("run", b"raise"), -1)
                self.assertIn("division by zero", plugin.error())
                for name, text in TRAPS.items():
                    self.fails(plugin, name, 134, text)
            done.append(number)

        threading.stack_size(256 << 10)
        self.addCleanup(threading.stack_size, 0)
        threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            gc.collect()
        self.assertEqual(sorted(done), list(range(8)))

    def test_a_timeout_while_the_callback_sleeps(self):
        plugin = Plugin(lambda data: time.sleep(0.2) or data, timeout_ms=50)
        start = time.monotonic()
        self.fails(plugin, "run", 134, "timeout")
        self.assertTrue(0.2 <= time.monotonic() - start < 10)

    def test_cancel(self):
        running, cancelled = threading.Event(), threading.Event()

        def body(data):
            running.set()
            if while_asleep:
                cancelled.wait(10)
            return data

        plugin = Plugin(body)

        def cancel():
            running.wait(10)
            self.assertTrue(lib.extism_plugin_cancel(lib.extism_plugin_cancel_handle(plugin.token)))
            cancelled.set()

        for while_asleep in [False, True]:
            running.clear()
            cancelled.clear()
            canceller = threading.Thread(target=cancel)
            canceller.start()
            self.fails(plugin, "run_forever", 134, "timeout: cancelled")
            canceller.join()


if __name__ == "__main__":
    unittest.main()
