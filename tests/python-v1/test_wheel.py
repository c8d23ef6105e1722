"""The wheel itself: what it records, for which systems it says it is, and that it is built the same each time.

EXTISM_TEST_WHEEL is the wheel, EXTISM_TEST_BUILD the folder that it was built from. Run with the Python that builds it.
"""

import base64
import csv
import hashlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHEEL = pathlib.Path(os.environ["EXTISM_TEST_WHEEL"])


class WheelTest(unittest.TestCase):
    def setUp(self):
        self.archive = zipfile.ZipFile(WHEEL)
        self.addCleanup(self.archive.close)
        self.name, self.version, *self.tag = WHEEL.stem.split("-")
        self.info = f"{self.name}-{self.version}.dist-info"

    def text(self, path):
        return self.archive.read(path).decode()

    def test_name_and_version(self):
        metadata = self.text(f"{self.info}/METADATA")
        self.assertIn("\nName: extism-sys\n", metadata)
        self.assertIn(f"\nVersion: {self.version}\n", metadata)
        # As the SDK requires it, and marked as not from PyPI.
        self.assertRegex(self.version, r"^1\.\d+\.\d+\+wasmer\.\d+$")
        self.assertGreaterEqual(tuple(map(int, self.version.split("+")[0].split("."))), (1, 9, 1))

    def test_record(self):
        rows = list(csv.reader(io.StringIO(self.text(f"{self.info}/RECORD"))))
        self.assertEqual(sorted(row[0] for row in rows), sorted(self.archive.namelist()))
        for path, digest, size in rows:
            if path == f"{self.info}/RECORD":
                self.assertEqual((digest, size), ("", ""))
                continue
            content = self.archive.read(path)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            self.assertEqual((digest, size), (f"sha256={expected}", str(len(content))), path)

    def test_tag(self):
        self.assertIn(f"\nTag: {'-'.join(self.tag)}\n", self.text(f"{self.info}/WHEEL"))
        self.assertEqual(self.tag[:2], ["py3", "none"])
        with tempfile.NamedTemporaryFile(suffix=".so") as library:
            library.write(self.archive.read("extism_sys/libextism_sys.so"))
            library.flush()
            symbols = subprocess.run(["objdump", "-T", library.name], check=True, capture_output=True, text=True).stdout
        # Most systems have a newer glibc than the oldest that the library runs with.
        needed = max((2, int(minor)) for minor in re.findall(r"\(?GLIBC_2\.(\d+)", symbols))
        promised = re.fullmatch(r"manylinux_(\d+)_(\d+)_\w+", self.tag[2])
        if promised:
            self.assertEqual(tuple(map(int, promised.groups())), max(needed, (2, 17)))
        else:
            self.assertRegex(self.tag[2], r"^linux_\w+$")

    def test_it_is_built_the_same_again(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, ROOT / "packaging/wheel/build.py", os.environ["EXTISM_TEST_BUILD"],
                       ROOT / "v1/extism.h", folder]
            path = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            self.assertEqual(pathlib.Path(path).name, WHEEL.name)
            self.assertEqual(pathlib.Path(path).read_bytes(), WHEEL.read_bytes())


if __name__ == "__main__":
    unittest.main()
