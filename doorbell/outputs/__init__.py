"""Where events go: sound, home automation, the disk, the terminal."""

from typing import Protocol

from doorbell.domain import Event


class Output(Protocol):
    """Something that reacts to events."""

    def handle(self, event: Event) -> None:
        """Hand the event off; never waits and never raises."""

    def close(self) -> None:
        """Finish what is in hand within a bounded time and release everything; idempotent."""
