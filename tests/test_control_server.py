"""Who may ask on the control socket, how often, and that nobody keeps anybody waiting."""

from __future__ import annotations

import grp
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from doorbell.config import ControlSection
from doorbell.control.client import Client, is_running
from doorbell.control.schema import Request
from doorbell.control.wire import MAX_PHOTO_BYTES, REST_SECONDS, receive, send
from doorbell.daemon.control.output import SIZES, WATCHERS, ControlOutput
from doorbell.daemon.control.server import (
    CONNECTIONS,
    UPLOADS,
    Answer,
    ControlServer,
    Handler,
)
from doorbell.domain import Face, Frame, Left, Person, Ring, Track, Visit
from doorbell.errors import (
    ControlError,
    NotRunningError,
    RefusedError,
    UnknownPersonError,
    UsageError,
)
from doorbell.status import CameraCondition, CameraState, Message

SECTION = ControlSection()
PERSON = Person(3, "Ann")


def refuse(error: Exception) -> Handler:
    def handler(_request: Request, _blob: bytes) -> Answer:
        raise error

    return handler


HANDLERS: Mapping[str, Handler] = {
    "status": lambda _request, _blob: Answer({"people": 3}),
    "chime.sound": lambda request, _blob: Answer(
        {"chime": getattr(request, "chime", "")}, b"RIFF" * 1000
    ),
    "people.get": refuse(UnknownPersonError("nobody has the number 5")),
    "people.rename": refuse(UsageError("somebody else has that name")),
    "ring": refuse(ControlError("the doorbell does not answer")),
    "people.list": refuse(ZeroDivisionError("a defect")),
}


@contextmanager
def listening(
    path: Path, section: ControlSection = SECTION, output: ControlOutput | None = None
) -> Iterator[ControlServer]:
    with closing(ControlServer(section, path, HANDLERS, output or ControlOutput(18))) as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    with listening(tmp_path / "doorbell.sock"):
        yield tmp_path / "doorbell.sock"


def test_requests_are_answered_one_after_the_other(path: Path) -> None:
    with Client.connect(path) as client:
        assert client.ask("status").document["people"] == 3
        reply = client.ask("chime.sound", chime="gong")
        assert reply.document["chime"] == "gong"
        assert reply.blob == b"RIFF" * 1000


@pytest.mark.parametrize(
    ("verb", "arguments", "kind", "words"),
    [
        ("people.get", {"person_id": 5}, "not_found", "nobody has the number 5"),
        ("people.rename", {"person_id": 5, "name": "B"}, "refused", "somebody else"),
        ("ring", {}, "failed", "does not answer"),
        ("people.list", {}, "failed", "its log says more"),
        ("no.such", {}, "refused", "there is no request 'no.such'"),
        ("status", {"more": 1}, "refused", "more"),
    ],
)
def test_what_is_refused_says_why_and_the_connection_goes_on(
    path: Path, verb: str, arguments: dict[str, Any], kind: str, words: str
) -> None:
    with Client.connect(path) as client:
        with pytest.raises(RefusedError, match=words) as caught:
            client.ask(verb, **arguments)
        assert caught.value.kind == kind
        assert client.ask("status").document["ok"]


def test_bytes_are_taken_only_where_they_belong(path: Path) -> None:
    with Client.connect(path) as client, pytest.raises(RefusedError, match="no bytes"):
        client.ask("status", b"photo")


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">II", 2**31, 0)])
def test_noise_ends_its_own_connection_and_no_other(path: Path, noise: bytes) -> None:
    with Client.connect(path) as client, socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(5.0)
        peer.connect(str(path))
        peer.sendall(noise)
        with suppress(ConnectionResetError):  # what was not read
            assert peer.recv(1) == b""
        assert client.ask("status").document["ok"]


def test_who_asks_too_often_is_told_so(path: Path) -> None:
    with Client.connect(path) as client:
        kinds = set()
        for _ in range(30):
            with pytest.raises(RefusedError) as caught:
                client.ask("ring")
            kinds.add(caught.value.kind)
        assert "too_fast" in kinds
        assert client.ask("status").document["ok"]


def test_the_socket_is_its_owner_s_alone_unless_a_group_is_given(tmp_path: Path) -> None:
    path = tmp_path / "own.sock"
    with listening(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    with listening(path, ControlSection(group="users")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(ControlError, match="no such group"):
        ControlServer(ControlSection(group="nosuchgroup"), path, HANDLERS, ControlOutput(18))


def asked_by(path: Path, uid: int) -> str:
    """What a user of the group users is answered, asked in a process of theirs."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        told = "nothing"
        try:
            os.setgid(65534)
            os.setgroups([grp.getgrnam("users").gr_gid])
            os.setuid(uid)
            with Client.connect(path) as client:
                told = str(client.ask("status").document["people"])
        except ControlError as exc:
            told = str(exc)
        finally:
            os.write(writing, told.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        return said.read()


@pytest.fixture
def for_everybody() -> Iterator[Path]:
    """A folder that other users may look into, which those of tests are not."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
def test_other_users_are_refused_unless_they_are_named(for_everybody: Path) -> None:
    path = for_everybody / "doorbell.sock"

    with listening(path):
        assert "may not ask" in asked_by(path, 65534)  # nobody: the file keeps them out
    with listening(path, ControlSection(group="users")):
        assert "this user may not ask" in asked_by(path, 65534)  # in the group, and named nowhere
    with listening(path, ControlSection(group="users", users=("nobody",))):
        assert asked_by(path, 65534) == "3"
        assert "this user may not ask" in asked_by(path, 33)


def test_more_connections_than_are_allowed_are_refused_and_room_comes_back(path: Path) -> None:
    held = [Client.connect(path) for _ in range(CONNECTIONS)]
    for each in held:
        each.ask("status")
    with Client.connect(path) as client, pytest.raises(ControlError, match=r"too many|stopped"):
        client.ask("status")
    for each in held:
        each.close()
    end = time.monotonic() + 5.0
    while True:
        try:
            with Client.connect(path) as client:
                assert client.ask("status").document["ok"]
            break
        except ControlError:
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
def test_one_user_s_connections_leave_room_for_another_s(for_everybody: Path) -> None:
    path = for_everybody / "doorbell.sock"
    with (
        listening(path, ControlSection(group="users", users=("nobody",))),
        ExitStack() as held,
    ):
        for _ in range(CONNECTIONS):
            held.enter_context(Client.connect(path)).ask("status")
        assert asked_by(path, 65534) == "3"


def test_a_message_that_is_begun_and_never_ended_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.sock"
    with listening(path), socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(REST_SECONDS + 3.0)
        peer.connect(str(path))
        peer.sendall(b"\0\0")
        assert peer.recv(1) == b""


def test_only_a_few_photos_are_taken_in_at_a_time(path: Path) -> None:
    text = b'{"do":"photo.examine"}'
    with ExitStack() as stack, Client.connect(path) as client:
        senders = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(UPLOADS)]
        for each in senders:
            each.connect(str(path))
            each.sendall(struct.pack(">II", len(text), MAX_PHOTO_BYTES) + text + bytes(1000))
        time.sleep(0.2)
        with pytest.raises(RefusedError, match="too many") as caught:
            client.ask("photo.examine", bytes(MAX_PHOTO_BYTES))
        assert caught.value.kind == "too_fast"
        with Client.connect(path) as other:
            assert other.ask("status").document["ok"]
        for each in senders:
            each.close()
        time.sleep(0.2)
        with Client.connect(path) as other, pytest.raises(RefusedError, match="log says more"):
            other.ask("photo.examine", bytes(MAX_PHOTO_BYTES))  # nobody answers it here


def test_a_long_path_and_what_a_killed_run_left_are_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / ("longer-" * 20)
    folder.mkdir(parents=True)
    path = folder / "doorbell.sock"
    path.write_text("left behind")
    with listening(path), Client.connect(path) as client:
        assert client.ask("status").document["ok"]


def test_without_a_doorbell_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.sock"
    with pytest.raises(NotRunningError, match="not running"):
        Client.connect(path)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()  # as after a kill
    assert not is_running(path)
    path.unlink()
    with listening(path):
        assert is_running(path)
        client = Client.connect(path)
        client.ask("status")
    with pytest.raises(NotRunningError):
        client.ask("status")
    client.close()


def event() -> Message:
    return Ring("e1", 1_700_000_000.0, Visit("v1", 1_700_000_000.0, 1_700_000_001.0, None, PERSON))


def test_who_listens_hears_of_events_changes_and_that_nothing_is_new(tmp_path: Path) -> None:
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    with listening(path, output=output), Client.connect(path) as client:
        heard = client.events()
        assert next(heard) == {"event": "alive"}  # and so it listens by now
        output.handle(event())
        output.handle(CameraState(CameraCondition.LIVE, "", 0.0))
        told = [
            each for each in (next(heard), next(heard), next(heard)) if each["event"] != "alive"
        ]
        assert told[0]["event"] == "ring"
        assert told[0]["visit"]["visitor"] == {
            "kind": "person",
            "id": 3,
            "label": "Ann",
            "ignored": False,
        }
        assert told[1] == {"event": "changed", "what": "camera"}
        assert [each.visit_id for each in output.latest.at_the_door.values()] == ["v1"]
        output.handle(
            Left("e2", 1_700_000_009.0, Visit("v1", 1_700_000_000.0, 5.0, 1_700_000_009.0))
        )
        assert output.latest.at_the_door == {}


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
            output.show(now, partial(list, [(seen, visit), (track(-1.0), None)]))

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
    assert output.latest.camera is None


def test_a_watcher_is_given_no_more_frames_than_were_asked_for(tmp_path: Path) -> None:
    output = ControlOutput(18)
    path = tmp_path / "doorbell.sock"
    with listening(path, output=output), Client.connect(path).frames(per_second=5.0) as stream:
        end = time.monotonic() + 1.0
        index = 0
        got = []
        while time.monotonic() < end:
            index += 1
            output.show(frame(index, 320, 180), list)
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
                    output.show(frame(1, 64, 36), list)
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
            output.show(frame(index), list)
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
                output.show(frame(number, 64, 36), list)
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
    output.show(frame(1, 64, 36), fail)
