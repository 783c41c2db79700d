"""The live picture and the events as a browser or another system gets them."""

from __future__ import annotations

import http.client
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from console_server import Console

from doorbell.console.pages.live import STALE_SECONDS
from doorbell.console.routing import Role


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with Console(tmp_path) as serving:
        yield serving


@contextmanager
def opened(console: Console, path: str, role: Role = Role.VIEWER) -> Iterator[Any]:
    """An answer that has no end."""
    with closing(http.client.HTTPConnection("127.0.0.1", console.port, timeout=10)) as connection:
        connection.request("GET", path, headers=console.device(role))
        yield connection.getresponse()


def part(response: Any) -> tuple[dict[str, Any], bytes]:
    """The next part of /live."""
    (size,) = struct.unpack(">I", response.read(4))
    document = json.loads(response.read(size))
    (size,) = struct.unpack(">I", response.read(4))
    return document, response.read(size)


def event(response: Any) -> dict[str, Any]:
    """The next event of /events that is no sign of life."""
    while True:
        line = response.readline().decode()
        if line.startswith("data:"):
            found: dict[str, Any] = json.loads(line[5:])
            return found


def grey(jpeg: bytes) -> float:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return float(decoded.mean())


def test_pictures_come_with_their_age_and_who_is_in_them(console: Console) -> None:
    console.picture = np.full((72, 128, 3), 90, np.uint8)
    with opened(console, "/live") as response:
        assert response.getheader("x-accel-buffering") == "no"
        assert response.getheader("cache-control") == "no-store"
        seen: list[dict[str, Any]] = []
        while len(seen) < 3:
            document, jpeg = part(response)
            if jpeg:
                seen.append(document)
                assert (document["w"], document["h"], document["faces"]) == (128, 72, [])
                assert 0 <= document["age_ms"] < 1000
                assert abs(document["sent_at"] / 1000 - time.time()) < 5.0
                assert abs(grey(jpeg) - 90) < 2
        numbers = [document["seq"] for document in seen]
        assert numbers == sorted(set(numbers))


def test_a_doorbell_that_stops_is_said_within_three_seconds_and_comes_back(
    console: Console,
) -> None:
    with opened(console, "/live") as response:
        while not part(response)[1]:
            pass
        stopped_at = time.monotonic()
        console.doorbell.stop()
        while part(response)[0].get("why") != "stopped":
            pass
        assert time.monotonic() - stopped_at < 3.0
        console.doorbell.start()
        while not part(response)[1]:
            pass


def test_a_camera_that_gives_nothing_is_no_doorbell_that_has_stopped(console: Console) -> None:
    with opened(console, "/live") as response:
        while not part(response)[1]:
            pass
        console.filming = False
        while (told := part(response))[1]:
            pass
        assert told[0] == {"running": False, "why": "no_picture"}


def test_what_is_old_is_never_shown_as_the_picture_of_now(tmp_path: Path) -> None:
    with Console(tmp_path) as console:
        console.filming = False
        token = console.device(Role.STREAM)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(console.get("/frame.jpg", token)))
        asking.start()
        while asking.is_alive():
            console.doorbell.show(console.picture, captured_at=time.time() - STALE_SECONDS - 1.0)
            time.sleep(0.05)
        assert answers[0].status == 503
        assert answers[0].headers["retry-after"] == "5"
        console.filming = True
        fresh = console.get("/frame.jpg", token)
        assert (fresh.status, fresh.headers["content-type"]) == (200, "image/jpeg")
        assert cv2.imdecode(np.frombuffer(fresh.body, np.uint8), cv2.IMREAD_COLOR) is not None


def test_another_system_reads_pictures_one_after_the_other(console: Console) -> None:
    with opened(console, "/stream.mjpeg") as response:
        kind = response.getheader("content-type")
        assert kind.startswith("multipart/x-mixed-replace; boundary=")
        boundary = kind.partition("boundary=")[2].encode()
        for _ in range(3):
            assert response.readline() == b"--" + boundary + b"\r\n"
            assert response.readline() == b"Content-Type: image/jpeg\r\n"
            size = int(response.readline().partition(b":")[2])
            assert response.readline() == b"\r\n"
            assert cv2.imdecode(np.frombuffer(response.read(size), np.uint8), 1) is not None
            assert response.readline() == b"\r\n"


def test_events_say_what_changed_and_no_more(console: Console) -> None:
    with opened(console, "/events") as response:
        while not event(response).get("running"):
            pass
        visitor = {"kind": "stranger", "id": 7, "label": "stranger-7", "ignored": False}
        visit = {"visit_id": "v1", "visitor": visitor, "similarity": 0.5}
        console.doorbell.tell({"event": "unknown", "event_id": "e", "visit": visit})
        told = event(response)
        assert told == {"event": "unknown", "visit": "v1", "kind": "stranger", "label": ""}
        console.doorbell.tell({"event": "changed", "what": "visits"})
        assert event(response) == {"event": "changed", "what": "visits"}
        console.doorbell.tell({"event": "ring", "event_id": "f", "door_id": "garden"})
        assert event(response) == {"event": "ring", "door": "garden"}


def test_the_pictures_of_a_door_are_asked_for_by_its_name(console: Console) -> None:
    console.doorbell.answers["status"] = lambda _: {}
    console.picture = np.full((72, 128, 3), 90, np.uint8)
    for path in ("/live?door=garden", "/live"):
        with opened(console, path) as response:
            while not part(response)[1]:
                pass
    frames = [each for each in console.doorbell.asked if each["do"] == "frames"]
    assert [each["door_id"] for each in frames] == ["garden", None]


def test_a_browser_that_comes_back_is_told_whether_the_doorbell_runs(console: Console) -> None:
    for _ in range(2):
        with opened(console, "/events") as response:
            while not event(response).get("running"):
                pass


def test_ffmpeg_plays_the_stream_with_a_token_as_the_password(console: Console) -> None:
    token = console.device(Role.STREAM)["authorization"].removeprefix("Bearer ")
    console.picture = np.full((72, 128, 3), 90, np.uint8)
    address = f"http://any:{token}@127.0.0.1:{console.port}/stream.mjpeg"
    playing = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    try:
        for _ in range(3):
            worked, shown = playing.read()
            assert worked
            assert abs(float(shown.mean()) - 90) < 2
    finally:
        playing.release()
