"""Secrets: read out of files, and kept out of every text that is shown.

A path that begins with ``$CREDENTIALS_DIRECTORY`` is a credential that systemd passes to the
service (``LoadCredential=``); see https://systemd.io/CREDENTIALS.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path

from doorbell.errors import ConfigError

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
# User and password before the host may hold anything: up to the last @ of the line, or before
# a quote at the edge of a word. Rather too much is hidden than too little.
_BEFORE_A_HOST = re.compile(r"://(?:[^\"'\n]|(?<=\S)[\"'](?=\S))*@")
# As makers of cameras and GStreamer's sources name them, in a query or in a path of their own.
_NAMED = re.compile(
    r"((?:user|usr|login|pass|pwd|psw|pw|auth|token|key|secret|account)[a-z0-9_-]*=)"
    r"(\"[^\"]*\"|'[^']*'|[^\s&]+)",
    re.IGNORECASE,
)

log = logging.getLogger(__name__)


def without_credentials(text: str) -> str:
    """Hide user names and passwords of the addresses in a text, so that it can be shown."""
    return _NAMED.sub(r"\1***", _BEFORE_A_HOST.sub("://***@", text))


def secret_path(key: str, path: Path) -> Path:
    """Find a file that holds a secret.

    Args:
        key: of the configuration, for messages.
        path: its value.

    Raises:
        ConfigError: it is a credential of systemd, and none were passed to this process.
    """
    if path.parts[:1] != (f"${CREDENTIALS_VARIABLE}",):
        return path
    directory = os.environ.get(CREDENTIALS_VARIABLE)
    if directory is None:
        raise ConfigError(
            f"{key} = '{path}': systemd has passed no credentials to this process; it passes those "
            "of LoadCredential= to the service alone (systemctl edit doorbell)"
        )
    return Path(directory, *path.parts[1:])


def read_secret(key: str, path: Path) -> str:
    """Read a secret of one line, such as a password.

    A file that others may read as well is read, with a warning in the log.

    Args:
        key: of the configuration, for messages.
        path: its value.

    Raises:
        ConfigError: it cannot be read, or holds no text.
    """
    found = secret_path(key, path)
    try:
        secret = found.read_text("utf-8-sig").rstrip("\r\n")
    except OSError as exc:
        # A word alone is no path but, most likely, the secret itself.
        named = found if len(path.parts) > 1 else "the file that it names"
        raise ConfigError(
            f"{key}: cannot read {named}: {exc.strerror}; check its path and owner"
        ) from exc
    except UnicodeDecodeError:
        secret = ""
    if not secret.strip():
        # Without the cause: it would show what the file holds.
        raise ConfigError(f"{key}: {found} holds no password or address in UTF-8 text")
    if found == path:  # systemd looks after its own
        warn_of_readers(key, path)
    return secret


def warn_of_readers(key: str, path: Path) -> None:
    """Say it in the log where more than the daemon's user and group may read a secret."""
    status = path.stat()
    if status.st_mode & stat.S_IROTH:
        readers, whose = "everybody", "o"
    # Where root owns the file its group is the daemon's: the service is set up so.
    elif status.st_mode & stat.S_IRGRP and _foreign(status.st_gid):
        readers, whose = "a group", "g"
    else:
        return
    log.warning(
        "%s: %s on this machine can read %s; take that away with: chmod %s= %s",
        *(key, readers, path, whose, path),
    )


def _foreign(group: int) -> bool:
    return os.geteuid() != 0 and group != os.getegid()
