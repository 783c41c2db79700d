"""Style and scripts: files of the package, held in memory.

All lie under one name that is made of the content of all, so that a module's own imports lead to
files of the same version, and a browser may keep them for good.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFiles:
    """What may be fetched, by name, and the version in every address."""

    version: str
    contents: dict[str, bytes]


@lru_cache(maxsize=1)
def static_files() -> StaticFiles:
    """Read the files, once."""
    contents = {
        path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES
    }
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return StaticFiles(digest.hexdigest()[:12], contents)


def static_path(name: str) -> str:
    """Where a file is, below the prefix of the console.

    Raises:
        KeyError: there is no such file.
    """
    files = static_files()
    _ = files.contents[name]
    return f"/static/{files.version}/{name}"
