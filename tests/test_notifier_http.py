"""One request to receivers that answer as no honest one does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from doorbell.notifier.http import MAX_ANSWER_BYTES, post
from doorbell.notifier.sending import NotSentError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of one connection."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            answer(connection)

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


def drip(connection: socket.socket) -> None:
    for _ in range(400):
        connection.sendall(b"x")
        time.sleep(0.02)


def test_what_was_taken_is_taken_though_its_answer_never_ends() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        drip(connection)

    begun = time.monotonic()
    with answering(answer) as url:
        response = post(url, b"{}", {}, timeout_seconds=0.2)

    assert response.status == 200
    assert time.monotonic() - begun < 5.0


def test_what_was_taken_is_taken_though_its_answer_breaks_off() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx"
    with answering(lambda connection: connection.sendall(chunked)) as url:
        assert post(url, b"{}", {}).status == 200


def test_headers_that_never_end_keep_nobody() -> None:
    begun = time.monotonic()
    with answering(drip) as url, pytest.raises(NotSentError):
        post(url, b"{}", {}, timeout_seconds=0.2)

    assert time.monotonic() - begun < 5.0


def test_of_an_endless_answer_the_begin_is_read() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        while True:
            connection.sendall(b"x" * 65536)

    with answering(answer) as url:
        assert len(post(url, b"{}", {}).body) == MAX_ANSWER_BYTES
