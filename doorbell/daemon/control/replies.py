"""Requests about quick replies; what is sent is decoded by a process of its own."""

from __future__ import annotations

from doorbell.control import requests
from doorbell.control.wire import Document
from doorbell.daemon.control.documents import reply_document
from doorbell.daemon.control.server import Answer
from doorbell.domain import Reply
from doorbell.errors import RefusedError, SoundError, UsageError
from doorbell.household.replies import LONGEST_LABEL, LONGEST_SECONDS, MOST_RECORDINGS, Replies


class RepliesRequests:
    """Answers what is asked of replies, but to say them.

    Args:
        replies: of the household.
    """

    def __init__(self, replies: Replies) -> None:
        self._replies = replies

    def listed(self, _request: requests.ListReplies) -> Answer:
        """Every one."""
        return Answer(
            {
                "replies": [reply_document(each) for each in self._replies.all()],
                "most_recordings": MOST_RECORDINGS,
                "longest_seconds": LONGEST_SECONDS,
                "longest_label": LONGEST_LABEL,
            }
        )

    def sound(self, request: requests.ReplySound) -> Answer:
        """What one sounds like."""
        try:
            return Answer({"type": "audio/wav"}, self._replies.wav(request.reply_id))
        except UsageError as exc:
            raise RefusedError(str(exc), "not_found") from exc

    def add(self, request: requests.AddReply, content: bytes) -> Answer:
        """Keep a recording."""
        try:
            reply = self._replies.add(request.label, content)
        except SoundError as exc:
            raise RefusedError(str(exc)) from exc
        return Answer(_kept(reply, f"the reply {reply.label!r} is kept"))

    def rename(self, request: requests.RenameReply) -> Answer:
        """Another label."""
        reply = self._replies.rename(request.reply_id, request.label)
        return Answer(_kept(reply, f"the reply is called {reply.label!r} now"))

    def delete(self, request: requests.DeleteReply) -> Answer:
        """One less."""
        reply = self._replies.delete(request.reply_id)
        return Answer({"summary": f"the reply {reply.label!r} is deleted"})


def _kept(reply: Reply, summary: str) -> Document:
    return {"reply": reply_document(reply), "summary": summary}
