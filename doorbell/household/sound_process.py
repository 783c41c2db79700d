"""The process that decodes recordings which anybody may have sent; started by ``sound_worker``.

It loads what decodes, gives up everything that it does not need, and decodes one recording after
the other. It knows no reply, no key and no person.
"""

from __future__ import annotations

import sys

from doorbell.control.wire import Document
from doorbell.errors import DoorbellError, SoundError
from doorbell.household import confinement
from doorbell.household.pipe_messages import Message, read_message, serve, write_message
from doorbell.outputs.sound.decoding import decode_sound, warm_up
from doorbell.outputs.sound.synthesis import MAX_WAV_BYTES

# Beyond what is loaded: a file of 16 MB, and what it becomes while it is decoded and resampled.
ROOM_BYTES = 300_000_000
NO_MEMORY = "this recording takes more memory than there is for it; save it anew, shorter"


def main() -> None:
    """Serve until nobody asks any more, or for a minute."""
    confinement.refuse_outside()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    if read_message(requests, 0) is None:
        return
    try:
        warm_up()
        confinement.be_modest()
        confinement.limit_resources(ROOM_BYTES)
        confinement.refuse_files()
    except DoorbellError as exc:
        write_message(answers, {"error": str(exc)})
        return
    write_message(answers, {"ready": True})
    serve(_answer, requests, answers, max_blob=MAX_WAV_BYTES, no_memory=NO_MEMORY)


def _answer(request: Document, content: bytes) -> Message:
    if request != {"do": "decode"}:
        raise SoundError("a request that is none")
    sound = decode_sound(content)
    return {"sample_rate": sound.sample_rate}, sound.samples.astype("<i2").tobytes()


if __name__ == "__main__":
    main()
