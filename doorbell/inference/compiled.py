"""Where OpenVINO keeps what it compiled: whole or not at all.

OpenVINO writes there in place, and weights of which a power cut or another process left half would
be taken for whole ones: so it writes beside, and what it wrote is on the disk before it gets its
name.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from doorbell.storage.files import sync

log = logging.getLogger(__name__)


@contextmanager
def kept_compilation(network: Path, manner: str, directory: Path | None) -> Iterator[Path | None]:
    """Say where OpenVINO is to look for a compiled network, and keep what it writes there.

    Args:
        network: ONNX file; another one of the same name takes the place of this one.
        manner: whatever else the compilation depends on, fit for a file's name.
        directory: keeps many networks; None for the user's cache.

    Yields:
        A directory for this network alone; None where nothing can be kept.
    """
    try:
        root = directory or _user_cache()
        kept = root / f"{network.stem}.{manner}-{_key(network)}"
        if kept.is_dir():
            yield kept
            return
        root.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".", dir=root))
    except (OSError, RuntimeError) as exc:  # read-only, full, or a user without a home
        log.info("%s is compiled at every start: %s", network.name, exc)
        yield None
        return
    try:
        yield beside
        _keep(beside, kept)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _keep(beside: Path, kept: Path) -> None:
    try:
        if kept.exists() or not any(beside.iterdir()):
            return  # another process was first, or OpenVINO kept nothing
        for path in (*beside.iterdir(), beside):
            sync(path)
        for outdated in kept.parent.glob(f"{kept.name.rpartition('-')[0]}-*"):
            shutil.rmtree(outdated, ignore_errors=True)
        beside.rename(kept)
    except OSError as exc:  # full, or another process was as fast
        log.info("%s is not kept: %s", kept, exc)


def _key(network: Path) -> str:
    state = network.stat()
    words = (str(network.absolute()), state.st_size, state.st_mtime_ns, version("openvino"))
    return hashlib.sha256(repr(words).encode()).hexdigest()[:16]


def _user_cache() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification says to pass over a path that is not absolute.
    home = named if named.is_absolute() else Path("~/.cache").expanduser()
    return home / "doorbell" / "networks"
