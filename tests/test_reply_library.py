"""Quick replies as they are kept, and what people ask for of them."""

from __future__ import annotations

import json
import stat
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from doorbell.control import requests
from doorbell.daemon.control.replies import RepliesRequests
from doorbell.domain import Reply
from doorbell.errors import RefusedError, SoundError, UsageError
from doorbell.household.replies import Replies
from doorbell.household.sound_worker import SoundWorker
from doorbell.outputs.sound.reply_library import (
    LONGEST_LABEL,
    MOST_RECORDINGS,
    ReplyLibrary,
    clean_label,
)
from doorbell.outputs.sound.speech import require_speech
from doorbell.outputs.sound.synthesis import Sound, read_wav, synthesize, wav_of
from doorbell.phrases import REPLIES, Language
from doorbell.status import RepliesState, State

CHIME = synthesize("ding-dong")


class Voice:
    """Speaks a silence as long as the text, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.spoken: list[tuple[str, Language]] = []

    def __call__(self, text: str, language: Language) -> Sound:
        self.spoken.append((text, language))
        return Sound(np.zeros((len(text), 1), np.int16), 22050)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "replies"


@pytest.fixture
def told() -> list[State]:
    return []


@pytest.fixture
def library(folder: Path, told: list[State]) -> ReplyLibrary:
    return ReplyLibrary(folder, "en", speak=Voice(), publish=told.append)


def test_built_in_replies_are_the_same_in_every_language() -> None:
    assert {frozenset(texts) for texts in REPLIES.values()} == {frozenset(REPLIES["en"])}
    for texts in REPLIES.values():
        for text in texts.values():
            assert clean_label(text) == text


def test_a_built_in_reply_is_spoken_once_in_the_language_of_the_house(folder: Path) -> None:
    voice = Voice()
    library = ReplyLibrary(folder, "de", speak=voice)
    assert library.get("coming") == Reply("coming", "Ich komme")
    assert library.load("coming") is library.load("coming")
    assert voice.spoken == [("Ich komme", "de")]
    with pytest.raises(UsageError, match="there is no reply 'gone'"):
        library.load("gone")
    assert not folder.exists()  # nothing is made before there is something to keep


def test_a_recording_is_kept_for_its_owner_alone_and_found_by_the_next_run(
    library: ReplyLibrary, folder: Path, told: list[State]
) -> None:
    first = library.add("  Back\t soon ", CHIME)
    assert first.label == "Back soon"
    assert first.is_recording
    assert first.seconds == pytest.approx(CHIME.seconds, abs=0.01)
    assert np.array_equal(library.load(first.reply_id).samples, CHIME.samples)
    assert np.array_equal(read_wav(folder / f"{first.reply_id}.wav").samples, CHIME.samples)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    second = library.add("Später", CHIME)
    renamed = library.rename(second.reply_id, "Später wieder")
    assert (renamed.reply_id, renamed.label) == (second.reply_id, "Später wieder")
    again = ReplyLibrary(folder, "en", speak=Voice())
    assert again.replies() == library.replies()
    assert again.replies()[-2:] == (first, renamed)
    library.delete(first.reply_id)
    assert {each.name for each in folder.iterdir()} == {"index.json", f"{second.reply_id}.wav"}
    with pytest.raises(UsageError):
        library.load(first.reply_id)
    assert [len(each.replies) for each in told if isinstance(each, RepliesState)] == [
        len(REPLIES["en"]) + more for more in (0, 1, 2, 2, 1)
    ]


@pytest.mark.parametrize(
    "label", ["", " \n ", "x" * (LONGEST_LABEL + 1), "a\x1b[31m", "a\u202eb", "a\u200bb", "\u3164"]
)
def test_what_cannot_be_shown_is_no_name(library: ReplyLibrary, label: str) -> None:
    with pytest.raises(UsageError, match="is no name of a reply"):
        library.add(label, CHIME)
    kept = library.add("kept", CHIME)
    with pytest.raises(UsageError, match="is no name of a reply"):
        library.rename(kept.reply_id, label)
    assert library.get(kept.reply_id) == kept


def test_names_tell_replies_apart(library: ReplyLibrary) -> None:
    kept = library.add("Garden", CHIME)
    for taken in ("garden", "I AM COMING", "Coming", "parcel", kept.reply_id):
        with pytest.raises(UsageError, match="already; give it another name"):
            library.add(taken, CHIME)
    with pytest.raises(UsageError, match="already; give it another name"):
        library.rename(kept.reply_id, "later")
    assert library.rename(kept.reply_id, "GARDEN").label == "GARDEN"
    for reply_id, words in (("coming", "is built in"), ("none", "there is no reply 'none'")):
        with pytest.raises(UsageError, match=words):
            library.rename(reply_id, "x")
        with pytest.raises(UsageError, match=words):
            library.delete(reply_id)


def test_there_are_so_many_and_so_long_at_most(library: ReplyLibrary) -> None:
    short = Sound(np.ones((4410, 1), np.int16), 44100)
    with pytest.raises(SoundError, match="21 s, where 20 s are allowed"):
        library.add("long", Sound(np.zeros((21 * 8000, 1), np.int16), 8000))
    for number in range(MOST_RECORDINGS):
        library.add(f"number {number}", short)
    with pytest.raises(UsageError, match="30 recordings already; delete one first"):
        library.add("one more", short)


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b'{"recordings": [{"reply_id": "../../etc/passwd", "label": "x", "seconds": 1.0}]}',
        b'{"recordings": [{"reply_id": "recording-00000000", "label": "", "seconds": 1.0}]}',
        b'{"recordings": 7}',
        b"\xff\xfe",
        b" " * 200_000,
    ],
)
def test_an_index_that_is_none_leaves_the_built_in_ones(
    folder: Path, index: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    (folder / "index.json").write_bytes(index)
    library = ReplyLibrary(folder, "en", speak=Voice())
    assert [each.is_recording for each in library.replies()] == [False] * len(REPLIES["en"])
    assert "no recorded reply can be said" in caplog.text
    with pytest.raises(SoundError, match="cannot be read; restore it from a backup, or delete it"):
        library.add("Garden", CHIME)
    assert [each.name for each in folder.iterdir()] == ["index.json"]
    assert (folder / "index.json").read_bytes() == index
    (folder / "index.json").unlink()
    assert library.add("Garden", CHIME).is_recording


def test_a_file_that_is_gone_or_a_disk_that_refuses_is_said(
    library: ReplyLibrary, folder: Path
) -> None:
    kept = library.add("Garden", CHIME)
    (folder / f"{kept.reply_id}.wav").unlink()
    with pytest.raises(SoundError, match="'Garden' has lost its file"):
        library.check(kept.reply_id)
    with pytest.raises(SoundError, match="cannot read"):
        library.load(kept.reply_id)
    assert library.delete(kept.reply_id) == kept
    (folder / "index.json").unlink()
    (folder / "index.json").mkdir()  # takes no file in its place
    with pytest.raises(SoundError, match="the replies stay as they were"):
        library.add("Garden", CHIME)
    assert [each.name for each in folder.iterdir()] == ["index.json"]
    (folder / "index.json").rmdir()
    folder.rmdir()
    folder.write_text("no folder")
    with pytest.raises(SoundError, match="the recording cannot be kept"):
        library.add("Garden", CHIME)


def test_without_speech_the_replies_that_were_spoken_are_still_said(folder: Path) -> None:
    program = "espeak-ng-that-is-not-there"
    library = ReplyLibrary(
        folder, "en", speak=Voice(), require_speech=partial(require_speech, program)
    )
    with pytest.raises(SoundError, match=f"cannot speak without {program}; install it with"):
        library.check("coming")
    library.load("coming")
    assert library.check("coming").label == "I am coming"
    kept = library.add("Garden", CHIME)
    assert library.check(kept.reply_id) == kept


def test_requests_answer_for_people(library: ReplyLibrary, folder: Path) -> None:
    with closing(Replies(library, SoundWorker())) as replies:
        asked = RepliesRequests(replies)
        added = asked.add(requests.AddReply(label="Garden"), wav_of(CHIME)).document
        assert added["summary"] == "the reply 'Garden' is kept"
        reply_id = added["reply"]["reply_id"]
        listed = asked.listed(requests.ListReplies()).document
        assert listed["replies"][-1] == added["reply"]
        assert (listed["most_recordings"], listed["longest_seconds"]) == (30, 20.0)
        assert json.loads((folder / "index.json").read_text())["recordings"]
        heard = asked.sound(requests.ReplySound(reply_id=reply_id))
        assert (heard.document, heard.blob) == ({"type": "audio/wav"}, wav_of(CHIME))
        renamed = requests.RenameReply(reply_id=reply_id, label="Gate")
        assert asked.rename(renamed).document["reply"]["label"] == "Gate"
        with pytest.raises(RefusedError, match="is not a WAV"):
            asked.add(requests.AddReply(label="Letter"), b"Dear Sir or Madam")
        with pytest.raises(UsageError):  # before anything is decoded
            asked.add(requests.AddReply(label="\u200b"), b"")
        asked.delete(requests.DeleteReply(reply_id=reply_id))
        with pytest.raises(RefusedError) as gone:
            asked.sound(requests.ReplySound(reply_id=reply_id))
        assert gone.value.kind == "not_found"
