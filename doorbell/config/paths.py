"""Paths that a person has written."""

from __future__ import annotations

from pathlib import Path

from doorbell.errors import ConfigError


def expand(path: str | Path) -> Path:
    """Replace ``~`` with the user's home directory.

    Raises:
        ConfigError: there is none, as of a user without an entry in passwd and ``$HOME``.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as exc:
        raise ConfigError(
            f"{path} begins with ~, and there is no such home directory; write it in full"
        ) from exc
