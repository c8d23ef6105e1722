"""A host function in Python, with the `extism` package from PyPI and this library's wheel below it.

    pip install extism_sys-*.whl extism
    python host_function.py
"""

import extism
from extism_sys import lib

# Calls `lookup` with its input, and makes the answer its output. A plugin in Rust, Go or C imports it with its PDK.
PLUGIN = """(module
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/user" "lookup" (func $lookup (param i64) (result i64)))
    (func (export "number_of") (local $number i64)
        (local.set $number (call $lookup (call $input)))
        (call $output (local.get $number) (call $length (local.get $number)))))"""

NUMBERS = {"Ada": "555-1815", "Grace": "555-1906"}


def fail(plugin: extism.CurrentPlugin, text: str) -> None:
    """Ends the call of the plugin with an error, once the host function has returned.

    The package prints an exception of a host function, and lets the plugin go on with results of 0. Extism's own
    library has no other way.
    """
    if hasattr(lib, "extism_current_plugin_error_set"):
        lib.extism_current_plugin_error_set(plugin.pointer, text.encode())


# The annotations are the types: a `str` is a block in the plugin's memory, of which the plugin passes the handle. The
# decorator adds the function to all plugins that are made without a list of functions.
@extism.host_fn()
def lookup(plugin: extism.CurrentPlugin, name: str) -> str:
    user = plugin.host_context()
    number = NUMBERS.get(name)
    print(f"{user} asks for {name}")
    if number is None:
        fail(plugin, f"{name} is not in the book")
    return number or ""


def main() -> None:
    with extism.Plugin(PLUGIN) as plugin:
        print("Grace:", plugin.call("number_of", "Grace", host_context="the operator").decode())
        try:
            plugin.call("number_of", "Nobody", host_context="the operator")
        except extism.Error as error:
            print("Nobody:", error)


if __name__ == "__main__":
    main()
