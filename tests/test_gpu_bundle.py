"""What is carried to a machine with a GPU: whole or refused; and steps that hang leave the next."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gpu.bundle import BundleError, chosen, join, write_pieces
from gpu.trial import Step, take

from doorbell.testbed.waiting import eventually

PIECE_BYTES = 5000


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    wheels, models, folder = (tmp_path / each for each in ("wheels", "models", "pieces"))
    for made in (wheels, models, folder, models / "faces"):
        made.mkdir()
    (wheels / "a-1-py3-none-any.whl").write_bytes(bytes(range(256)) * 40)
    (models / "a.onnx").write_bytes(b"network")
    (models / "built.json").write_text("{}")
    (models / "faces" / "a.jpg").write_bytes(b"face")
    write_pieces(folder, wheels, models, "3.12", PIECE_BYTES)
    return folder


def test_what_was_carried_in_pieces_is_whole_again(pieces: Path, tmp_path: Path) -> None:
    carried = sorted(pieces.glob("piece-*"))
    assert len(carried) > 2
    assert all(piece.stat().st_size <= PIECE_BYTES for piece in carried)
    assert join(pieces, tmp_path / "work") == f"{len(carried)} pieces: 1 packages for Python 3.12"
    whole = tmp_path / "work"
    assert (whole / "wheels" / "a-1-py3-none-any.whl").read_bytes() == bytes(range(256)) * 40
    assert (whole / "models" / "a.onnx").read_bytes() == b"network"
    assert (whole / "models" / "faces" / "a.jpg").read_bytes() == b"face"


def test_a_piece_that_is_damaged_or_missing_is_named(pieces: Path, tmp_path: Path) -> None:
    piece = pieces / "piece-01"
    content = piece.read_bytes()
    piece.write_bytes(b"x" + content[1:])
    with pytest.raises(BundleError, match=r"piece-01 has the hash .*carry it again"):
        join(pieces, tmp_path / "work")
    piece.unlink()
    with pytest.raises(BundleError, match=r"piece-01 is missing; carry all"):
        join(pieces, tmp_path / "work")


def test_each_package_is_in_one_lock_s_version_with_its_hashes() -> None:
    packages = chosen()
    assert {"numpy", "openvino", "pip", "pycuda", "pytest", "tensorrt-rtx-cu13-libs"} <= set(
        packages
    )
    for entry in packages.values():
        assert all(" --hash=sha256:" in line for line in entry.splitlines())


def test_a_step_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    program = "echo began; sleep 60 & echo $! >$0; wait"
    step = Step("hangs", 2.0, ["sh", "-c", program, str(tmp_path / "child")])
    began = time.monotonic()
    found = take(step, tmp_path, rest_seconds=60)
    assert time.monotonic() - began < 30
    assert (found["passed"], found["how"], found["said"]) == (False, "did not end", "began")
    left = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")

    def is_over() -> bool:
        try:
            return left.read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    assert eventually(is_over)


def test_the_trial_goes_on_after_a_step_that_fails(tmp_path: Path) -> None:
    """Without pieces nothing can pass, and every step is in the report with what it said."""
    command = [sys.executable, "tools/gpu-trial", "run", str(tmp_path), "--growth-seconds", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["steps"]) == 11
    assert not report["passed"]
    said = {each["name"]: each["said"] for each in report["steps"]}
    assert "manifest.json" in said["join"]
    assert "growth: " in (tmp_path / "report.txt").read_text()
