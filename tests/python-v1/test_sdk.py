"""The official Python SDK for Extism 1.x, version 1.1.1, on this library, which it loads from our wheel.

EXTISM_TEST_PLUGIN names a count_vowels plugin whose answer to "this is a test" is {"count": 4}. Run with
`python3 -m unittest` or as a program.
"""

import base64
import contextlib
import gc
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import typing
import unittest
from concurrent.futures import ThreadPoolExecutor

import extism
import extism_sys
from extism.extism import CompiledPlugin

TEXT = "this is a test"
COUNT = {"count": 4}

# A guest whose functions hand their input to host functions, keep state, read their config and fail in every way.
GUEST = rb"""(module
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  (import "extism:host/env" "log_info" (func $log_info (param i64)))
  (global $n (mut i32) (i32.const 0))
  (func $output (param $at i64) (call $output_set (local.get $at) (call $length (local.get $at))))
  (func (export "echo") (call $output (call $input)))
  (func (export "count") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (global.get $n))
  (func (export "config") (call $output (call $config_get (call $input))))
  (func (export "log") (call $log_info (call $input)))
  (func (export "refuse") (result i32) (call $error_set (call $input)) (i32.const 3))
  (func (export "trap") unreachable)
  (func (export "forever") (loop (br 0)))
  (func (export "typed") (param i32)))"""


def importing(*names):
    """A guest that has, for each name, a function that gives its input to the host function and outputs the result."""
    imports = "".join(f'(import "extism:host/user" "{name}" (func ${name} (param i64) (result i64)))' for name in names)
    exports = "".join(f'(func (export "{name}") (call $output (call ${name} (call $input))))' for name in names)
    return f"""(module
      (import "extism:host/env" "input_offset" (func $input (result i64)))
      (import "extism:host/env" "length" (func $length (param i64) (result i64)))
      (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
      {imports}
      (func $output (param $at i64) (call $output_set (local.get $at) (call $length (local.get $at))))
      {exports})""".encode()


def count_vowels():
    with open(os.environ["EXTISM_TEST_PLUGIN"], "rb") as f:
        return f.read()


def parsed(output):
    return json.loads(bytes(output).decode("utf-8"))


@extism.host_fn()
def shout(text: str) -> str:
    return text.upper() + "!"


@extism.host_fn()
def keys(text: typing.Annotated[dict, extism.Json]) -> typing.Annotated[list, extism.Json]:
    return sorted(text)


@extism.host_fn(signature=([extism.ValType.PTR], [extism.ValType.PTR]), user_data=[b"kept"])
def with_data(plugin, params, results, data):
    plugin.return_string(results[0], f"{plugin.input_string(params[0])} {data.decode()}")


@extism.host_fn()
def context(plugin: extism.CurrentPlugin, text: str) -> str:
    return f"{text} {plugin.host_context()!r}"


@extism.host_fn()
def memory(plugin: extism.CurrentPlugin, text: str) -> int:
    block = plugin.alloc(8)
    block_again = plugin.memory_at_offset(block.offset)
    plugin.free(block)
    return block_again.length * 10 + plugin.memory_at_offset(block.offset).length


@extism.host_fn()
def raises(text: str) -> str:
    raise ValueError(f"not {text}")


@extism.host_fn()
def nested(text: str) -> str:
    with extism.Plugin(GUEST, functions=None) as plugin:
        return plugin.call("echo", f"{text} inside").decode()


class SdkTest(unittest.TestCase):
    def assert_fails(self, part, act, *args, **kwargs):
        """Runs `act`, which has to fail with a text that contains `part`. Returns the text."""
        with self.assertRaises(extism.Error) as caught:
            act(*args, **kwargs)
        text = str(caught.exception)
        self.assertIn(part, text)
        return text


class Library(SdkTest):
    def test_it_is_ours(self):
        ours = extism_sys.ffi.string(extism_sys.lib.extism_compiler()).decode()
        self.assertIn(ours, ("cranelift", "llvm", "singlepass", "headless"))
        self.assertRegex(extism.extism_version(), r"^1\.\d+\.\d+$")


class Create(SdkTest):
    def test_the_readme(self):
        """The example of the SDK's README; its plugin comes from a file instead of the network."""
        manifest = {"wasm": [{"path": os.path.abspath(os.environ["EXTISM_TEST_PLUGIN"])}]}
        with extism.Plugin(manifest, wasi=True) as plugin:
            wasm_vowel_count = plugin.call(
                "count_vowels",
                "hello world",
                parse=lambda output: json.loads(bytes(output).decode("utf-8")),
            )
        self.assertEqual(wasm_vowel_count["count"], 3)

    def test_manifests(self):
        wasm = count_vowels()
        text = base64.b64encode(wasm).decode()
        path = os.path.abspath(os.environ["EXTISM_TEST_PLUGIN"])
        manifests = {
            "bytes": wasm,
            "file": os.environ["EXTISM_TEST_PLUGIN"],
            "data": {"wasm": [{"data": wasm}]},
            "hash": {"wasm": [{"data": wasm, "hash": hashlib.sha256(wasm).hexdigest()}]},
            "path": {"wasm": [{"path": path}]},
            "memory": {"wasm": [{"data": wasm}], "memory": {"max_pages": 5}},
            "JSON": json.dumps({"wasm": [{"data": text}]}),
            "TOML": f'[[wasm]]\ndata = "{text}"\n',
        }
        for name, manifest in manifests.items():
            with self.subTest(name), extism.Plugin(manifest, wasi=True) as plugin:
                self.assertEqual(plugin.call("count_vowels", TEXT, parse=parsed), COUNT)

    def test_bad_manifests(self):
        other = '(module (import "extism:host/user" "unknown" (func)))'
        wasm = count_vowels()
        cases = [
            (b"", ""),
            ({"wasm": []}, ""),
            ({"wasm": None}, ""),
            (b"\0asm", ""),
            ({"wasm": [{"path": "no/such/file.wasm"}]}, "no/such/file.wasm"),
            ({"wasm": [{"data": wasm, "hash": "0" * 64}]}, "Hash mismatch"),
            (other.encode(), "unknown import: `extism:host/user::unknown` has not been defined"),
        ]
        for manifest, part in cases:
            with self.subTest(manifest=str(manifest)[:80]):
                text = self.assert_fails(part, extism.Plugin, manifest, functions=None)
                self.assertNotEqual(text, "")

    def test_ids(self):
        plugins = [extism.Plugin(GUEST, functions=None) for _ in range(20)]
        ids = {plugin.id for plugin in plugins}
        self.assertEqual(len(ids), 20)
        self.assertEqual({one.version for one in ids}, {4})

    def test_compiled_plugins(self):
        compiled = CompiledPlugin(GUEST, functions=None)
        first = extism.Plugin(compiled, config={"key": "first"})
        second = extism.Plugin(compiled, config={"key": "second"})
        for plugin in (first, second):
            self.assertRaisesRegex(extism.Error, "Error code: 1", plugin.call, "count", "")
        self.assertEqual((first.call("config", "key"), second.call("config", "key")), (b"first", b"second"))
        self.assertNotEqual(first.id, second.id)
        del compiled, first
        gc.collect()
        self.assertEqual(second.call("echo", "lives on"), b"lives on")


class Example(unittest.TestCase):
    def test_the_host_function(self):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/v1/host_function.py")
        said = subprocess.run([sys.executable, program], check=True, capture_output=True, text=True).stdout
        self.assertIn("Grace: 555-1906", said)


class Call(SdkTest):
    def setUp(self):
        self.plugin = extism.Plugin(GUEST, functions=None)

    def test_input_and_output(self):
        for data in (b"x", b"zero\0inside", bytes(range(256)) * 300):
            self.assertEqual(self.plugin.call("echo", data), data)
        self.assertEqual(self.plugin.call("echo", "\u00e4\u20ac"), "\u00e4\u20ac".encode())
        self.assertEqual(self.plugin.call("echo", ""), b"")

    def test_function_exists(self):
        for name, is_there in [("echo", True), ("count", True), ("typed", False), ("nobody", False)]:
            self.assertIs(self.plugin.function_exists(name), is_there)

    def test_errors(self):
        self.assertEqual(self.assert_fails("", self.plugin.call, "refuse", "its own words"), "its own words")
        self.assert_fails("Function not found: nobody", self.plugin.call, "nobody", "")
        text = self.assert_fails("error while executing at wasm backtrace", self.plugin.call, "trap", "")
        self.assertIn("unreachable", text)
        self.assertEqual(self.plugin.call("echo", "goes on"), b"goes on")

    def test_config(self):
        with extism.Plugin({"wasm": [{"data": GUEST}], "config": {"a": "1", "b": "2"}}, functions=None,
                           config={"b": "new", "a": None}) as plugin:
            self.assertEqual(plugin.call("config", "b"), b"new")
            self.assertEqual(plugin.call("config", "a"), b"")

    def test_timeout(self):
        with extism.Plugin({"wasm": [{"data": GUEST}], "timeout_ms": 100}, functions=None) as plugin:
            self.assert_fails("timeout", plugin.call, "forever", "")
            self.assertEqual(plugin.call("echo", "goes on"), b"goes on")

    def test_cancel(self):
        handle = self.plugin.cancel_handle()
        ended = threading.Event()

        def cancel():
            # Until the call has begun, there is nothing to cancel.
            while not ended.is_set():
                self.assertIs(handle.cancel(), True)
                time.sleep(0.01)

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            self.assert_fails("timeout", self.plugin.call, "forever", "")
        finally:
            ended.set()
            thread.join()
        self.assertIs(handle.cancel(), True)
        self.assertEqual(self.plugin.call("echo", "goes on"), b"goes on")

    def test_threads(self):
        """cffi lets go of the interpreter's lock while a call runs."""
        compiled = CompiledPlugin(importing("shout"), functions=[shout])

        def work(i):
            with extism.Plugin(compiled) as plugin:
                for n in range(100):
                    self.assertEqual(plugin.call("shout", f"thread {i}, call {n}"), f"THREAD {i}, CALL {n}!".encode())

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(work, i) for i in range(8)]:
                done.result()


class HostFunctions(SdkTest):
    def assert_answers(self, function, given, answer, **kwargs):
        with extism.Plugin(importing(function.name), functions=[function]) as plugin:
            self.assertEqual(plugin.call(function.name, given, **kwargs), answer)

    def test_values(self):
        self.assert_answers(shout, "hello", b"HELLO!")
        self.assert_answers(keys, '{"b": 1, "a": 2}', b'["a", "b"]')
        self.assert_answers(with_data, "user data is", b"user data is kept")

    def test_the_host_context(self):
        self.assert_answers(context, "it is", b"it is ['any', 'object']", host_context=["any", "object"])
        self.assert_answers(context, "it is", b"it is None")

    def test_memory(self):
        self.assert_answers(memory, "", (80).to_bytes(8, "little"))

    def test_all_of_them(self):
        """Without a list, a plugin gets each function that was declared; most are not imported."""
        with extism.Plugin(importing("shout", "nested")) as plugin:
            self.assertEqual(plugin.call("nested", "called"), b"called inside")
            self.assertEqual(plugin.call("shout", "again"), b"AGAIN!")

    def test_one_that_raises(self):
        """cffi prints the exception, and the host function's result is 0, which is no block."""
        with extism.Plugin(importing("raises", "shout"), functions=[raises, shout]) as plugin:
            with contextlib.redirect_stderr(io.StringIO()) as said:
                self.assertEqual(plugin.call("raises", "good"), b"")
            self.assertIn("ValueError: not good", said.getvalue())
            self.assertEqual(plugin.call("shout", "goes on"), b"GOES ON!")

    def test_garbage_collection(self):
        """The SDK frees a function's C part as soon as the plugin is made."""
        plugins = []
        for _ in range(20):
            plugins.append(extism.Plugin(importing("shout"), functions=[shout]))
            gc.collect()
        for plugin in plugins[::2]:
            plugin.__del__()
        gc.collect()
        for plugin in plugins[1::2]:
            self.assertEqual(plugin.call("shout", "still here"), b"STILL HERE!")


class Log(SdkTest):
    def test_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "guest.log")
            extism.set_log_file(path, "info")
            self.addCleanup(extism.set_log_file, "stderr", "off")
            extism.Plugin(GUEST, functions=None).call("log", "logged by the guest")
            with open(path, encoding="utf-8") as f:
                self.assertIn("logged by the guest", f.read())

    def test_buffer(self):
        lines = []
        logger = extism.set_log_custom(lines.append, "info")
        self.addCleanup(extism.set_log_file, "stderr", "off")
        with extism.Plugin(GUEST, functions=None) as plugin:
            plugin.call("log", "kept for the host")
            identity = str(plugin.id)
        self.assertEqual(lines, [])
        logger.drain()
        found = [line for line in lines if "kept for the host" in line]
        self.assertEqual(len(found), 1, lines)
        self.assertIn(f'plugin="{identity}"', found[0])


if __name__ == "__main__":
    unittest.main()
