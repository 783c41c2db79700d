"""What the control socket hands out: events and frames, and that nobody keeps anybody waiting."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from doorbell.config import ControlSection
from doorbell.control.client import Client
from doorbell.control.wire import receive, send
from doorbell.daemon.control.output import SIZES, WATCHERS, ControlOutput
from doorbell.daemon.control.server import (
    Answer,
    ControlServer,
    Handler,
)
from doorbell.domain import Face, Frame, Left, Person, Ring, Track, Visit
from doorbell.errors import (
    NotRunningError,
    RefusedError,
)
from doorbell.status import CameraCondition, CameraState, Message

PERSON = Person(3, "Ann")


@contextmanager
def listening(path: Path, output: ControlOutput | None = None) -> Iterator[None]:
    handlers: dict[str, Handler] = {"status": lambda _request, _blob: Answer()}
    server = ControlServer(ControlSection(), path, handlers, output or ControlOutput(18))
    with closing(server):
        yield


def event() -> Message:
    return Ring("e1", 1_700_000_000.0, Visit("v1", 1_700_000_000.0, 1_700_000_001.0, None, PERSON))


def test_who_listens_hears_of_events_changes_and_that_nothing_is_new(tmp_path: Path) -> None:
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    with listening(path, output=output), Client.connect(path) as client:
        heard = client.events()
        output.handle(event())  # whoever was answered listens
        output.handle(CameraState(CameraCondition.LIVE, "", 0.0))
        news = (each for each in heard if each["event"] != "alive")
        told = next(news)
        assert told["event"] == "ring"
        assert told["visit"]["visitor"] == {
            "kind": "person",
            "id": 3,
            "label": "Ann",
            "ignored": False,
        }
        assert next(news) == {"event": "changed", "what": "camera"}
        assert [each.visit_id for each in output.latest().at_the_door.values()] == ["v1"]
        output.handle(
            Left("e2", 1_700_000_009.0, Visit("v1", 1_700_000_000.0, 5.0, 1_700_000_009.0))
        )
        assert output.latest().at_the_door == {}
        assert next(news)["event"] == "left"
        assert next(heard) == {"event": "alive"}


def test_who_does_not_listen_to_what_they_asked_for_is_let_go(tmp_path: Path) -> None:
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    with listening(path, output=output), socket.socket(socket.AF_UNIX) as deaf:
        deaf.settimeout(5.0)
        deaf.connect(str(path))
        send(deaf, {"do": "events"})
        assert receive(deaf) is not None
        first = receive(deaf)
        assert first is not None  # "alive"
        took = 0.0
        for _ in range(20_000):
            began = time.perf_counter()
            output.handle(event())
            took = max(took, time.perf_counter() - began)
        assert took < 0.1  # nobody was waited for
        with Client.connect(path) as client:
            assert client.ask("status").document["ok"]


def frame(index: int, width: int = 1280, height: int = 720) -> Frame:
    pixels = np.full((height, width, 3), index % 256, np.uint8)
    return Frame(pixels, index / 10.0, time.time(), index)


def track(seconds: float, hits: int = 5) -> Track:
    box = np.asarray([320.0, 180.0, 640.0, 540.0], np.float32)
    keypoints = np.zeros((6, 2), np.float32)
    return Track(1, Face(box, keypoints, 0.9), 0.0, seconds, hits)


def test_who_watches_sees_the_newest_frame_with_whose_faces_are_in_it(tmp_path: Path) -> None:
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    stop = threading.Event()
    visit = Visit("v1", 0.0, 0.0, None, PERSON)

    def give(width: int, height: int) -> None:
        index = 0
        while not stop.wait(0.005):
            index += 1
            now = frame(index, width, height)
            seen = track(now.time_seconds)
            output.show(now, partial(list, [(seen, visit), (track(-1.0), None)]), "")

    with (
        listening(path, output=output),
        Client.connect(path).frames(max_width=640, per_second=50) as half,
        Client.connect(path).frames(per_second=50) as whole,
    ):
        for width, height in ((1280, 720), (1920, 1080)):  # the camera may change its mind
            stop.clear()
            giving = threading.Thread(target=give, args=(width, height))
            giving.start()
            try:
                for _ in range(3):
                    small = half.next(5.0)
                    large = whole.next(5.0)
                ratio = 2 if width == 1280 else 3
                assert small is not None
                assert large is not None
                assert small.pixels.shape == (height // ratio, width // ratio, 3)
                assert large.pixels.shape == (height, width, 3)
                assert np.all(large.pixels == round(large.time_seconds * 10) % 256)
                assert np.all(small.pixels == round(small.time_seconds * 10) % 256)
                [face] = small.faces  # the other was not found in this frame
                assert face["label"] == "Ann"
                assert face["box"] == [
                    round(320 / width, 4),
                    round(180 / height, 4),
                    round(640 / width, 4),
                    round(540 / height, 4),
                ]
                assert face["pixels"] == 320
                assert face["recognizable"]
            finally:
                stop.set()
                giving.join()
    assert output.latest().camera is None


def test_a_watcher_is_given_no_more_frames_than_were_asked_for(tmp_path: Path) -> None:
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    with listening(path, output=output), Client.connect(path).frames(per_second=5.0) as stream:
        end = time.monotonic() + 1.0
        index = 0
        got = []
        while time.monotonic() < end:
            index += 1
            output.show(frame(index, 320, 180), list, "")
            seen = stream.next(0.004)
            if seen is not None:
                got.append(seen.sequence)
        assert 4 <= len(got) <= 7
        assert got == sorted(set(got))


def test_who_watches_and_goes_leaves_nothing_behind_but_the_memory_for_the_next(
    tmp_path: Path,
) -> None:
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    with listening(path, output=output):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, no paths
        before += 2  # of the ring, and of its mapping
        for _ in range(5):
            with Client.connect(path).frames() as stream:
                end = time.monotonic() + 5.0
                while stream.next(0.01) is None and time.monotonic() < end:
                    output.show(frame(1, 64, 36), list, "")
        end = time.monotonic() + 5.0
        while output.is_watched and time.monotonic() < end:
            time.sleep(0.01)
        assert not output.is_watched
        time.sleep(0.1)
        assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_more_watchers_than_the_main_thread_bears_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.sock"
    with listening(path), ExitStack() as stack:
        for _ in range(WATCHERS):
            stack.enter_context(Client.connect(path).frames())
        with (
            Client.connect(path) as client,
            pytest.raises(RefusedError, match="too many") as caught,
        ):
            client.frames()
        assert caught.value.kind == "too_fast"


def test_of_many_who_ask_at_once_as_many_watch_as_may(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.sock"
    all_here = threading.Barrier(2 * WATCHERS)
    watching, refused = [], []

    def ask() -> None:
        with Client.connect(path) as client:
            all_here.wait(10.0)
            try:
                stream = client.frames()
            except RefusedError as exc:
                refused.append(exc.kind)
                all_here.wait(10.0)
            else:
                watching.append(stream)
                all_here.wait(10.0)  # nobody leaves before everybody was answered
                stream.close()

    with listening(path):
        asking = [threading.Thread(target=ask) for _ in range(2 * WATCHERS)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
    assert len(watching) == WATCHERS
    assert refused == ["too_fast"] * WATCHERS


def test_frames_are_made_in_a_few_sizes_however_many_are_asked_for(tmp_path: Path) -> None:
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    with listening(path, output=output), ExitStack() as stack:
        streams = [
            stack.enter_context(Client.connect(path).frames(max_width=width, per_second=200))
            for width in (1280, 640, 320, 600, 64)
        ]
        end, index, widths = time.monotonic() + 20.0, 0, [0] * len(streams)
        ended: set[int] = set()
        while time.monotonic() < end and not (all(widths[:4]) and ended):
            index += 1
            output.show(frame(index), list, "")
            for number in {*range(len(streams))} - ended:
                try:
                    if (seen := streams[number].next(0.005)) is not None:
                        widths[number] = seen.pixels.shape[1]
                except NotRunningError:  # noqa: PERF203 - one may end while others go on
                    ended.add(number)
        assert widths == [1280, 640, 320, 320, 0]
        assert len(set(widths) - {0}) == SIZES
        assert ended == {4}  # none is narrow enough


def test_who_keeps_the_memory_of_frames_gets_the_same_one_again(tmp_path: Path) -> None:
    """Else whoever comes and goes and keeps it makes the daemon take more and more."""
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    kept: set[int] = set()
    with listening(path, output=output):
        for number in range(4):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(5.0)
                peer.connect(str(path))
                send(peer, {"do": "frames"})
                assert receive(peer) is not None
                end = time.monotonic() + 5.0
                while not output.is_watched and time.monotonic() < end:
                    time.sleep(0.005)
                output.show(frame(number, 64, 36), list, "")
                message = receive(peer, take_files=True)
                assert message is not None
                [descriptor] = message.files
                kept.add(os.fstat(descriptor).st_ino)
                os.close(descriptor)
            end = time.monotonic() + 5.0
            while output.is_watched and time.monotonic() < end:
                time.sleep(0.005)
    assert len(kept) == 1


def test_without_watchers_a_frame_is_not_looked_at() -> None:
    def fail() -> list[tuple[Track, Visit | None]]:
        raise AssertionError

    output = ControlOutput(18)
    output.show(frame(1, 64, 36), fail, "")
