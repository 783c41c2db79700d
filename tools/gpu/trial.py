"""Tries the doorbell on a bare machine with an NVIDIA GPU, without a network.

Beforehand, on a machine with a network, in a checkout that is set up:

    .venv/bin/python tools/gpu-trial prepare PIECES --python 3.12

Then, with this checkout and the pieces carried there (CUDA 13, its compiler and gcc, Python 3.12
with its headers):

    tools/gpu-trial run PIECES

It takes each step within its own limit, goes on after one that fails, ends within --minutes and
says what is left; run it again for that. The report is PIECES/report.json and PIECES/report.txt.
Exit codes: 0 all has passed, 1 something has not, 4 steps are left.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from gpu.bundle import CHECKOUT, BundleError, join, prepare

SHOWN_CHARACTERS = 6000


@dataclass(frozen=True)
class Step:
    """One step of the trial.

    Attributes:
        name: for the report.
        seconds: it may take.
        command: what it does, in the checkout.
    """

    name: str
    seconds: float
    command: list[str]


def steps(folder: Path, python: str, growth_seconds: float) -> list[Step]:
    """What is done, in order."""
    work = folder / "work"
    own = str(work / "venv" / "bin" / "python")
    this = [python, str(CHECKOUT / "tools" / "gpu-trial")]
    doorbell = [own, "-c", "from doorbell.cli import main; main()"]
    tests = ["tests/contract/test_runner.py", "--noconftest", "-p", "gpu.contract_fixtures"]
    require = "from doorbell.inference.tensorrt import require_gpu; print(require_gpu())"
    return [
        Step("machine", 20, [*this, "machine"]),
        Step("join", 90, [*this, "join", str(folder)]),
        Step("environment", 150, [*this, "environment", str(folder)]),
        Step("what comes as source", 60, [*this, "source", str(folder), "tensorrt", "sdnotify"]),
        Step("pycuda", 300, [*this, "source", str(folder), "pycuda"]),
        Step("the GPU as TensorRT sees it", 60, [own, "-c", require]),
        Step("engines", 300, [*doorbell, "models", "build", "--no-portraits", "--engine"]),
        Step("check", 240, [*doorbell, "check", "--gpu", "--report", str(folder / "check")]),
        Step("contract", 180, [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]),
        Step("regions", 60, [own, "tools/gpu/steps.py", "regions"]),
        Step(
            "growth",
            growth_seconds + 60,
            [own, "tools/gpu/steps.py", "growth", str(growth_seconds)],
        ),
    ]


def run(folder: Path, python: str, minutes: float, growth_seconds: float) -> int:
    """Take the steps that are not in the report yet; the exit code."""
    began, path = time.monotonic(), folder / "report.json"
    report = json.loads(path.read_text("utf-8")) if path.exists() else {"steps": []}
    done = {each["name"] for each in report["steps"]}
    left = [each for each in steps(folder, python, growth_seconds) if each.name not in done]
    while left:
        rest = began + minutes * 60 - time.monotonic()
        if rest < left[0].seconds and len(done) != len(report["steps"]):
            break  # what was done in this run counts; the next run has its time again
        report["steps"].append(take(left.pop(0), folder, rest))
        report["at"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        report["passed"] = not left and all(each["passed"] for each in report["steps"])
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        (folder / "report.txt").write_text(in_words(report), encoding="utf-8")
    say(f"left: {', '.join(each.name for each in left)}" if left else "all steps are taken")
    return 4 if left else 0 if report["passed"] else 1


def take(step: Step, folder: Path, rest_seconds: float) -> dict[str, object]:
    """Take a step; what the report says of it."""
    say(f"{step.name} ...")
    variables = {
        **os.environ,
        "DOORBELL_MODELS_DIRECTORY": str(folder / "work" / "models"),
        "PATH": f"/usr/local/cuda/bin:{os.environ.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join(str(CHECKOUT / each) for each in ("", "tools", "tests")),
        "PYTHONUNBUFFERED": "1",
        "XDG_CACHE_HOME": str(folder / "work" / "cache"),
    }
    began, limit = time.monotonic(), max(1.0, min(step.seconds, rest_seconds))
    with tempfile.TemporaryFile() as written:
        code = end_within(limit, step.command, variables, written)
        written.seek(0)
        said = written.read()
    seconds = time.monotonic() - began
    text = said.decode("utf-8", "replace")[-SHOWN_CHARACTERS:].strip()
    how = "passed" if code == 0 else f"ended with {code}" if code is not None else "did not end"
    say(f"  {how} after {seconds:.1f} s")
    return {
        "name": step.name,
        "passed": code == 0,
        "how": how,
        "seconds": round(seconds, 1),
        "limit_seconds": round(limit),
        "said": text,
    }


def end_within(
    seconds: float, command: list[str], variables: dict[str, str], output: IO[bytes]
) -> int | None:
    """Run a command for so long at most; its exit code, None if it had to be ended."""
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def in_words(report: dict[str, Any]) -> str:
    """The report as text."""
    lines = [f"Doorbell on a GPU, {report['at']}", ""]
    for each in report["steps"]:
        lines.append(f"{each['name']}: {each['how']} after {each['seconds']} s")
        lines += [f"    {line}" for line in str(each["said"]).splitlines()]
    return "\n".join(lines) + "\n"


def machine() -> int:
    """Say what this machine is; 1 without a GPU that its driver shows."""
    say(f"Python {sys.version}")
    shown = 1
    for command in (
        ["uname", "-srm"],
        ["nvidia-smi"],
        ["nvcc", "--version"],
        ["gcc", "--version"],
    ):
        if shutil.which(command[0]) is None:
            say(f"{command[0]} is not here")
            continue
        ended = subprocess.run(command, check=False)
        if command[0] == "nvidia-smi":
            shown = ended.returncode
    return shown


def environment(folder: Path) -> int:
    """Make the environment, without a network: pip itself is carried along."""
    work = folder / "work"
    subprocess.run(
        [sys.executable, "-m", "venv", "--clear", "--without-pip", work / "venv"], check=True
    )
    return install(work, sorted(work.glob("wheels/*.whl")))


def source(folder: Path, names: list[str]) -> int:
    """Build what came as source and begins with one of these names."""
    work = folder / "work"
    found = [each for name in names for each in sorted(work.glob(f"wheels/{name}*.tar.gz"))]
    return install(work, found) if found else 1


def install(work: Path, files: list[Path]) -> int:
    """Install these files and nothing else; pip's exit code."""
    [pip] = work.glob("wheels/pip-*.whl")
    command = [
        str(work / "venv" / "bin" / "python"),
        f"{pip}/pip",
        "install",
        "--no-index",
        "--no-deps",
    ]
    command += ["--no-build-isolation", "--no-compile", "--disable-pip-version-check"]
    ended = subprocess.run([*command, *map(str, files)], check=False)
    return ended.returncode


def say(text: str) -> None:
    """Print it at once."""
    print(text, flush=True)  # noqa: T201 - what it is for


def main() -> int:
    """Do what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(
        prog="gpu-trial", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = verbs.add_parser("prepare", help="fetch everything, and write it in pieces")
    made.add_argument("folder", type=Path)
    made.add_argument("--python", default="3.12", help="of the other machine")
    made.add_argument("--models", type=Path, default=CHECKOUT / "models" / "built")
    made.add_argument("--piece-megabytes", type=int, default=60)
    taken = verbs.add_parser("run", help="take the steps, and write the report")
    taken.add_argument("folder", type=Path)
    taken.add_argument("--python", default=sys.executable)
    taken.add_argument("--minutes", type=float, default=9.5, help="for one command")
    taken.add_argument("--growth-seconds", type=float, default=180.0)
    verbs.add_parser("machine", help="a step: say what this machine is")
    for name in ("join", "environment", "source"):
        step = verbs.add_parser(name, help="a step of run")
        step.add_argument("folder", type=Path)
        if name == "source":
            step.add_argument("names", nargs="+")
    options = parser.parse_args()
    try:
        match options.verb:
            case "prepare":
                size = options.piece_megabytes * 1_000_000
                prepare(options.folder.resolve(), options.models, options.python, size)
            case "run":
                folder = options.folder.resolve()
                return run(folder, options.python, options.minutes, options.growth_seconds)
            case "machine":
                return machine()
            case "join":
                say(join(options.folder, options.folder / "work"))
            case "environment":
                return environment(options.folder)
            case "source":
                return source(options.folder, options.names)
    except BundleError as exc:
        say(f"gpu-trial: {exc}")
        return 1
    return 0
