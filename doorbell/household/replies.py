"""The household's quick replies: which there are, and recordings to add, rename and delete."""

from __future__ import annotations

from doorbell.domain import Reply
from doorbell.household.sound_worker import SoundWorker
from doorbell.outputs.sound.reply_library import (
    LONGEST_LABEL,
    MOST_RECORDINGS,
    ReplyLibrary,
    clean_label,
)
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, wav_of

__all__ = ["LONGEST_LABEL", "LONGEST_SECONDS", "MOST_RECORDINGS", "Replies"]


class Replies:
    """What people ask for of replies; from any thread.

    Args:
        library: where they are.
        worker: reads recordings that anybody may have sent; used and closed by this.
    """

    def __init__(self, library: ReplyLibrary, worker: SoundWorker) -> None:
        self._library = library
        self._worker = worker

    def close(self) -> None:
        """End what reads recordings; idempotent."""
        self._worker.close()

    def all(self) -> tuple[Reply, ...]:
        """Every reply, built-in ones first."""
        return self._library.replies()

    def wav(self, reply_id: str) -> bytes:
        """What a reply sounds like, as a WAV file.

        Raises:
            UsageError: there is none of that identifier.
            SoundError: it cannot be read or spoken.
        """
        return wav_of(self._library.load(reply_id))

    def add(self, label: str, content: bytes) -> Reply:
        """Keep a recording.

        Args:
            label: what people are shown.
            content: of its file, whatever that is.

        Raises:
            UsageError: there are too many, another one has the label, or it cannot be shown.
            SoundError: it is no recording, is too long, or cannot be kept.
        """
        clean_label(label)  # before it is decoded
        return self._library.add(label, self._worker.decode(content))

    def rename(self, reply_id: str, label: str) -> Reply:
        """Give a recording another label: see ``ReplyLibrary``."""
        return self._library.rename(reply_id, label)

    def delete(self, reply_id: str) -> Reply:
        """Delete a recording: see ``ReplyLibrary``."""
        return self._library.delete(reply_id)
