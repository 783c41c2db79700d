"""The directory of built models: its record, and network files that are not what was built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from doorbell.config import InferenceSection
from doorbell.errors import ModelError
from doorbell.models.store import RECORD_NAME, network_files, network_path
from fuzzing import scratch

MAX_BYTES = 1024
MAX_SECONDS = 1.0

NETWORK = "sface"
ORIGINAL = b"\x08\x08\x12\x08doorbell" + bytes(range(64))


def seeds() -> Iterator[bytes]:
    """Begin with the file as it was built, with others, and with records right and wrong."""
    yield b"\x00" + ORIGINAL
    for cut in (0, 1, 40):
        yield b"\x00" + ORIGINAL[:cut]
    yield b"\x00" + ORIGINAL + b"\0"
    record = _record()
    yield b"\x01" + json.dumps(record).encode()
    other: dict[str, object] = {NETWORK: {**record[NETWORK], "files": {"../x": "0"}}}
    wrong: object
    for wrong in ({}, [], {NETWORK: {}}, other):
        yield b"\x01" + json.dumps(wrong).encode()
    yield b"\x01" + b"[" * 900
    yield b"\x01{" + b'"a":' + b"9" * 900 + b"}"


def check(content: bytes) -> None:
    """Lay it down as a network or as the record, which the first byte says, and ask for it."""
    directory = scratch()
    as_record = bool(content[:1]) and content[0] % 2 == 1
    network = ORIGINAL if as_record else content[1:]
    record = content[1:] if as_record else json.dumps(_record()).encode()
    network_path(directory, NETWORK, "float32").write_bytes(network)
    (directory / RECORD_NAME).write_bytes(record)
    try:
        files = network_files(NETWORK, InferenceSection(models_directory=directory))
    except ModelError as exc:
        if network == ORIGINAL and not as_record:
            raise AssertionError("the network as it was built is refused") from exc
        return
    if files.float32.read_bytes() != ORIGINAL:
        raise AssertionError("an altered network is taken")


def _record() -> dict[str, dict[str, object]]:
    sha256 = hashlib.sha256(ORIGINAL).hexdigest()
    return {NETWORK: {"source_sha256": "0" * 64, "recipe": "1" * 64, "files": {"float32": sha256}}}
