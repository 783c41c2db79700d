"""The versions that the set-up commands install, against what pyproject.toml asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tomli
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[1]
LOCKS = CHECKOUT / "tools" / "requirements"
MACHINES = ("x86_64", "aarch64")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# By lock: which extras it is of, and for which Pythons.
EXTRAS = {
    "demo": (("demo", "console"), PYTHONS),
    "test": (("test",), PYTHONS),
    "service": (("console", "postgres"), ("3.10", "3.12")),
    "jetson": (("jetson", "console", "postgres"), ("3.10", "3.12")),
}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


class Pin(NamedTuple):
    """One version of one package, and how many files of it are known."""

    requirement: Requirement
    hashes: int

    @property
    def version(self) -> str:
        """What is installed."""
        [specifier] = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version


def pins(lock: str) -> list[Pin]:
    text = (LOCKS / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [Pin(Requirement(line.split(" --hash")[0]), len(HASH.findall(line))) for line in lines]


def environment(python: str, machine: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.1",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.1",
        "python_version": python,
        "sys_platform": "linux",
    }


def applies(requirement: Requirement, place: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(place)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return dict(tomli.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def asked_for(project: dict[str, Any], *extras: str) -> Iterator[Requirement]:
    """What the package and the extras depend on, extras within extras too."""
    texts = list(project["dependencies"])
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    for requirement in map(Requirement, texts):
        if requirement.name == project["name"]:
            yield from asked_for(project, *requirement.extras)
        else:
            yield requirement


@pytest.mark.parametrize("lock", ["build", *EXTRAS])
def test_each_package_is_of_one_version_and_hashed(lock: str) -> None:
    for pin in pins(lock):
        assert pin.version
        assert pin.hashes, pin


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("lock", "python"), [(lock, each) for lock, (_, known) in EXTRAS.items() for each in known]
)
def test_each_dependency_has_one_version_that_it_asks_for(
    lock: str, python: str, machine: str, project: dict[str, Any]
) -> None:
    place = environment(python, machine)
    found: dict[str, Pin] = {}
    for pin in pins(lock):
        if applies(pin.requirement, place):
            name = pin.requirement.name
            assert name not in found, f"{name} has two versions; run tools/lock"
            found[name] = pin
    for requirement in asked_for(project, *EXTRAS[lock][0]):
        if applies(requirement, place):
            pin = found.get(requirement.name) or pytest.fail(
                f"{requirement.name} is not in tools/requirements/{lock}.txt; run tools/lock"
            )
            assert requirement.specifier.contains(pin.version), f"{requirement}; run tools/lock"


def test_every_python_that_the_project_allows_is_chosen_for(project: dict[str, Any]) -> None:
    allowed = Requirement(f"doorbell{project['requires-python']}").specifier
    minors = [f"3.{minor}" for minor in range(30) if allowed.contains(f"3.{minor}")]
    assert minors == list(PYTHONS)


def test_what_comes_as_source_only_is_hashed() -> None:
    for lock in EXTRAS:
        names = {pin.requirement.name for pin in pins(lock) if pin.hashes}
        assert {"simpleaudio", "sdnotify"} <= names
