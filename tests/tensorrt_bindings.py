"""Loads NVIDIA's own Python module of some TensorRT without TensorRT, and prints what it has.

Run as a program with the path of the module's file: its libraries are replaced by ones that have
the symbols it asks for and do nothing, which is enough to read names and documentation.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from functools import reduce
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

from doorbell.inference.tensorrt.versions import TENSORRT


def output(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def load_empty_libraries(module: Path, directory: Path) -> None:
    symbols = [line.split()[-1] for line in output("nm", "-D", "--undefined-only", str(module))]
    own = [name for name in symbols if "@" not in name and not name.startswith(("Py", "_Py"))]
    source = directory / "empty.c"
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in own))
    for line in output("readelf", "-d", str(module)):
        name = line.partition("[lib")[2].rstrip("]")
        if "NEEDED" in line and name.startswith("nv"):
            library = str(directory / f"lib{name}")
            output(
                "gcc",
                "-w",
                "-shared",
                "-fPIC",
                "-o",
                library,
                f"-Wl,-soname,lib{name}",
                str(source),
            )
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)


def load(path: Path) -> Any:
    with tempfile.TemporaryDirectory() as directory:
        load_empty_libraries(path, Path(directory))
    sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
    spec = spec_from_loader("tensorrt", ExtensionFileLoader("tensorrt", str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documentation(module: Any) -> dict[str, str]:
    """Return the documentation of each name of the table that a module has."""
    absent = object()
    found = {}
    for name in TENSORRT:
        value = reduce(lambda part, word: getattr(part, word, absent), name.split("."), module)
        if value is not absent:
            found[name] = value.__doc__ or ""
    # The package around the module sets it.
    return {**found, "__version__": ""}


if __name__ == "__main__":
    print(json.dumps(documentation(load(Path(sys.argv[1])))))  # noqa: T201 - a program's output
