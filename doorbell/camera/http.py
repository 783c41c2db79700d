"""What a camera answers over HTTP: a stream, a single picture, or that it is elsewhere.

A camera is not trusted to send its reader anywhere: only another address at the same place is
followed, and that here, not by FFmpeg, which would go to any.
"""

from __future__ import annotations

import http.client
import re
import ssl
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from doorbell.camera.uri import Source
from doorbell.config.secrets import without_credentials
from doorbell.errors import CameraError

_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REFUSED = frozenset({401, 403})


def is_http(source: Source) -> bool:
    """Whether a source is asked over HTTP."""
    return source.place.startswith(("http://", "https://"))


def follow(source: Source, timeout_seconds: float) -> Source:
    """Ask a camera where its stream is.

    Args:
        source: what the configuration names.
        timeout_seconds: for each answer.

    Returns:
        Where the stream is: the same, or another address at the same scheme, host and port.

    Raises:
        CameraError: it sends its reader elsewhere, or has a picture or a page instead of a stream.
    """
    place = source.place
    for _ in range(_MOST_REDIRECTS + 1):
        answer = _ask(place, timeout_seconds)
        if answer is None:
            return Source(source.kind, place)
        if answer.status not in _REDIRECTS or not answer.location:
            answer.refuse_other_than_stream(Source(source.kind, place).shown)
            return Source(source.kind, place)
        place = _same_place(source, place, answer.location)
    raise CameraError(f"{source.shown} redirects again and again; give the address of its stream")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content_type: str
    location: str

    def refuse_other_than_stream(self, shown: str) -> None:
        if self.status in _REFUSED:
            raise CameraError(
                f"{shown} refused ({self.status}); check camera.user and the password"
            )
        if self.status != http.client.OK:
            raise CameraError(f"{shown} answered {self.status}; check its address")
        kind = self.content_type.partition(";")[0].strip().lower()
        if kind.startswith("image/"):
            raise CameraError(
                f"{shown} is a single picture ({kind}), not a stream; look for the address of the "
                "camera's stream, often rtsp:// or one that ends in .mjpg"
            )
        if kind == "text/html":
            raise CameraError(
                f"{shown} is a web page, not a stream; look for the address of the camera's stream"
            )


def _ask(place: str, timeout_seconds: float) -> _Answer | None:
    """Ask for an address and read the head of the answer; None where there is none."""
    address = urlsplit(place)
    try:
        connection = _connection(address, timeout_seconds)
        try:
            connection.request("GET", _path(address), headers=_headers(address))
            response = connection.getresponse()
            head = response.headers
            return _Answer(response.status, head.get("Content-Type", ""), head.get("Location", ""))
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return None


def _connection(address: SplitResult, timeout_seconds: float) -> http.client.HTTPConnection:
    host, port = address.hostname or "", address.port
    if address.scheme == "https":
        # As FFmpeg: cameras sign their certificates themselves.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001 - nothing is believed
        return http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_seconds)


def _path(address: SplitResult) -> str:
    return urlunsplit(("", "", address.path or "/", address.query, ""))


def _headers(address: SplitResult) -> dict[str, str]:
    if address.username is None:
        return {}
    pair = f"{unquote(address.username)}:{unquote(address.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _same_place(source: Source, place: str, location: str) -> str:
    """Resolve a redirect; the same scheme, host and port, with the same user.

    Raises:
        CameraError: it leads elsewhere.
    """
    before = urlsplit(place)
    shown = re.sub(r"[^ -~]", "?", without_credentials(location))[:200]
    try:
        after = urlsplit(urljoin(place, location))
        port, same_port = after.port, before.port
    except ValueError:
        port, same_port, after = 0, -1, before
    if (after.scheme, after.hostname, port) != (before.scheme, before.hostname, same_port):
        raise CameraError(
            f"{source.shown} redirects to {shown}, at another place, which is not followed; give "
            "that address if it is the camera's"
        )
    return urlunsplit(after._replace(netloc=before.netloc, fragment=""))
