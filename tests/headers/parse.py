"""Has cffi read a C header, as Python's SDKs do, and find each of its functions in the library."""

import pathlib
import re
import sys

import cffi

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "packaging" / "wheel"))
sys.dont_write_bytecode = True

from build import declarations

header, library = pathlib.Path(sys.argv[1]).read_text(), sys.argv[2]
text = declarations(header)
ffi = cffi.FFI()
ffi.cdef(text)
functions = re.findall(r"^[A-Za-z].*?\b(extism_\w+)\(", text, re.MULTILINE)
assert len(functions) > 30, functions
lib = ffi.dlopen(library)
for name in functions:
    ffi.typeof(getattr(lib, name))
assert ffi.sizeof("ExtismVal") == 16 and ffi.offsetof("ExtismVal", "v") == 8
assert ffi.string(lib.extism_wasmer_version())
print(f"cffi reads {len(functions)} functions")
