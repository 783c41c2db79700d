"""How a process is told to stop by a signal.

A signal's handler may come in the middle of another one, on the same thread. An event of
``threading`` takes a lock to be set, for which the second would wait for ever; a flag takes none.
"""

from __future__ import annotations


class Stop:
    """A flag that is set once, by a signal's handler or from any thread, and looked at in turns."""

    def __init__(self) -> None:
        self._asked = False

    def set(self) -> None:
        """Ask to stop."""
        self._asked = True

    def is_set(self) -> bool:
        """Whether somebody has asked."""
        return self._asked
