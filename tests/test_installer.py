"""The installer's command line, and its list of files."""

from __future__ import annotations

import re
import subprocess

import pytest
from machines.clean_system import CHECKOUT


def installer(*options: str) -> subprocess.CompletedProcess[str]:
    command = [str(CHECKOUT / "tools" / "install-jetson"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", [["--yes"], ["--camera"], ["--camera", 'a"b'], ["--fast"]])
def test_a_wrong_request_ends_with_2(options: list[str]) -> None:
    refused = installer(*options)

    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1


def test_every_file_for_systemd_is_installed() -> None:
    source = (CHECKOUT / "tools" / "install-jetson").read_text(encoding="utf-8")
    installed = re.findall(r'^    "(doorbell\S*) /etc/\S+"$', source, re.MULTILINE)

    assert sorted(installed) == sorted(path.name for path in (CHECKOUT / "systemd").iterdir())


def test_help_names_every_option() -> None:
    told = installer("--help")
    source = (CHECKOUT / "tools" / "install-jetson").read_text(encoding="utf-8")

    assert told.returncode == 0
    for option in re.findall(r"^ {8}(--[a-z-]+)\)", source, re.MULTILINE):
        assert option in told.stdout
