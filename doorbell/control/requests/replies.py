"""What is asked of quick replies."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import StringConstraints

from doorbell.control.schema import DoorId, ReplyId, Request

ReplyLabel: TypeAlias = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
]


class ListReplies(Request):
    """Every quick reply: replies, a list, built-in ones first.

    Each with reply_id, label, is_recording and seconds (of a recording; else null). And
    most_recordings, longest_seconds and longest_label.
    """

    verb = "replies.list"
    only_reads = True


class PlayReply(Request):
    """Say a reply at the door."""

    verb = "replies.play"
    reply_id: ReplyId
    door_id: DoorId | None = None


class ReplySound(Request):
    """What a reply sounds like: a WAV file in the blob."""

    verb = "replies.sound"
    only_reads = True
    reply_id: ReplyId


class AddReply(Request):
    """Keep a recording, in the bytes that come along: a WAV, MP3, M4A or Ogg file of 20 s at most.

    Answers with reply, as of ``replies.list``.
    """

    verb = "replies.add"
    takes_blob = True
    label: ReplyLabel


class RenameReply(Request):
    """Give a recording another label; answers as ``replies.add``."""

    verb = "replies.rename"
    reply_id: ReplyId
    label: ReplyLabel


class DeleteReply(Request):
    """Delete a recording."""

    verb = "replies.delete"
    reply_id: ReplyId
