"""What people have set: the file of it, as a disk or somebody with a shell may have left it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from doorbell.domain import CHIME_NAMES
from doorbell.settings import Settings, SettingsFile
from fuzzing import scratch

MAX_BYTES = 12_000
MAX_SECONDS = 1.0


def seeds() -> Iterator[bytes]:
    """Give every setting values that it takes, and others."""
    yield b""
    yield b"[" * 9000
    for key in Settings.model_fields:
        values: tuple[object, ...] = (True, None, 0.5, 1e11, -1, "gong", "../x", [], {}, 10**400)
        for value in (*values, float("nan")):
            yield json.dumps({key: value}).encode()
    yield Settings(muted=True, muted_until=1e9, volume=0.5, privacy=True).model_dump_json().encode()


def check(content: bytes) -> None:
    """Read it; whatever it is, what comes of it is within bounds and can be kept."""
    path = scratch() / "settings.json"
    path.write_bytes(content)
    file = SettingsFile(path)
    settings = file.read()
    if settings.volume is not None and not 0.0 <= settings.volume <= 1.0:
        raise AssertionError(f"a volume of {settings.volume}")
    if settings.default_chime not in (None, *CHIME_NAMES):
        raise AssertionError(f"a chime {settings.default_chime!r}")
    file.write(settings)
    if file.read() != settings:
        raise AssertionError(f"{settings} is read as {file.read()}")
