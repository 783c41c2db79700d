"""Where events go: sound, home automation, the disk, the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the player's process passes here and has no use for the arrays of domain
    from doorbell.domain import Event


class Output(Protocol):
    """Something that reacts to events."""

    def handle(self, event: Event) -> None:
        """Hand the event off; never waits and never raises."""

    def close(self) -> None:
        """Finish what is in hand within a bounded time and release everything; idempotent."""
