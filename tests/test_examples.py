"""That a property test is the same in every run, and another one with the long profile."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
CONFTEST = """
from examples import leave_out_long, register_profiles

register_profiles()

def pytest_configure(config):
    config.addinivalue_line("markers", "long: of long runs")

def pytest_collection_modifyitems(config, items):
    leave_out_long(config, items)
"""
PROPERTY = """
import pytest
from examples import examples
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

seen = []

@settings(max_examples=examples(4))
@given(st.integers())
def test_number(number):
    seen.append(number)

class Machine(RuleBasedStateMachine):
    @rule(number=st.integers())
    def take(self, number):
        seen.append(number)

Machine.TestCase.settings = settings(max_examples=examples(2), stateful_step_count=3)
TestMachine = Machine.TestCase

def test_tell():
    print("seen:", len(seen), seen)

@pytest.mark.long
def test_of_long_runs():
    pass

@given(st.integers())
def test_failing(number):
    assert number < 1000
"""


def run(folder: Path, *arguments: str) -> tuple[str, str]:
    """What the properties saw, and all that pytest printed."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_property.py").write_text(PROPERTY)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", *arguments, folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=False,
        capture_output=True,
        text=True,
    )
    seen = re.search(r"seen: (.*)", ran.stdout)
    assert seen is not None, ran.stdout + ran.stderr
    of_long_runs = ("1 failed, 3 passed, 1 deselected", "1 failed, 4 passed")[bool(arguments)]
    assert of_long_runs in ran.stdout
    return seen[1], ran.stdout


def test_a_commit_is_tried_on_the_same_examples_in_every_run(tmp_path: Path) -> None:
    assert run(tmp_path)[0] == run(tmp_path)[0]


def test_the_long_profile_tries_many_more_and_other_ones(tmp_path: Path) -> None:
    count = int(run(tmp_path)[0].split()[0])
    first, _ = run(tmp_path, "--hypothesis-profile=long")
    second, _ = run(tmp_path, "--hypothesis-profile=long")

    assert first != second
    assert int(first.split()[0]) > 15 * count


def test_a_failure_says_how_it_is_repeated(tmp_path: Path) -> None:
    for arguments in [], ["--hypothesis-profile=long"]:
        _, printed = run(tmp_path, *arguments)

        assert "number=1000" in printed
        assert "@reproduce_failure(" in printed
