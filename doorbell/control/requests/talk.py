"""What is asked of talking and listening at the door."""

from __future__ import annotations

from typing import Literal

from doorbell.control.schema import DoorId, Request

# Of what is said and heard: 16-bit little-endian samples, mono. Of speech, what a telephone calls
# wideband.
TALK_RATE = 16000
# A sentence or two; and what is no word.
LONGEST_TALK_SECONDS = 15.0
SHORTEST_TALK_SECONDS = 0.25
MAX_TALK_BYTES = round(2 * TALK_RATE * LONGEST_TALK_SECONDS)


class Say(Request):
    """Say at the door what comes along: at most 15 s of 16 kHz mono, 16-bit little-endian."""

    verb = "talk.say"
    takes_blob = True
    door_id: DoorId | None = None


class Listen(Request):
    """Listen at the door; a subscription.

    Tells ``sound`` each tenth of a second, with 3200 bytes of the form that is said in, ``silent``
    without bytes while something sounds at the door, and ends with ``done`` (after five minutes) or
    ``failed`` (error).
    """

    verb = "talk.listen"
    door_id: DoorId | None = None


class AnswerDoor(Request):
    """Tell that somebody answers the bell: so no reply is said by itself."""

    verb = "door.answer"
    how: Literal["watched"]
    door_id: DoorId | None = None
