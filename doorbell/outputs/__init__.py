"""Where messages go: sound, home automation, the disk, the terminal.

A sink takes every message of the one bus and ignores what it does not care about. What it has to
tell itself (the sound failed, pictures cannot be kept) it publishes as a state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # the player's process passes here and has no use for the arrays of domain
    from doorbell.domain import Frame, Track, Visit
    from doorbell.status import Message, State

Publish: TypeAlias = "Callable[[State], None]"
"""Takes a state from any thread, for every sink to hear; never waits."""


class Sink(Protocol):
    """Something that reacts to events and states."""

    def handle(self, message: Message) -> None:
        """Hand the message off; on the main thread, never waits and never raises."""

    def close(self) -> None:
        """Finish what is in hand within a bounded time and release everything; idempotent."""


@runtime_checkable
class FrameSink(Sink, Protocol):
    """A sink that shows frames as well."""

    def show(
        self,
        frame: Frame,
        in_sight: Callable[[], Sequence[tuple[Track, Visit | None]]],
        door_id: str,
    ) -> None:
        """Hand a frame off; on the main thread, never waits and never raises.

        Args:
            frame: which the pipeline has taken in; its pixels are soon overwritten.
            in_sight: tells every live track, with the open visit that it belongs to.
            door_id: of the door that it shows.
        """


def publish_nowhere(_state: State) -> None:
    """Publish to nobody: a sink by itself."""
