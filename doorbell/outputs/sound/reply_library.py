"""Quick replies: built-in ones in the language of the house, and the household's recordings.

Recordings are WAV files for their owner alone, in a folder with an index of their names.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from doorbell.domain import Reply
from doorbell.errors import SoundError, UsageError
from doorbell.outputs import Publish, publish_nowhere
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, Sound, read_wav, wav_of
from doorbell.phrases import REPLIES, Language
from doorbell.status import RepliesState
from doorbell.storage.files import make_private_directory, open_regular, write_whole
from doorbell.text import is_control, unseen

MOST_RECORDINGS = 30
LONGEST_LABEL = 60
INDEX = "index.json"
MAX_INDEX_BYTES = 100_000
MEND = "restore it from a backup, or delete it"

Speak = Callable[[str, Language], Sound]

log = logging.getLogger(__name__)


class _Recording(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    reply_id: Annotated[str, Field(pattern=r"^recording-[0-9a-f]{8}$")]
    label: Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]
    seconds: Annotated[float, Field(gt=0.0, le=LONGEST_SECONDS, allow_inf_nan=False)]

    def reply(self) -> Reply:
        return Reply(self.reply_id, self.label, is_recording=True, seconds=self.seconds)


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    recordings: Annotated[tuple[_Recording, ...], Field(max_length=MOST_RECORDINGS)] = ()


class ReplyLibrary:
    """The replies that there are; used by any thread.

    Args:
        directory: where recordings are kept; made with the first one.
        language: of the house.
        speak: a text to its sound; raises SoundError.
        require_speech: raises SoundError where it surely cannot.
        publish: told which replies there are, now and whenever that changes.
    """

    def __init__(
        self,
        directory: Path,
        language: Language,
        *,
        speak: Speak,
        require_speech: Callable[[], None] = lambda: None,
        publish: Publish = publish_nowhere,
    ) -> None:
        self._directory = directory
        self._texts: Mapping[str, str] = REPLIES[language]
        self._language: Language = language
        self._speak = speak
        self._require_speech = require_speech
        self._publish = publish
        self._lock = threading.Lock()
        self._spoken: dict[str, Sound] = {}
        self._unreadable = False
        self._recordings = {each.reply_id: each for each in self._read().recordings}
        publish(RepliesState(self.replies()))

    def replies(self) -> tuple[Reply, ...]:
        """All of them, built-in ones first."""
        built_in = (Reply(reply_id, text) for reply_id, text in self._texts.items())
        return (*built_in, *(each.reply() for each in list(self._recordings.values())))

    def get(self, reply_id: str) -> Reply:
        """One of them.

        Raises:
            UsageError: there is none of that identifier.
        """
        for each in self.replies():
            if each.reply_id == reply_id:
                return each
        raise _missing(reply_id)

    def check(self, reply_id: str) -> Reply:
        """One of them, of which nothing is known that keeps it from being said; at once.

        Raises:
            UsageError: there is none of that identifier.
            SoundError: its file is gone, or nothing speaks here.
        """
        reply = self.get(reply_id)
        if reply.is_recording and not self._path(reply_id).is_file():
            raise SoundError(f"the recording {reply.label!r} has lost its file; delete it")
        if not reply.is_recording and reply_id not in self._spoken:
            self._require_speech()
        return reply

    def load(self, reply_id: str) -> Sound:
        """Its sound; a text is spoken the first time, which takes a moment.

        Raises:
            UsageError: there is none of that identifier.
            SoundError: it cannot be read or spoken.
        """
        reply = self.get(reply_id)
        if reply.is_recording:
            return read_wav(self._path(reply_id))
        if reply_id not in self._spoken:
            self._spoken[reply_id] = self._speak(reply.label, self._language)
        return self._spoken[reply_id]

    def add(self, label: str, sound: Sound) -> Reply:
        """Keep a recording.

        Raises:
            UsageError: there are too many, another one has the label, or it cannot be shown.
            SoundError: it is too long, or cannot be kept.
        """
        label = clean_label(label)
        if not 0 < sound.seconds <= LONGEST_SECONDS:
            raise SoundError(
                f"a recording of {sound.seconds:.0f} s, where {LONGEST_SECONDS:.0f} s are allowed; "
                "make it shorter"
            )
        with self._lock:
            self._require_readable()
            self._require_new(label)
            if len(self._recordings) >= MOST_RECORDINGS:
                raise UsageError(
                    f"there are {MOST_RECORDINGS} recordings already; delete one first"
                )
            seconds = round(sound.seconds, 2)
            kept = _Recording(
                reply_id=f"recording-{token_hex(4)}", label=label, seconds=max(seconds, 0.01)
            )
            try:
                make_private_directory(self._directory)
                write_whole(self._path(kept.reply_id), wav_of(sound), replace=False)
            except OSError as exc:
                raise SoundError(f"the recording cannot be kept: {exc.strerror}") from exc
            try:
                self._keep({**self._recordings, kept.reply_id: kept})
            except SoundError:
                with contextlib.suppress(OSError):
                    self._path(kept.reply_id).unlink()
                raise
        return kept.reply()

    def rename(self, reply_id: str, label: str) -> Reply:
        """Give a recording another label.

        Raises:
            UsageError: there is none of that identifier, it is a built-in one, another one has the
                label, or it cannot be shown.
            SoundError: it cannot be kept.
        """
        label = clean_label(label)
        with self._lock:
            self._require_new(label, reply_id)
            renamed = self._recording(reply_id).model_copy(update={"label": label})
            self._keep({**self._recordings, reply_id: renamed})
        return renamed.reply()

    def delete(self, reply_id: str) -> Reply:
        """Delete a recording.

        Raises:
            UsageError: there is none of that identifier, or it is a built-in one.
            SoundError: it cannot be deleted.
        """
        with self._lock:
            gone = self._recording(reply_id)
            self._keep({key: each for key, each in self._recordings.items() if key != reply_id})
            try:
                self._path(reply_id).unlink(missing_ok=True)
            except OSError as exc:
                raise SoundError(f"the file of {gone.label!r} stays: {exc.strerror}") from exc
        return gone.reply()

    def _require_readable(self) -> None:
        """Look again at an index that could not be read, lest another one takes its place.

        Raises:
            SoundError: it still cannot.
        """
        if self._unreadable:
            self._unreadable = False
            self._recordings = {each.reply_id: each for each in self._read().recordings}
            if self._unreadable:
                raise SoundError(f"{self._directory / INDEX} cannot be read; {MEND}")

    def _recording(self, reply_id: str) -> _Recording:
        if reply_id in self._texts:
            raise UsageError(f"{reply_id!r} is built in; only recordings are renamed or deleted")
        if reply_id not in self._recordings:
            raise _missing(reply_id)
        return self._recordings[reply_id]

    def _require_new(self, label: str, reply_id: str = "") -> None:
        """Labels tell replies apart in home automation's list.

        Raises:
            UsageError: another one has it.
        """
        for each in self.replies():
            if each.reply_id != reply_id and label.casefold() in (
                each.label.casefold(),
                each.reply_id,  # both say which one is meant
            ):
                raise UsageError(f"there is a reply {label!r} already; give it another name")

    def _path(self, reply_id: str) -> Path:
        return self._directory / f"{reply_id}.wav"

    def _read(self) -> _Index:
        try:
            with open_regular(self._directory / INDEX, MAX_INDEX_BYTES) as file:
                return _Index.model_validate_json(file.read())
        except FileNotFoundError:
            return _Index()
        except (OSError, ValidationError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not of its form"
            log.warning(
                "no recorded reply can be said: %s: %s; %s", self._directory / INDEX, reason, MEND
            )
            self._unreadable = True
            return _Index()

    def _keep(self, recordings: dict[str, _Recording]) -> None:
        """Take these from now on, and tell it.

        Raises:
            SoundError: the index cannot be written; all stays as it was.
        """
        index = _Index(recordings=tuple(recordings.values()))
        try:
            content = index.model_dump_json(indent=1).encode()
            write_whole(self._directory / INDEX, content)
        except OSError as exc:
            raise SoundError(f"the replies stay as they were: {exc.strerror}") from exc
        self._recordings = recordings
        self._publish(RepliesState(self.replies()))


def _missing(reply_id: str) -> UsageError:
    return UsageError(
        f"there is no reply {reply_id!r}; see which there are with: doorbell reply list"
    )


def clean_label(label: str) -> str:
    """A label as people are shown it, with single spaces.

    Raises:
        UsageError: it is empty, too long, or has what shows nothing in it.
    """
    cleaned = unicodedata.normalize("NFC", " ".join(label.split()))
    hidden = unseen(cleaned) is not None or any(map(is_control, cleaned))
    if not 0 < len(cleaned) <= LONGEST_LABEL or hidden:
        raise UsageError(
            f"{cleaned[:80]!r} is no name of a reply: write 1 to {LONGEST_LABEL} characters that "
            "can be seen"
        )
    return cleaned
