"""The official Python SDK, version 0.1.0, on this library.

EXTISM_PATH names a folder with extism.h and libextism.so, where the SDK looks first. EXTISM_TEST_PLUGIN names a
count_vowels plugin whose answer to "this is a test" is {"count": 4}. Run with `python3 -m unittest` or as a program.
"""

import base64
import gc
import hashlib
import json
import os
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

import extism

TEXT = "this is a test"
COUNT = {"count": 4}

# A guest that keeps state, reads its config and fails in every way.
GUEST = rb"""(module
  (import "env" "extism_input_length" (func $input_length (result i64)))
  (import "env" "extism_input_load_u8" (func $input_u8 (param i64) (result i32)))
  (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
  (import "env" "extism_length" (func $length (param i64) (result i64)))
  (import "env" "extism_store_u8" (func $store_u8 (param i64 i32)))
  (import "env" "extism_output_set" (func $output_set (param i64 i64)))
  (import "env" "extism_error_set" (func $error_set (param i64)))
  (import "env" "extism_config_get" (func $config_get (param i64) (result i64)))
  (import "env" "extism_log_info" (func $log_info (param i64)))
  (memory (export "memory") 1)
  (global $n (mut i32) (i32.const 0))
  (func $input (result i64) (local $to i64) (local $i i64)
    (local.set $to (call $alloc (call $input_length)))
    (block $done (loop $next
      (br_if $done (i64.ge_u (local.get $i) (call $input_length)))
      (call $store_u8 (i64.add (local.get $to) (local.get $i)) (call $input_u8 (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br $next)))
    (local.get $to))
  (func $output (param $at i64) (call $output_set (local.get $at) (call $length (local.get $at))))
  (func (export "echo") (call $output (call $input)))
  (func (export "silent"))
  (func (export "count") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (global.get $n))
  (func (export "config") (result i32) (local $at i64)
    (local.set $at (call $config_get (call $input)))
    (if (i64.eqz (local.get $at)) (then (return (i32.const 1))))
    (call $output (local.get $at))
    (i32.const 0))
  (func (export "log") (call $log_info (call $input)))
  (func (export "refuse") (result i32) (call $error_set (call $input)) (i32.const 3))
  (func (export "trap") unreachable)
  (func (export "refuse_and_trap") (call $error_set (call $input)) unreachable))"""


def count_vowels():
    with open(os.environ["EXTISM_TEST_PLUGIN"], "rb") as f:
        return f.read()


class SdkTest(unittest.TestCase):
    def setUp(self):
        self.ctx = extism.Context()
        self.addCleanup(self.ctx.__del__)

    def assert_fails(self, start, act, *args, **kwargs):
        """Runs `act`, which has to fail with a text that begins with `start`. Returns the text."""
        with self.assertRaises(extism.Error) as caught:
            act(*args, **kwargs)
        text = str(caught.exception)
        self.assertTrue(text.startswith(start), f"{text!r} does not start with {start!r}")
        return text


class Create(SdkTest):
    def assert_counts(self, manifest):
        plugin = self.ctx.plugin(manifest, wasi=True)
        self.assertEqual(json.loads(plugin.call("count_vowels", TEXT)), COUNT)

    def test_bytes(self):
        self.assert_counts(count_vowels())

    def test_path(self):
        self.assert_counts(os.environ["EXTISM_TEST_PLUGIN"])

    def test_manifests(self):
        wasm = count_vowels()
        text = base64.b64encode(wasm).decode()
        path = os.path.abspath(os.environ["EXTISM_TEST_PLUGIN"])
        manifests = {
            "data as bytes": {"wasm": [{"data": wasm}]},
            "data as text": {"wasm": [{"data": text}]},
            "hash": {"wasm": [{"data": wasm, "hash": hashlib.sha256(wasm).hexdigest()}]},
            "path": {"wasm": [{"path": path}]},
            "name": {"wasm": [{"data": wasm, "name": "count"}]},
            "memory, as the SDK's own tests": {"wasm": [{"data": wasm}], "memory": {"max": 5}},
            "JSON": json.dumps({"wasm": [{"data": text}]}),
            "TOML": f'[[wasm]]\ndata = "{text}"\n',
        }
        for name, manifest in manifests.items():
            with self.subTest(name):
                self.assert_counts(manifest)

    def test_wat(self):
        self.assertEqual(self.ctx.plugin(GUEST).call("echo", "as bytes"), b"as bytes")
        self.assertEqual(self.ctx.plugin(GUEST.decode()).call("echo", "as text"), b"as text")
        self.assertEqual(self.ctx.plugin({"wasm": [{"data": GUEST}]}).call("echo", "inside"), b"inside")

    def test_bad_manifests(self):
        none = "No wasm files specified"
        cases = [
            (b"", none),
            ("", none),
            ({}, none),
            ({"wasm": []}, none),
            ({"invalid_manifest": True}, none),
            ({"wasm": None}, ""),
            ({"wasm": 123}, ""),
            ({"wasm": [{"data": "***"}]}, ""),
            ({"wasm": [{"path": "no/such/file.wasm"}]}, ""),
            ("not json", ""),
            (b"\0asm", ""),
            (b"(module", ""),
            (b"\xff\xff", ""),
            ('(module (import "env" "foo" (func)))', "unknown import: `env::foo` has not been defined"),
            (
                '(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))',
                "unknown import: `wasi_snapshot_preview1::proc_exit` has not been defined",
            ),
        ]
        for manifest, start in cases:
            with self.subTest(manifest=manifest):
                text = self.assert_fails(start, self.ctx.plugin, manifest)
                self.assertNotEqual(text, "Unable to register plugin")

    def test_missing_file_is_named(self):
        text = self.assert_fails("", self.ctx.plugin, {"wasm": [{"path": "no/such/file.wasm"}]})
        self.assertIn("no/such/file.wasm", text)

    def test_bad_hash(self):
        wasm = count_vowels()
        bad = "0" * 64
        self.assert_fails(
            f"Hash mismatch, found {hashlib.sha256(wasm).hexdigest()} but expected {bad}",
            self.ctx.plugin,
            {"wasm": [{"data": wasm, "hash": bad}]},
        )

    def test_many(self):
        plugins = [self.ctx.plugin(GUEST) for _ in range(100)]
        self.assertEqual([p.plugin for p in plugins], list(range(100)))
        for i, plugin in enumerate(plugins):
            self.assertEqual(plugin.call("echo", f"plugin {i}"), f"plugin {i}".encode())


class Call(SdkTest):
    def setUp(self):
        super().setUp()
        self.plugin = self.ctx.plugin(GUEST)

    def test_count_vowels(self):
        plugin = self.ctx.plugin(count_vowels(), wasi=True)
        for _ in range(100):
            self.assertEqual(plugin.call("count_vowels", TEXT, parse=lambda view: json.loads(bytes(view))), COUNT)
        self.assertEqual(json.loads(plugin.call("count_vowels", "aeiouAEIOU" * 1000))["count"], 10000)
        self.assertEqual(json.loads(plugin.call("count_vowels", ""))["count"], 0)

    def test_input_and_output(self):
        for data in (b"", b"x", b"zero\0inside", bytes(range(256)) * 300):
            self.assertEqual(self.plugin.call("echo", data), data)
        self.assertEqual(self.plugin.call("echo", "\u00e4\u20ac"), "\u00e4\u20ac".encode())
        self.assertEqual(self.plugin.call("silent", "input"), b"")

    def test_view_of_the_output(self):
        view = self.plugin.call("echo", "in place", parse=None)
        self.assertEqual(view[:], b"in place")

    def test_function_exists(self):
        self.assertTrue(self.plugin.function_exists("echo"))
        self.assertFalse(self.plugin.function_exists("nobody"))
        self.assertFalse(self.plugin.function_exists("memory"))

    def test_missing_function(self):
        self.assert_fails("Function not found: nobody", self.plugin.call, "nobody", "")

    def test_error_of_the_guest(self):
        for said in ("no", 'with "quotes"\nand lines', "\u00e4"):
            self.assertEqual(self.assert_fails(said, self.plugin.call, "refuse", said), said)

    def test_status_without_an_error(self):
        self.assertEqual(self.assert_fails("", self.plugin.call, "count", ""), "Error code: 1")
        self.assertEqual(self.assert_fails("", self.plugin.call, "count", ""), "Error code: 2")

    def test_trap(self):
        text = self.assert_fails("Call failed", self.plugin.call, "trap", "")
        self.assertIn("Caused by:", text)
        self.assertIn("unreachable", text)
        self.assertEqual(self.plugin.call("echo", "goes on"), b"goes on")

    def test_error_then_trap(self):
        text = self.assert_fails("its own words", self.plugin.call, "refuse_and_trap", "its own words")
        self.assertIn("unreachable", text)

    def test_threads(self):
        """cffi lets go of the interpreter's lock while a call runs."""
        plugins = [self.ctx.plugin(GUEST) for _ in range(4)]

        def work(i):
            for n in range(100):
                text = f"thread {i}, call {n}".encode()
                self.assertEqual(plugins[i].call("echo", text), text)
                text = self.assert_fails("", plugins[i].call, "refuse", text)
                self.assertEqual(text, f"thread {i}, call {n}")

        with ThreadPoolExecutor(len(plugins)) as pool:
            for done in [pool.submit(work, i) for i in range(len(plugins))]:
                done.result()


class Config(SdkTest):
    def test_of_the_manifest(self):
        plugin = self.ctx.plugin({"wasm": [{"data": GUEST}], "config": {"a": "1"}})
        self.assertEqual(plugin.call("config", "a"), b"1")
        self.assertEqual(self.assert_fails("", plugin.call, "config", "b"), "Error code: 1")

    def test_at_creation(self):
        manifest = {"wasm": [{"data": GUEST}], "config": {"a": "1", "b": "2"}}
        plugin = self.ctx.plugin(manifest, config={"a": "new", "b": None, "c": "3"})
        self.assertEqual(plugin.call("config", "a"), b"new")
        self.assertEqual(self.assert_fails("", plugin.call, "config", "b"), "Error code: 1")
        self.assertEqual(plugin.call("config", "c"), b"3")

    def test_at_update(self):
        plugin = self.ctx.plugin(GUEST, config={"a": "1"})
        plugin.update(GUEST, config={"b": "2"})
        self.assertEqual(self.assert_fails("", plugin.call, "config", "a"), "Error code: 1")
        self.assertEqual(plugin.call("config", "b"), b"2")


class Life(SdkTest):
    def test_update(self):
        plugin = self.ctx.plugin(GUEST)
        self.assertEqual(plugin.call("echo", "before"), b"before")
        plugin.update(count_vowels(), wasi=True)
        self.assertEqual(plugin.plugin, 0)
        self.assertEqual(json.loads(plugin.call("count_vowels", TEXT)), COUNT)
        self.assertFalse(plugin.function_exists("echo"))

    def test_failing_update(self):
        plugin = self.ctx.plugin(GUEST)
        self.assert_fails("No wasm files specified", plugin.update, {})
        self.assert_fails("unknown import: `env::foo`", plugin.update, '(module (import "env" "foo" (func)))')
        self.assertEqual(plugin.call("echo", "still here"), b"still here")

    def test_free(self):
        plugin = self.ctx.plugin(GUEST)
        number = plugin.plugin
        with plugin:
            self.assertEqual(plugin.call("echo", "inside"), b"inside")
        self.assert_fails("Plugin does not exist: -1", plugin.call, "echo", "outside")
        plugin.plugin = number
        self.assert_fails(f"Plugin does not exist: {number}", plugin.call, "echo", "outside")
        plugin.__del__()
        del plugin
        gc.collect()
        self.assertEqual(self.ctx.plugin(GUEST).plugin, number + 1)

    def test_reset(self):
        plugin = self.ctx.plugin(GUEST)
        self.ctx.reset()
        self.assert_fails("Plugin does not exist: 0", plugin.call, "echo", "")
        again = self.ctx.plugin(GUEST)
        self.assertEqual(again.plugin, 1)
        self.assertEqual(again.call("echo", "again"), b"again")

    def test_context_manager(self):
        with extism.Context() as ctx:
            plugin = ctx.plugin(GUEST)
            self.assertEqual(plugin.call("echo", "inside"), b"inside")
        # The SDK frees twice, and a plugin may outlive its context.
        ctx.__del__()
        self.assert_fails("", plugin.call, "echo", "outside")
        self.assert_fails("", plugin.update, GUEST)
        self.assertFalse(plugin.function_exists("echo"))
        self.assert_fails("", ctx.plugin, GUEST)

    def test_contexts_do_not_mix(self):
        with extism.Context() as other:
            mine, theirs = self.ctx.plugin(GUEST), other.plugin(GUEST)
            self.assertEqual((mine.plugin, theirs.plugin), (0, 0))
            self.assertEqual(self.assert_fails("", mine.call, "count", ""), "Error code: 1")
            self.assertEqual(self.assert_fails("", mine.call, "count", ""), "Error code: 2")
            self.assertEqual(self.assert_fails("", theirs.call, "count", ""), "Error code: 1")
        self.assertEqual(mine.call("echo", "still here"), b"still here")


class Process(SdkTest):
    def test_version(self):
        version = extism.extism_version()
        self.assertRegex(version, r"^\d+\.\d+\.\d+")
        self.assertNotEqual(version, "0.0.0")

    def test_log_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "new", "guest.log")
            extism.set_log_file(path, "info")
            self.addCleanup(extism.set_log_file, "stderr", "off")
            self.ctx.plugin(GUEST).call("log", "logged by the guest")
            with open(path, encoding="utf-8") as f:
                self.assertIn("logged by the guest", f.read())


if __name__ == "__main__":
    unittest.main()
