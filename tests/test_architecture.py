from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What a laptop may lack.
VENDORS = [
    "jetson_utils",
    "miniaudio",
    "pycuda",
    "simpleaudio",
    "tensorrt",
    "tensorrt_rtx",
    "torch",
]


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
    assert "Contracts: 6 kept, 0 broken" in linted.stdout


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


def test_files_that_the_architecture_names_are_there() -> None:
    document = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/.-]+\.(?:py|toml))`", document))

    assert len(named) > 10
    places = (ROOT, ROOT / "doorbell")
    assert {
        name for name in named if not any((place / name).is_file() for place in places)
    } == set()


def test_layers_and_modules_at_the_root_are_few() -> None:
    assert len(contract_layers()) <= 12
    assert len(list((ROOT / "doorbell").glob("*.py"))) <= 10


def definitions() -> Iterator[tuple[str, ast.AST]]:
    """Every class and function of the product, with where it is."""
    for path in sorted((ROOT / "doorbell").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.name}", node


def public_methods(node: ast.ClassDef) -> int:
    functions = (each for each in node.body if isinstance(each, ast.FunctionDef))
    return sum(not each.name.startswith("_") for each in functions)


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_no_class_has_more_than_25_public_methods() -> None:
    counted = {at: public_methods(n) for at, n in definitions() if isinstance(n, ast.ClassDef)}

    assert len(counted) > 200
    assert {at: count for at, count in counted.items() if count > 25} == {}


def test_no_function_has_more_than_8_parameters() -> None:
    counted = {
        at: parameters(node)
        for at, node in definitions()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert len(counted) > 1000
    assert {at: count for at, count in counted.items() if count > 8} == {}
