"""One HTTP request, without following a redirect, and what may be said of its failure.

The standard library's client logs nothing: addresses and headers hold tokens here. Proxies of the
environment are not used.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from doorbell.notifier.sending import NotSentError

CONNECT_SECONDS = 20.0
# Who takes a minute to answer has most often taken it: sent again, it would arrive twice.
TIMEOUT_SECONDS = 90.0
MAX_ANSWER_BYTES = 1_000_000
# Of all that is waited for together, by the longest single wait.
MOST_WAITS = 3
# https://www.rfc-editor.org/rfc/rfc9110: what a target cannot take in this form, now or later.
_OF_MESSAGE = frozenset({400, 413, 415, 422})
LONGEST_RETRY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered.

    Attributes:
        status: the code.
        body: its begin.
        retry_seconds: how long the server asks to be left alone.
    """

    status: int
    body: bytes = field(repr=False)
    retry_seconds: float = 0.0

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):  # the latter of what is nested too deeply
            return {}
        return found if isinstance(found, dict) else {}


def host_of(url: str) -> str | None:
    """The host of an http or https address without user and password; None for any other text."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    is_plain = parts.scheme in ("http", "https") and parts.username is None and port != 0
    return parts.hostname if is_plain else None


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    verify: bool = True,
) -> Response:
    """Send a POST request, once.

    Args:
        url: http or https, without user and password.
        body: its content.
        headers: besides the length.
        timeout_seconds: for each wait once it is connected; all together take ``MOST_WAITS`` times
            as long at most.
        verify: whether the server's certificate is looked at.

    Raises:
        NotSentError: there was no answer; whether the request arrived is not known then.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    try:
        connection = _connection(parts.scheme, host, parts.port, verify)
        with closing(connection):
            connection.connect()
            connection.sock.settimeout(timeout_seconds)
            with _ended_after(connection.sock, timeout_seconds * MOST_WAITS):
                connection.request(
                    "POST", target, body=body, headers={"User-Agent": "doorbell", **headers}
                )
                answer = connection.getresponse()
                return Response(answer.status, _begin_of(answer), _seconds(answer.headers))
    # Without the cause, whose words may have the address.
    except TimeoutError:
        raise NotSentError(f"{host} does not answer in time") from None
    except ssl.SSLCertVerificationError as exc:
        raise NotSentError(
            f"the certificate of {host} cannot be trusted: {exc.verify_message}"
        ) from None
    except socket.gaierror as exc:
        raise NotSentError(f"{host} has no address: {exc.strerror}") from None
    except OSError as exc:
        raise NotSentError(f"{host} cannot be reached: {exc.strerror or 'it closed'}") from None
    except (http.client.HTTPException, ValueError) as exc:
        raise NotSentError(f"{host} cannot be spoken to: {type(exc).__name__}") from None


def require_taken(response: Response, host: str, said: str = "") -> None:
    """Find out whether an answer says that what was sent was taken.

    Args:
        response: the answer.
        host: whose.
        said: what it says about it, without a secret.

    Raises:
        NotSentError: it was not.
    """
    if 200 <= response.status < 300:
        return
    if 300 <= response.status < 400:
        raise NotSentError(f"{host} sends elsewhere ({response.status}); give that address instead")
    words = f"{host} refuses it ({response.status}{': ' if said else ''}{said})"
    raise NotSentError(
        words,
        of_message=response.status in _OF_MESSAGE,
        retry_seconds=response.retry_seconds,
    )


@contextmanager
def _ended_after(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End a connection that goes on and on, a little at a time."""
    timer = threading.Timer(seconds, _shut, (sock,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # it has ended
        # Not that of the encrypted one, which another thread is reading.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _begin_of(answer: http.client.HTTPResponse) -> bytes:
    """The body, as far as it comes: the code has said already whether the request was taken."""
    try:
        return answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException):
        return b""


def _connection(
    scheme: str, host: str, port: int | None, verify: bool
) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=context)


def _seconds(headers: http.client.HTTPMessage) -> float:
    """Of Retry-After, where it is a number."""
    given = headers.get("Retry-After", "")
    return min(float(given), LONGEST_RETRY_SECONDS) if given.isdecimal() else 0.0
