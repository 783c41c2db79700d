"""The command itself: help, options, configuration, exit codes; models and the check."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import cv2
import pytest
from click.testing import CliRunner
from command_line import Cli

from doorbell.camera.simulated.background import draw_porch
from doorbell.cli import main
from doorbell.cli.options import find_config
from doorbell.errors import ConfigError

DOORBELL = Path(sys.executable).with_name("doorbell")


def every_command(
    command: click.Command = main, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from every_command(child, (*words, name))


@pytest.mark.parametrize("words", [*every_command()], ids=lambda words: "-".join(words) or "main")
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0
    example = result.stdout.split("Example:\n")[1]
    assert example.startswith(f"    doorbell {' '.join(words)}".rstrip())


def test_help_comes_without_what_only_the_daemon_needs() -> None:
    code = (
        "import sys, doorbell.cli; "
        "print([name for name in ('cv2', 'openvino', 'rich', 'pydantic', 'numpy', 'sqlite_utils') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "[]"


def test_the_daemon_and_the_demo_start_without_what_only_measuring_needs() -> None:
    code = (
        "import sys, doorbell.daemon.run, doorbell.demo, doorbell.cli.run; "
        "print([name for name in ('matplotlib', 'onnxruntime', 'doorbell.measure.speed') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "[]"


def test_a_damaged_gallery_ends_with_3_and_is_left_alone(cli: Cli, storage: Path) -> None:
    path = storage / "gallery.sqlite"
    path.write_bytes(b"no gallery" * 1000)
    for words in (["people", "list"], ["people", "forget", "Anna", "--yes"], ["visits"]):
        result = cli(*words)
        assert result.exit_code == 3
        assert f"the gallery {path} is damaged" in result.stderr
        assert path.read_bytes() == b"no gallery" * 1000


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "device.id=a b", "people", "list"],
        ["people", "list", "--set", "device.id=a b"],
        ["--config", "gone.toml", "people", "list"],
        ["people", "list", "--config", "gone.toml"],
    ],
)
def test_options_may_stand_before_or_after_the_verb(cli: Cli, words: Sequence[str]) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    assert "device.id" in result.stderr or "gone.toml" in result.stderr


def test_an_option_after_the_verb_wins(cli: Cli, tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text("")
    assert cli("--config", "gone.toml", "people", "list", "--config", str(good)).exit_code == 0


def test_the_configuration_is_found(tmp_path: Path) -> None:
    first, second = tmp_path / "etc" / "doorbell.toml", tmp_path / "home.toml"
    assert find_config({}, [first, second]) is None
    second.touch()
    assert find_config({}, [first, second]) == second
    first.parent.mkdir()
    first.touch()
    assert find_config({}, [first, second]) == first
    assert find_config({"DOORBELL_CONFIG": "mine.toml"}, [first, second]) == Path("mine.toml")
    # As good as unreadable for everybody, root included: the path leads through too many links.
    first.unlink()
    first.symlink_to(first)
    with pytest.raises(ConfigError, match="--config"):
        find_config({}, [first, second])


def test_verbose_logs_everything(cli: Cli) -> None:
    cli("people", "list", "-v")
    assert logging.getLogger().level == logging.DEBUG
    cli("people", "list")
    assert logging.getLogger().level == logging.WARNING


@pytest.mark.parametrize(
    ("verb", "uri"),
    [
        (["run"], "/no/such/video.mkv"),  # a missing device is waited for, as the button rings
        (["enroll", "Anna", "--camera"], "/dev/video99"),
    ],
)
@pytest.mark.usefixtures("models_directory")
def test_a_camera_that_is_not_there_ends_with_3(cli: Cli, verb: Sequence[str], uri: str) -> None:
    result = cli(*verb, "--set", f"camera.uri={uri}")
    assert result.exit_code == 3
    assert uri in result.stderr


def test_models_that_are_there_are_not_built_again_and_verified(
    cli: Cli, models_directory: Path
) -> None:
    built = {path: path.stat().st_mtime_ns for path in models_directory.glob("*.onnx")}
    assert built
    result = cli("models", "build")
    assert result.exit_code == 0
    assert str(models_directory) in result.stdout
    assert {path: path.stat().st_mtime_ns for path in built} == built
    assert f"{len(built)} files" in cli("models", "verify").stdout


def test_models_are_built_without_the_simulated_camera_s_portraits_where_asked(
    cli: Cli, models_directory: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "models"
    shutil.copytree(models_directory, directory, ignore=shutil.ignore_patterns("faces"))

    here = ("--set", f"inference.models_directory={directory}")
    built = cli("models", "build", "--no-portraits", *here)

    assert built.exit_code == 0
    assert not (directory / "faces").exists()
    settings = [*here, "--set", "camera.uri=/dev/video99", "--set", "chime.enabled=false"]
    checked = json.loads(cli("check", "--json", *settings).stdout)
    [latency] = [finding for finding in checked if finding["part"] == "latency"]
    assert latency["ok"]
    assert latency["message"].startswith("not measured")


@pytest.mark.usefixtures("models_directory")
def test_check_finds_what_will_not_do(cli: Cli) -> None:
    settings = ["--set", "camera.uri=/dev/video99", "--set", "chime.enabled=false"]
    told = cli("check", *settings)
    assert told.exit_code == 3
    assert "BAD camera" in told.stdout
    findings = {
        finding["part"]: finding for finding in json.loads(cli("check", "--json", *settings).stdout)
    }
    assert not findings["camera"]["ok"]
    assert "/dev/video99" in findings["camera"]["message"]
    assert findings["gallery"]["ok"]
    assert re.match(
        r"detect [\d.]+, align [\d.]+, embed [\d.]+, decide [\d.]+ ms; of a simulated visitor",
        findings["latency"]["message"],
    )


@pytest.mark.usefixtures("models_directory")
def test_check_prints_what_helps_below_what_it_found(cli: Cli, tmp_path: Path) -> None:
    porch = cv2.cvtColor(draw_porch(320, 180, 1), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(tmp_path / "porch.png"), porch)
    settings = ["--set", f"camera.uri={tmp_path}", "--set", "chime.enabled=false"]

    told = cli("check", "--field-of-view", "110", *settings).stdout.splitlines()

    [found] = [line for line in told if line.startswith("ok  camera")]
    assert found.endswith("17 pixels wide at 1 m, 9 at 2 m, 6 at 3 m (with 110 degrees of view)")
    below = told[told.index(found) + 1]
    assert below.startswith("             faces are recognized up to 1.0 metres away")


@pytest.mark.system
def test_the_installed_command_ends_with_the_code_of_its_error(storage: Path) -> None:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DOORBELL_CONFIG": str(storage / "doorbell.toml")}
        return subprocess.run(
            [DOORBELL, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    (storage / "doorbell.toml").write_text(f'storage.directory = "{storage}"\n')
    listed = call("people", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert len(json.loads(listed.stdout)) == 2
    forgotten = call("people", "forget", "Ana")
    assert forgotten.returncode == 2
    assert forgotten.stderr == "doorbell: nobody named 'Ana' is enrolled; did you mean Anna?\n"
    missing = call("models", "verify", "--set", f"inference.models_directory={storage}")
    assert missing.returncode == 3
    assert "doorbell models build" in missing.stderr


def test_replies_are_asked_of_the_doorbell_that_runs(cli: Cli, tmp_path: Path) -> None:
    recording = tmp_path / "back.wav"
    recording.write_bytes(b"RIFF")
    for words in (
        ("list",),
        ("say", "coming"),
        ("add", str(recording)),
        ("rename", "recording-0a1b2c3d", "Back"),
        ("delete", "--yes", "recording-0a1b2c3d"),
    ):
        told = cli("reply", *words)
        assert told.exit_code == 3
        assert "the doorbell is not running" in told.stderr
    missing = cli("reply", "add", str(tmp_path / "none.wav"))
    assert (missing.exit_code, "check the path" in missing.stderr) == (2, True)
    kept = cli("reply", "delete", "recording-0a1b2c3d", typed="n\n")
    assert kept.exit_code == 1
