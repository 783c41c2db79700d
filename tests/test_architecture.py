from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What a laptop may lack.
VENDORS = ["jetson_utils", "miniaudio", "pycuda", "simpleaudio", "tensorrt", "tensorrt_rtx"]


def contract_layers() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^layers = \[\n(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL)
    assert listed is not None
    return re.findall(r'^    "([^"]+)",$', listed[1], flags=re.MULTILINE)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True
    )


def test_imports_keep_to_the_contracts() -> None:
    linted = run_python("from importlinter.cli import lint_imports_command as main; main()")

    assert linted.returncode == 0, linted.stdout
    assert "Contracts: 5 kept, 0 broken" in linted.stdout


def test_architecture_draws_the_layers_of_the_contract() -> None:
    document = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    drawn = re.search(r"^```layers\n(.*?)^```", document, flags=re.MULTILINE | re.DOTALL)
    assert drawn is not None

    assert drawn[1].splitlines() == contract_layers()


def test_architecture_describes_every_part() -> None:
    document = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    parts = {part for layer in contract_layers() for part in layer.split(" | ")}

    assert {part for part in parts if f"`{part}`" not in document} == set()


def test_every_module_can_be_imported_without_what_a_machine_may_lack() -> None:
    imported = run_python(
        "import importlib, pkgutil, sys\n"
        f"sys.modules.update(dict.fromkeys({VENDORS!r}))\n"
        "import doorbell\n"
        "for module in pkgutil.walk_packages(doorbell.__path__, 'doorbell.'):\n"
        "    importlib.import_module(module.name)\n"
    )

    assert imported.returncode == 0, imported.stderr
