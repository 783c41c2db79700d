"""The way to the daemon, from the console's event loop."""

from __future__ import annotations

from pathlib import Path


class Doorbell:
    """The running doorbell.

    Args:
        socket: its control socket.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
