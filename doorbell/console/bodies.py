"""Bodies of requests: of bounded size, within a time, and forms read out of them."""

from __future__ import annotations

import asyncio
from io import BytesIO
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.types import Message, Receive

FORM_TYPE = "application/x-www-form-urlencoded"
FORM_SECONDS = 20.0
PHOTO_SECONDS = 120.0
MAX_FIELDS = 200


class BodyError(Exception):
    """A body that is not taken.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def says_it_has_a_body(request: Request) -> bool:
    """Whether the headers announce one."""
    length = request.headers.get("content-length", "0")
    return length != "0" or "transfer-encoding" in request.headers


async def read_body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """The whole body.

    Raises:
        BodyError: it is larger, too slow, or broke off.
    """
    announced = request.headers.get("content-length", "0")
    too_large = f"At most {max_bytes // 1024} kilobytes are taken."
    if not announced.isdecimal() or len(announced) > 18 or int(announced) > max_bytes:
        raise BodyError(413, too_large)
    body = BytesIO()  # a photo is large, and is not to be there twice

    async def read() -> None:
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise BodyError(400, "The connection ended before the request did.")
            body.write(message.get("body", b""))
            if body.tell() > max_bytes:
                raise BodyError(413, too_large)
            more = message.get("more_body", False)

    try:
        await asyncio.wait_for(read(), seconds)
    except asyncio.TimeoutError as exc:
        raise BodyError(408, "The request came too slowly.") from exc
    return body.getvalue()


def again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already once more, then whatever comes after it."""
    kept: list[bytes] = [body]
    del body

    async def receiving() -> Message:
        if kept:
            return {"type": "http.request", "body": kept.pop(), "more_body": False}
        return await receive()

    return receiving


def read_form(request: Request, body: bytes) -> dict[str, str]:
    """The fields of a form; of several with one name the last.

    Raises:
        BodyError: it is no form, or one of too many fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM_TYPE:
        if not body:
            return {}
        raise BodyError(415, "A form is expected here.")
    try:
        fields = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
            errors="strict",
        )
    except ValueError as exc:
        raise BodyError(400, "The form cannot be read.") from exc
    return dict(fields)
