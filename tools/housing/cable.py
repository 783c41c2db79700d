"""The network between a machine and the servers, which can be cut: a network namespace and a cable.

Takes root and iproute2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType

from typing_extensions import Self

# Of the servers, and of the machine at the other end.
NEAR, FAR = "10.213.78.1", "10.213.78.2"


def lacking() -> str | None:
    """Why no network can be cut here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "takes root and iproute2"
    probe = f"building{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], check=False, capture_output=True)
    if made.returncode:
        return f"no network namespace: {made.stderr.decode().strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


class Cable:
    """A network of its own for a machine, as a context manager.

    Attributes:
        enter: a command that leads into it.
    """

    def __init__(self) -> None:
        self._network, self._end = f"building{os.getpid()}", f"door{os.getpid()}"
        self.enter = ("ip", "netns", "exec", self._network)

    def __enter__(self) -> Self:
        _ip("netns", "add", self._network)
        _ip(
            "link", "add", self._end, "type", "veth", "peer", "name", "eth0", "netns", self._network
        )
        _ip("addr", "add", f"{NEAR}/30", "dev", self._end)
        _ip("link", "set", self._end, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{FAR}/30", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            _ip("-netns", self._network, *words)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A network takes its cable along, but only when the kernel gets round to it.
        for words in (("link", "del", self._end), ("netns", "del", self._network)):
            subprocess.run(["ip", *words], check=False, capture_output=True)

    def cut(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        _ip("-netns", self._network, "link", "set", "eth0", "down")

    def mend(self) -> None:
        """Let everything through again."""
        _ip("-netns", self._network, "link", "set", "eth0", "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
