"""The library inside CPython, by ctypes."""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

LIBRARY, GUEST, PLUGIN = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)

# A handler from before the library was loaded.
seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))

lib = ctypes.CDLL(LIBRARY)
POINTER, ID, SIZE = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint64
for name, result, arguments in [
    ("extism_version", ctypes.c_char_p, []),
    ("extism_context_new", POINTER, []),
    ("extism_context_free", None, [POINTER]),
    ("extism_plugin_new", ID, [POINTER, ctypes.c_char_p, SIZE, ctypes.c_bool]),
    ("extism_plugin_free", None, [POINTER, ID]),
    ("extism_plugin_call", ctypes.c_int32, [POINTER, ID, ctypes.c_char_p, ctypes.c_char_p, SIZE]),
    ("extism_error", ctypes.c_char_p, [POINTER, ID]),
    ("extism_plugin_output_length", SIZE, [POINTER, ID]),
    ("extism_plugin_output_data", POINTER, [POINTER, ID]),
    ("extism_plugin_cancel_handle", POINTER, [POINTER, ID]),
    ("extism_plugin_cancel", ctypes.c_bool, [POINTER]),
    ("extism_cancel_handle_free", None, [POINTER]),
]:
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments

TRAPS = {
    "unreachable": "unreachable",
    "outside": "out of bounds",
    "divide": "divide by zero",
    "recurse": "call stack exhausted",
}


class Plugin:
    """A plugin in a context of its own."""

    def __init__(self, path, **keys):
        manifest = json.dumps({"wasm": [{"path": path}], **keys}).encode()
        self.context = lib.extism_context_new()
        self.id = lib.extism_plugin_new(self.context, manifest, len(manifest), False)
        assert self.id >= 0, lib.extism_error(self.context, -1)

    def call(self, name, data=b""):
        return lib.extism_plugin_call(self.context, self.id, name.encode(), data, len(data))

    def error(self):
        return (lib.extism_error(self.context, self.id) or b"").decode()

    def output(self):
        length = lib.extism_plugin_output_length(self.context, self.id)
        return ctypes.string_at(lib.extism_plugin_output_data(self.context, self.id), length)

    def free(self):
        lib.extism_context_free(self.context)


class Host(unittest.TestCase):
    def setUp(self):
        self.plugin = Plugin(GUEST)
        self.addCleanup(self.plugin.free)

    def all_is_well(self, plugin):
        for name, text in TRAPS.items():
            self.assertEqual(plugin.call(name), -1)
            self.assertIn(text, plugin.error())
            self.assertEqual(plugin.call("fine"), 7)

    def test_answers(self):
        self.assertTrue(lib.extism_version().startswith(b"0.1."))
        plugin = Plugin(PLUGIN)
        self.addCleanup(plugin.free)
        self.assertEqual(plugin.call("count_vowels", b"hello world"), 0)
        self.assertEqual(json.loads(plugin.output())["count"], 3)

    def test_traps(self):
        self.all_is_well(self.plugin)

    def test_timeout(self):
        plugin = Plugin(GUEST, timeout_ms=50)
        self.addCleanup(plugin.free)
        start = time.monotonic()
        self.assertEqual(plugin.call("forever"), -1)
        self.assertIn("timeout", plugin.error())
        self.assertTrue(0.05 <= time.monotonic() - start < 5)
        self.assertEqual(plugin.call("fine"), 7)

    def test_cancel(self):
        handle = lib.extism_plugin_cancel_handle(self.plugin.context, self.plugin.id)

        def cancel():
            while not lib.extism_plugin_cancel(handle):
                time.sleep(0.001)

        canceller = threading.Thread(target=cancel)
        canceller.start()
        self.assertEqual(self.plugin.call("forever"), -1)
        self.assertIn("cancelled", self.plugin.error())
        canceller.join()
        self.assertFalse(lib.extism_plugin_cancel(handle), "nothing runs")
        lib.extism_cancel_handle_free(handle)
        self.assertEqual(self.plugin.call("fine"), 7)

    def test_threads_and_the_collector(self):
        done = []

        def work():
            plugin = Plugin(GUEST)
            for _ in range(20):
                self.all_is_well(plugin)
            plugin.free()
            done.append(True)

        threading.stack_size(128 << 10)
        self.addCleanup(threading.stack_size, 0)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            gc.collect()
        self.assertEqual(len(done), 4)

    def test_the_host_overflows_its_own_stack(self):
        self.all_is_well(self.plugin)

        def forever():
            forever()

        self.assertRaises(RecursionError, forever)
        self.all_is_well(self.plugin)

    def test_signals(self):
        self.all_is_well(self.plugin)
        before = len(seen)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(len(seen), before + 1)
        after = []
        signal.signal(signal.SIGUSR2, lambda number, frame: after.append(number))
        os.kill(os.getpid(), signal.SIGUSR2)
        self.assertEqual(after, [signal.SIGUSR2])

    def test_unloading(self):
        """The library stays loaded: its threads and signal handlers need it."""
        code = """if True:
            import _ctypes, ctypes, sys
            lib = ctypes.CDLL(sys.argv[1])
            _ctypes.dlclose(lib._handle)
            assert "libextism" in open("/proc/self/maps").read()
        """
        subprocess.run([sys.executable, "-c", code, LIBRARY], check=True)

    def test_fork(self):
        timed = Plugin(GUEST, timeout_ms=50)
        self.addCleanup(timed.free)
        self.assertEqual(timed.call("forever"), -1)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            is_well = False
            try:
                self.all_is_well(self.plugin)
                is_well = timed.call("forever") == -1 and "timeout" in timed.error()
            finally:
                os._exit(0 if is_well else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.all_is_well(self.plugin)


if __name__ == "__main__":
    unittest.main()
