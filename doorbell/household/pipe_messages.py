"""Messages over a pipe, to and from a process that looks at what anybody may have sent.

A message is as on the control socket (``control.wire``).
"""

from __future__ import annotations

import json
import select
import struct
from collections.abc import Callable
from typing import IO, BinaryIO, TypeAlias

from doorbell.control.wire import Document, packed
from doorbell.errors import DoorbellError
from doorbell.household import confinement

MAX_JSON_BYTES = 1_000_000
IDLE_SECONDS = 60.0
_HEAD = struct.Struct(">II")
Message: TypeAlias = tuple[Document, bytes]


def write_message(stream: IO[bytes], document: Document, blob: bytes = b"") -> None:
    """Send a message.

    Raises:
        OSError: nobody reads any more.
    """
    stream.write(packed(document, blob))
    stream.flush()


def read_message(stream: IO[bytes], max_blob: int) -> Message | None:
    """The next message; None where there are no more.

    Raises:
        ValueError: it is none, or too large.
    """
    head = stream.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise ValueError("a message that broke off")
    json_bytes, blob_bytes = _HEAD.unpack(head)
    if json_bytes > MAX_JSON_BYTES or blob_bytes > max_blob:
        raise ValueError("a message that is too large")
    text, blob = stream.read(json_bytes), stream.read(blob_bytes)
    if (len(text), len(blob)) != (json_bytes, blob_bytes):
        raise ValueError("a message that broke off")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError("a message that is no JSON") from exc
    if not isinstance(document, dict):
        raise ValueError("a message that is no JSON object")  # noqa: TRY004 - of its content
    return document, blob


def serve(
    answer: Callable[[Document, bytes], Message],
    requests: BinaryIO,
    answers: BinaryIO,
    *,
    max_blob: int,
    no_memory: str,
    idle_seconds: float = IDLE_SECONDS,
) -> None:
    """Answer requests, each within bounds, until nobody asks any more.

    Args:
        answer: gives what is asked for, or raises one of our errors.
        requests: what is asked for.
        answers: where they go.
        max_blob: how many bytes may belong to a request.
        no_memory: what is said where one takes more memory than there is.
        idle_seconds: for how long nobody may ask.
    """
    while select.select([requests], [], [], idle_seconds)[0]:
        request = read_message(requests, max_blob)
        if request is None:
            return
        confinement.limit_processor_time()
        try:
            document, blob = answer(*request)
        except DoorbellError as exc:
            document, blob = {"error": str(exc)}, b""
        except MemoryError:
            document, blob = {"error": no_memory}, b""
        del request
        write_message(answers, document, blob)
