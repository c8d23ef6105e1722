"""Builds the Python wheel of the library for Extism 1.x.

It has the one module, `extism_sys`, that PyPI's `extism` loads: `lib`, the library, and `ffi`, cffi's declarations of its
functions, made from the C header. Installed in place of PyPI's `extism-sys`, it gives that package this library.

The same inputs give the same bytes.
"""

import argparse
import base64
import contextlib
import hashlib
import pathlib
import re
import subprocess
import tempfile
import zipfile

import cffi

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Counts the wheels of one version of Extism's interface; the part after `+` marks them as not from PyPI.
LOCAL_VERSION = "wasmer.1"

# The libraries that each system with a certain version of glibc has (PEP 600), and, for those whose symbols have other
# versions than glibc's, the newest version that a system with glibc 2.17 has.
SYSTEM_LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1"}
NEWEST_OF_GCC = (4, 8, 0)

INIT = '''"""libextism on Wasmer, as PyPI's `extism` loads it."""

import os

from .ffi import ffi

__all__ = ["ffi", "lib"]

lib = ffi.dlopen(os.path.join(os.path.dirname(os.path.abspath(__file__)), "libextism_sys.so"))
del os
'''

METADATA = """Metadata-Version: 2.4
Name: extism-sys
Version: {version}
Summary: libextism on Wasmer, for the package extism
License-Expression: BSD-3-Clause
License-File: LICENSE
Requires-Python: >=3.9
Requires-Dist: cffi
Description-Content-Type: text/plain

The native library of the package extism, on Wasmer. It takes the place of the library that PyPI has under this name.
"""

WHEEL = """Wheel-Version: 1.0
Generator: libextism-on-wasmer (packaging/wheel/build.py)
Root-Is-Purelib: false
Tag: {tag}
"""


def declarations(header):
    """The declarations of a header as a C compiler reads them, without lines for the preprocessor.

    cffi has no preprocessor. The header has no other conditions than those on C++.
    """
    lines, is_cpp = [], False
    for line in header.splitlines():
        if line.startswith("#if"):
            if line.split() != ["#ifdef", "__cplusplus"]:
                raise SystemExit(f"build.py: the header has a condition that is not on C++: {line}")
            is_cpp = True
        elif line.startswith("#endif"):
            is_cpp = False
        elif not is_cpp and not line.startswith("#"):
            lines.append(line)
    return "\n".join(lines) + "\n"


def ffi_module(header):
    """The source of the module `extism_sys.ffi`. It needs cffi, but no parser of C, when it is imported."""
    ffi = cffi.FFI()
    ffi.set_source("extism_sys.ffi", None)
    ffi.cdef(declarations(header))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "ffi.py")
        with contextlib.redirect_stdout(None):
            ffi.emit_python_code(str(path))
        return path.read_text()


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def versions(symbols, prefix):
    """The versions of the form PREFIX_1.2.3 that a library's symbols need, as tuples."""
    return [tuple(map(int, text.split("."))) for text in re.findall(rf"\b{prefix}_([0-9.]+)\b", symbols)]


def platform_tag(library):
    """On which systems the library runs: all with a certain glibc, or, where that cannot be said, those like this one."""
    machine = re.search(r"Machine:\s+(.*)", output_of("readelf", "-h", library)).group(1)
    architecture = {"Advanced Micro Devices X86-64": "x86_64", "AArch64": "aarch64"}.get(machine)
    if architecture is None:
        raise SystemExit(f"build.py: add the name that Python has for the machine {machine}")
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-d", library)))
    needed = {name for name in needed if not name.startswith("ld-linux")}
    symbols = output_of("readelf", "--wide", "--version-info", library)
    # What the library itself defines comes before what it needs.
    symbols = symbols[symbols.index("Version needs section") :]
    glibc = max(versions(symbols, "GLIBC"), default=None)
    if glibc is None or not needed <= SYSTEM_LIBRARIES or max(versions(symbols, "GCC"), default=(0,)) > NEWEST_OF_GCC:
        return f"linux_{architecture}"
    # The oldest that installers know.
    major, minor = max(glibc[:2], (2, 17))
    return f"manylinux_{major}_{minor}_{architecture}"


def record(files, name):
    """The list of the files with their hashes, in which its own name has none."""
    lines = []
    for path, content in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    return "".join(lines) + f"{name},,\n"


def write(path, files):
    """Writes the archive with the same times and modes wherever and whenever it is made."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose modes the next line has
            entry.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            archive.writestr(entry, content)


def build(library, header, folder):
    version = output_of(str(ROOT / "packaging/version.sh"), "1").strip() + "+" + LOCAL_VERSION
    tag = f"py3-none-{platform_tag(library)}"
    with tempfile.TemporaryDirectory() as work:
        stripped = pathlib.Path(work, "libextism_sys.so")
        output_of("strip", "--strip-unneeded", "-o", str(stripped), library)
        content = stripped.read_bytes()
    info = f"extism_sys-{version}.dist-info"
    files = [
        ("extism_sys/__init__.py", INIT.encode()),
        ("extism_sys/ffi.py", ffi_module(header).encode()),
        ("extism_sys/libextism_sys.so", content),
        (f"{info}/METADATA", METADATA.format(version=version).encode()),
        (f"{info}/WHEEL", WHEEL.format(tag=tag).encode()),
        (f"{info}/licenses/LICENSE", (ROOT / "LICENSE").read_bytes()),
    ]
    files.append((f"{info}/RECORD", record(files, f"{info}/RECORD").encode()))
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("extism_sys-*.whl"):
        old.unlink()
    path = folder / f"extism_sys-{version}-{tag}.whl"
    write(path, files)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_dir", type=pathlib.Path, help="the folder with libextism.so, as `make build ABI=1` leaves it")
    parser.add_argument("header", type=pathlib.Path, help="the library's extism.h")
    parser.add_argument("folder", type=pathlib.Path, help="where the wheel goes")
    options = parser.parse_args()
    library = options.build_dir / "libextism.so"
    print(build(str(library.resolve(strict=True)), options.header.read_text(), options.folder))


if __name__ == "__main__":
    main()
