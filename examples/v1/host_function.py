"""Gives a plugin a Python function to call: host_function.py PLUGIN.wasm [TEXT]

Needs `make wheel`, then `pip install target/wheels/*.whl extism`.
"""

import json
import sys

import extism

# A plugin whose function `call` gives its input to the host's `counted`, and outputs what that returns.
GUEST = b"""(module
  (import "extism:host/user" "counted" (func $counted (param i64) (result i64)))
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (func (export "call") (local $text i64)
    (local.set $text (call $counted (call $input)))
    (call $output (local.get $text) (call $length (local.get $text)))))"""

path, text = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "this is a test"


# A host function may use other plugins.
@extism.host_fn()
def counted(given: str) -> str:
    with extism.Plugin({"wasm": [{"path": path}]}, wasi=True, functions=None) as plugin:
        vowels = json.loads(plugin.call("count_vowels", given))["count"]
    return f"{given}: {vowels} vowels"


with extism.Plugin(GUEST, functions=[counted]) as plugin:
    print(plugin.call("call", text).decode())
