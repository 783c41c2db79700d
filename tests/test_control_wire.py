"""Messages on the control socket, and what can be asked."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.control.requests import REQUESTS, Mute, Request, parse_request
from doorbell.control.wire import Message, packed, receive, send, send_now
from doorbell.errors import ControlError, UsageError


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.settimeout(2.0)
    other.settimeout(2.0)
    with one, other:
        yield one, other


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=9), json_values), st.binary())
def test_what_is_sent_is_received(document: dict[str, Any], blob: bytes) -> None:
    one, other = socket.socketpair()
    with one, other:
        send(one, document, blob)
        one.close()
        assert receive(other) == Message(document, blob)
        assert receive(other) is None


@given(st.binary(max_size=60))
def test_whatever_is_no_message_is_an_error_and_nothing_else(noise: bytes) -> None:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(noise)
        one.close()
        try:
            message = receive(other, max_json=1000, max_blob=1000)
        except (ControlError, OSError):
            return
        assert message is None or isinstance(message.document, dict)


@pytest.mark.parametrize(
    ("head", "said"),
    [((2**31, 0), "where 100 and 50 are allowed"), ((2, 51), "2 and 51 bytes")],
)
def test_what_is_too_large_is_refused_before_it_is_read(
    pair: tuple[socket.socket, socket.socket], head: tuple[int, int], said: str
) -> None:
    one, other = pair
    one.sendall(struct.pack(">II", *head))  # and nothing more: it is not waited for
    with pytest.raises(ControlError, match=said):
        receive(other, max_json=100, max_blob=50)


@pytest.mark.parametrize("text", [b"[1]", b"nope", b'"x"', b"[" * 90000, b"\xff"])
def test_what_is_no_object_is_refused(
    pair: tuple[socket.socket, socket.socket], text: bytes
) -> None:
    one, other = pair
    one.sendall(struct.pack(">II", len(text), 0) + text)
    with pytest.raises(ControlError):
        receive(other)


@pytest.mark.parametrize("take_files", [True, False])
def test_descriptors_are_taken_where_they_are_expected_and_else_closed(
    pair: tuple[socket.socket, socket.socket], *, take_files: bool
) -> None:
    one, other = pair
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, no paths
    with open(os.devnull, "rb") as file:  # noqa: PTH123 - a descriptor is what it takes
        one.settimeout(None)
        assert send_now(one, {"a": 1}, [file.fileno()])
    message = receive(other, take_files=take_files)
    assert message is not None
    assert len(message.files) == (1 if take_files else 0)
    for each in message.files:
        os.close(each)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_who_does_not_read_keeps_nobody_waiting(pair: tuple[socket.socket, socket.socket]) -> None:
    one, _ = pair
    one.settimeout(None)
    sent = 0
    while send_now(one, {"text": "x" * 500}):
        sent += 1
        assert sent < 100_000
    assert sent > 10


def test_a_message_that_stops_in_the_middle_is_not_waited_for_for_ever(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    one.sendall(packed({"do": "status"})[:-3])
    one.close()
    with pytest.raises(ConnectionResetError):
        receive(other)


def test_what_is_announced_takes_no_memory_before_it_comes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    one.sendall(struct.pack(">II", 2, 50_000_000) + b"{}" + bytes(1000))
    one.close()
    tracemalloc.start()
    try:
        with pytest.raises(ConnectionResetError):
            receive(other)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("patience", [None, 0.5])
def test_a_message_that_comes_byte_by_byte_is_given_up(
    pair: tuple[socket.socket, socket.socket], patience: float | None
) -> None:
    one, other = pair
    other.settimeout(patience)
    ended = threading.Event()

    def trickle() -> None:
        with suppress(OSError):
            for byte in packed({"do": "status", "x": "y" * 200}):
                one.sendall(bytes([byte]))
                if ended.wait(0.1):
                    return

    trickling = threading.Thread(target=trickle)
    trickling.start()
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            receive(other, rest_seconds=0.6)
        assert time.monotonic() - began < 3.0
        assert other.gettimeout() == patience
    finally:
        ended.set()
        trickling.join()


def test_every_request_says_what_it_is_and_refuses_what_it_does_not_know() -> None:
    assert len(REQUESTS) > 25
    for verb, kind in REQUESTS.items():
        assert kind.verb == verb
        assert kind.__doc__
        with pytest.raises(UsageError, match="nonsense"):
            parse_request({"do": verb, "nonsense": 1})


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"do": 7},
        {"do": "no.such"},
        {"do": "mute"},
        {"do": "mute", "muted": 1},
        {"do": "mute", "muted": True, "minutes": 0},
        {"do": "mute", "muted": True, "minutes": float("nan")},
        {"do": "mute", "muted": True, "until": "24:00"},
        {"do": "visits.get", "visit": "../../etc/passwd"},
        {"do": "visits.get", "visit": "a\u0000"},
        {"do": "visits.list", "limit": 101},
        {"do": "visits.list", "since": "yesterday"},
        {"do": "visits.list", "since": "2026-11-28T10:00:00"},  # of which zone?
        {"do": "people.get", "person_id": "1"},
        {"do": "people.get", "person_id": -1},
        {"do": "people.rename", "person_id": 1, "name": "  "},
        {"do": "settings.change", "volume": 1.5},
        {"do": "settings.change", "camera_uri": "rtsp://elsewhere"},
        {"do": "frames", "per_second": 0},
    ],
)
def test_what_is_malformed_is_refused_with_words(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_request(asked)
    assert len(str(caught.value)) > 10


@given(st.dictionaries(st.sampled_from(["do", "muted", "minutes", "until", "x"]), json_values))
def test_any_object_is_a_request_or_refused(document: dict[str, Any]) -> None:
    with suppress(UsageError):
        assert isinstance(parse_request(document), Request)


def test_a_request_is_read() -> None:
    assert parse_request({"do": "mute", "muted": True, "until": "07:00"}) == Mute(
        muted=True, until="07:00"
    )
