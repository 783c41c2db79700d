"""What requests on the control socket are made of: their base, and values that recur in them."""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from doorbell.domain import REPLY_ID

# Of a person or a stranger, as SQLite can hold it.
Id: TypeAlias = Annotated[int, Field(ge=1, lt=10**18)]
VisitId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
DoorId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
PhotoId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
ReplyId: TypeAlias = Annotated[str, StringConstraints(pattern=REPLY_ID)]
Name: TypeAlias = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
]
Words: TypeAlias = Annotated[str, StringConstraints(max_length=2000)]
# By the clock of the house, as 07:00.
TimeOfDay: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Days: TypeAlias = Annotated[int, Field(ge=0, le=3650)]
# Of a picture, in pixels.
Width: TypeAlias = Annotated[int, Field(ge=16, le=7680)]


class Arguments(BaseModel):
    """Base of all that is read: immutable and strict, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Request(Arguments):
    """Base of every request.

    Attributes:
        verb: what stands in ``do``.
        takes_blob: whether bytes belong to it.
        only_reads: whether it changes nothing and is cheap, so that pages may ask it often.
    """

    verb: ClassVar[str]
    takes_blob: ClassVar[bool] = False
    only_reads: ClassVar[bool] = False
