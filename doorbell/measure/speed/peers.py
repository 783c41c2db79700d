"""This end of the peers: one process each, asked for one call at a time.

The picture is handed over in memory that all processes share; nothing is timed here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from doorbell.config import InferenceSection
from doorbell.domain import Float32Array, UInt8Array
from doorbell.errors import DoorbellError, UsageError
from doorbell.measure.speed import peer_process as peer_script
from doorbell.measure.speed.peer_environment import environment_python
from doorbell.models.build import fetch_baseline
from doorbell.models.store import models_directory, network_files

PeerName = Literal["mediapipe", "opencv", "naive"]
PEER_NAMES: tuple[PeerName, ...] = get_args(PeerName)

# Its last release with the Python interface to face detection that its users know.
MEDIAPIPE = "mediapipe==0.10.14"
MEDIAPIPE_SIZE = "about 1 GB"

TITLES: Mapping[tuple[str, str], str] = {
    ("mediapipe", "faces, short range"): "MediaPipe, short range",
    ("mediapipe", "faces, full range"): "MediaPipe, full range",
    ("opencv", "faces"): "OpenCV YuNet",
    ("opencv", "name"): "OpenCV YuNet + SFace",
    ("opencv", "embed"): "OpenCV SFace",
    ("naive", "faces"): "naive, ONNX Runtime",
    ("naive", "embed"): "ONNX Runtime SFace",
}
# What a call runs on; MediaPipe's graph infers on one thread, and so does naive detection.
ONE_THREAD = {"MediaPipe, short range", "MediaPipe, full range", "naive, ONNX Runtime"}

LARGEST_FRAME_BYTES = 3840 * 2160 * 3
# Memory that is a file: no disk where the system has it.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the system's own place; files there are ours alone
LAST_LINES = 4


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """Of one call.

    Attributes:
        milliseconds: that the call took, the handing over left out.
        boxes_xyxy: (n, 4) float32, faces in pixels.
        vector: (128,) float32 of any length; None where none was asked for.
    """

    milliseconds: float
    boxes_xyxy: Float32Array
    vector: Float32Array | None


class SharedPicture:
    """One picture at a time, in memory that peers read."""

    def __init__(self) -> None:
        place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
        self._file = tempfile.NamedTemporaryFile(dir=place, prefix="doorbell-bench-")  # noqa: SIM115 - closed by close
        self._file.truncate(LARGEST_FRAME_BYTES)
        self.path = Path(self._file.name)
        self._memory = np.memmap(self.path, np.uint8, mode="r+")
        self._shape: tuple[int, ...] = (0, 0, 3)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the picture that lies there."""
        return self._shape

    def write(self, pixels: UInt8Array) -> None:
        """Replace the picture: (height, width, 3) uint8."""
        self._shape = pixels.shape
        self._memory[: pixels.size] = pixels.reshape(-1)

    def read(self) -> UInt8Array:
        """Return a copy of the picture, as every peer takes one."""
        size = int(np.prod(self._shape))
        return np.array(self._memory[:size]).reshape(self._shape)

    def close(self) -> None:
        """Delete it; idempotent."""
        self._file.close()


class Peer:
    """A peer's process.

    Attributes:
        name: one of ``PEER_NAMES``.
        calls: what can be asked of it.
        versions: of its packages.
    """

    def __init__(
        self, name: PeerName, python: Path, picture: SharedPicture, settings: Mapping[str, object]
    ) -> None:
        self.name = name
        self._picture = picture
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close
        script = str(peer_script.__file__)
        self._process = subprocess.Popen(
            [str(python), "-I", script, name, str(picture.path), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        try:
            hello = self._answer()
        except UsageError:
            self.close()
            raise
        self.calls: tuple[str, ...] = tuple(hello["calls"])
        self.versions: Mapping[str, str] = hello["versions"]

    def ask(self, call: str) -> Answer:
        """Let it do one call on the picture that lies there.

        Raises:
            UsageError: its process has ended.
        """
        assert self._process.stdin is not None  # noqa: S101 - asked for with PIPE
        request = {"call": call, "shape": self._picture.shape}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        found = self._answer()
        vector = found.get("vector")
        return Answer(
            float(found["ms"]),
            np.array(found.get("boxes", []), np.float32).reshape(-1, 4),
            None if vector is None else np.array(vector, np.float32),
        )

    def close(self) -> None:
        """End the process; idempotent."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._complaints.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - asked for with PIPE
        line = self._process.stdout.readline()
        if not line:
            self._complaints.seek(0)
            last = "\n".join(self._complaints.read().splitlines()[-LAST_LINES:])
            raise UsageError(f"the peer {self.name} has ended:\n{last}\nleave it out of --against")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def open_peers(
    names: Sequence[PeerName],
    section: InferenceSection,
    picture: SharedPicture,
    *,
    threads: int,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> Iterator[list[Peer]]:
    """Start peers; one that cannot be had is left out.

    Args:
        names: which.
        section: says where the networks are that some of them share with the product.
        picture: what they look at.
        threads: that they may use, as the product does.
        say: told what is being done, and before anything is fetched.
        warn: told which peer is left out, and why.
    """
    with ExitStack() as stack:
        peers = []
        for name in names:
            say(f"starting {name}")
            try:
                python, settings = _prepare(name, section, threads, say, warn)
                peer = Peer(name, python, picture, settings)
            except DoorbellError as exc:
                warn(f"without {name}: {exc}")
                continue
            peers.append(stack.enter_context(closing(peer)))
        yield peers


def _prepare(
    name: PeerName,
    section: InferenceSection,
    threads: int,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> tuple[Path, dict[str, object]]:
    """Its Python, and what it is told."""
    match name:
        case "mediapipe":
            return environment_python(MEDIAPIPE, MEDIAPIPE_SIZE, warn), {}
        case "opencv":
            yunet = fetch_baseline(
                "yunet", models_directory(section), progress=lambda work, *_: say(work)
            )
            sface = network_files("sface", section).float32
            return Path(sys.executable), {
                "threads": threads,
                "yunet": str(yunet),
                "sface": str(sface),
            }
        case "naive":
            if find_spec("onnxruntime") is None:
                raise UsageError(
                    "ONNX Runtime is not installed: `pip install '.[bench]'` in the checkout"
                )
            return Path(sys.executable), {
                "threads": threads,
                "blazeface": str(network_files("blazeface_short", section).float32),
                "sface": str(network_files("sface", section).float32),
            }
