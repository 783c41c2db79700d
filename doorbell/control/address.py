"""Where the control socket is: a path that may be longer than a socket's address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# sun_path of unix(7), with its zero.
_ADDRESS_BYTES = 108


@contextmanager
def at_address(path: Path) -> Iterator[str]:
    """The address of a socket at a path, for the time of binding or connecting.

    Raises:
        OSError: its folder is out of reach.
    """
    if len(os.fsencode(path)) < _ADDRESS_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
