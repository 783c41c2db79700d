"""What a daemon that knows somebody leaves on the disk, on the wire and in the log, and to whom."""

import base64
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from doorbell.config import load_config
from doorbell.domain import Visit
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.migrations import EMBEDDING_TABLES
from doorbell.household.enrollment import Enroller
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DOORBELL, DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

NAME = "Žofie Nováková"  # in no log of a library, unlike an ordinary one
ESCAPED = json.dumps(NAME)[1:-1].encode()

# A call that names a peer or an own address, as strace writes it.
ADDRESS = re.compile(r"sa_family=(AF_\w+)(?:, sin6?_port=htons\((\d+)\).*?\"([0-9a-f.:]+)\")?")
TARGETS = '[{name = "anna", webhook = "http://127.0.0.1:9", secret_file = "s", picture = true}]'
# Longer than a busy machine leaves between two frames: then one visit would be two.
ABSENCE = "visits.absence_seconds=2"
VISITOR = Visitor(enters=0.3, approach=1.5, stays=2.5)
NUMBERS_IN_A_ROW = re.compile(rb"(?:-?\d+\.\d+(?:e-?\d+)?[\s,;]+){8}")


@dataclass
class Evidence:
    """What a run has left behind."""

    state: Path
    port: int
    log: str
    calls: str
    messages: list[bytes]
    retained: dict[str, bytes]
    modes: dict[str, int]
    faces: list[bytes]
    traces: dict[str, list[str]]
    """By what was looked for: the files that had it after the person was forgotten."""


def embeddings(gallery_path: Path) -> list[bytes]:
    with closing(sqlite3.connect(gallery_path)) as connection:
        return [
            bytes(row[0])
            for table in EMBEDDING_TABLES
            for row in connection.execute(f"SELECT embedding FROM {table}")  # noqa: S608 - our own words
        ]


def modes(directory: Path) -> dict[str, int]:
    found = {".": stat.S_IMODE(directory.stat().st_mode)}
    for path in directory.rglob("*"):
        kind = "/" if path.is_dir() else ""
        found[f"{path.relative_to(directory)}{kind}"] = stat.S_IMODE(path.stat().st_mode)
    return found


def holding(directory: Path, wanted: bytes) -> list[str]:
    return [
        str(path.relative_to(directory))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and wanted in path.read_bytes()
    ]


def holding_but_notices(directory: Path, visit_id: bytes) -> list[str]:
    """Where a visit's number is left, but for that the notifier is to forget it."""
    files = holding(directory, visit_id)
    return [file for file in files if not file.startswith("notices.sqlite")]


def retained_once_forgotten(broker: Mosquitto, traces: Collection[bytes] = ()) -> dict[str, bytes]:
    """What the broker keeps, by topic, after the last visitor is nobody any more.

    Args:
        broker: which.
        traces: of who was forgotten; the topics are changed one after the other.
    """
    with Subscriber(broker.port) as listener:
        eventually(
            lambda: [d["visitor"] for d in listener.documents("visitor")][-1:] == ["unknown"]
        )
    kept: dict[str, bytes] = {}

    def is_without_traces() -> bool:
        with Subscriber(broker.port) as late:
            assert eventually(lambda: late.of("visitor") != [], 2)
            kept.clear()
            kept.update((message.topic, message.payload) for message in late.messages)
        return not any(trace in payload for trace in traces for payload in kept.values())

    eventually(is_without_traces, 3)
    return kept


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    models_directory: Path,
    faces: Path,
    perception: Perception,
) -> Evidence:
    """Somebody known comes and goes; then they are forgotten, beside the running daemon."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = tmp_path_factory.mktemp("privacy")
    state = folder / "state"
    settings = [f"storage.directory={state}"]
    with Gallery.open(state / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos(NAME, [face_path("obama2", models_directory)])
        plain = [
            each.embedding.tobytes() for each in gallery.people.samples(NAME, perception.model_id)
        ]
    camera = simulated(folder, faces, VISITOR)
    settings += [
        f"camera.uri={camera}",
        *("camera.width=640", "camera.height=360", "camera.frames_per_second=10"),
        *("mqtt.enabled=true", "mqtt.host=127.0.0.1"),
        *(ABSENCE, "chime.enabled=false", "log.level=debug"),
    ]
    calls = folder / "calls"
    # -D: the daemon is the child that signals reach, and strace watches from beside.
    trace = ["strace", "-D", "-f", "-qq", "-o", str(calls)]
    trace += ["-e", "trace=connect,bind,listen,sendto,sendmsg,sendmmsg,getsockname"]
    with (
        Mosquitto(folder, "allow_anonymous true") as broker,
        Subscriber(broker.port) as listener,
    ):
        settings.append(f"mqtt.port={broker.port}")
        command = [*trace, *run_command(*settings)]
        with DaemonProcess(command, folder / "log", umask=0o022) as daemon:
            pictures = state / "pictures"
            assert eventually(
                lambda: [e["event_type"] for e in listener.documents("event")][-1:] == ["left"], 40
            ), daemon.log
            assert eventually(lambda: any(pictures.glob("*.jpg")))
            assert NAME in [each.get("person") for each in listener.documents("event")]
            before, kept = modes(state), embeddings(state / "gallery.sqlite")
            (picture,) = (path.read_bytes() for path in pictures.glob("*.jpg"))
            subprocess.run(
                [*DOORBELL, "people", "forget", NAME, "--yes", "--set", *settings[:1]],
                check=True,
                capture_output=True,
                timeout=30,
            )
            wanted = {
                "name": NAME.encode(),
                "name in JSON": ESCAPED,
                "picture": picture[:64],
                "key": NAME.casefold().encode(),
            }
            wanted |= {f"face {i}": face[:64] for i, face in enumerate([*kept, *plain])}
            eventually(lambda: not any(holding(state, each) for each in wanted.values()), 3)
            traces = {what: holding(state, each) for what, each in wanted.items()}
            retained = retained_once_forgotten(broker, [NAME.encode(), ESCAPED])
        messages = [message.payload for message in listener.messages]
    return Evidence(
        state,
        broker.port,
        daemon.log,
        calls.read_text(),
        messages,
        retained,
        before,
        [*kept, *plain],
        traces,
    )


def test_what_is_kept_is_for_its_owner_alone_whatever_the_umask(run: Evidence) -> None:
    assert {"gallery.sqlite", "gallery.sqlite-wal", "pictures/"} <= set(run.modes)
    loose = {
        name: oct(mode)
        for name, mode in run.modes.items()
        if mode != (0o700 if name.endswith(("/", ".")) else 0o600)
    }
    assert loose == {}
    assert {path.stat().st_uid for path in run.state.rglob("*")} == {os.getuid()}


def test_nobody_is_spoken_to_but_the_broker(run: Evidence) -> None:
    """Connections, datagrams and listening sockets of the daemon and of every child of it."""
    peers = {
        (address, int(port))
        for line in run.calls.splitlines()
        if "bind(" not in line
        for family, port, address in ADDRESS.findall(line)
        if family not in ("AF_UNIX", "AF_NETLINK")
    }
    # paho wakes its own thread through a pair of sockets on the loopback device.
    assert {address for address, _ in peers} == {"127.0.0.1"}
    assert ("127.0.0.1", run.port) in peers
    own = {int(port) for port in re.findall(r"getsockname.*?htons\((\d+)\)", run.calls)}
    assert {port for _, port in peers} - own == {run.port}


def test_no_embedding_is_logged_or_published(run: Evidence) -> None:
    published = b"\n".join(run.messages)
    for told in (run.log.encode(), published):
        assert not NUMBERS_IN_A_ROW.search(told)
        for face in run.faces:
            assert face[:32] not in told
            assert face[:32].hex().encode() not in told.lower()
            for shift in range(3):
                assert base64.b64encode(face[shift : shift + 30]) not in told


def test_whoever_is_forgotten_is_on_the_disk_no_more(run: Evidence) -> None:
    assert {what: files for what, files in run.traces.items() if files} == {}


def test_whoever_is_forgotten_is_no_state_of_the_broker_any_more(run: Evidence) -> None:
    assert not [
        topic
        for topic, payload in run.retained.items()
        if NAME.encode() in payload or ESCAPED in payload
    ]
    assert not [topic for topic in run.retained if topic.endswith("/image")]


@contextmanager
def watching(folder: Path, broker: Mosquitto, *settings: str) -> Iterator[Subscriber]:
    """A daemon that is not watched itself, and a subscriber."""
    command = run_command(
        f"storage.directory={folder / 'state'}",
        *("camera.width=640", "camera.height=360", "camera.frames_per_second=10"),
        *("mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={broker.port}"),
        *(ABSENCE, "chime.enabled=false", "mqtt.allow_forget=true"),
        # Nobody takes the notices, so that they wait.
        *("notifications.enabled=true", f"notifications.targets={TARGETS}"),
        *settings,
    )
    with Subscriber(broker.port) as listener, DaemonProcess(command, folder / "log"):
        yield listener


def let_time_pass(gallery_path: Path) -> None:
    """A hundred days, to the end of which somebody came whom nobody saw well."""
    with closing(sqlite3.connect(gallery_path)) as connection, connection:
        for table, columns in (
            ("visits", ("started_at", "last_seen_at", "ended_at")),
            ("strangers", ("first_seen_at", "last_seen_at")),
        ):
            for column in columns:
                connection.execute(f"UPDATE {table} SET {column} = {column} - 8640000")  # noqa: S608 - our own words
    with Gallery.open(gallery_path) as gallery:
        gallery.visits.save(Visit("recent", time.time() - 60, time.time() - 60, time.time() - 60))


@pytest.mark.parametrize("way", ["people forget", "strangers forget", "a command", "retention"])
def test_whoever_is_forgotten_is_nowhere_any_more_whoever_asked(
    tmp_path: Path,
    *,
    models_directory: Path,
    faces: Path,
    perception: Perception,
    broker: Mosquitto,
    way: str,
) -> None:
    state = tmp_path / "state"
    who = "person" if way in ("people forget", "a command") else "stranger"
    if who == "person":
        with Gallery.open(state / "gallery.sqlite") as gallery:
            enroller = Enroller(perception, gallery, load_config(None))
            enroller.enroll_photos(NAME, [face_path("obama2", models_directory)])
    camera = simulated(tmp_path, faces, VISITOR)
    with watching(tmp_path, broker, f"camera.uri={camera}") as listener:
        assert eventually(
            lambda: [e["event_type"] for e in listener.documents("event")][-1:] == ["left"], 40
        ), (tmp_path / "log").read_text()
        left = listener.documents("event")[-1]
        assert left[who] == (NAME if who == "person" else "stranger-1")
        assert eventually(lambda: listener.of("image") != [])
        picture = state / "pictures" / f"{left['visit_id']}.jpg"
        assert eventually(picture.exists)
        traces = [left["visit_id"].encode(), picture.read_bytes()[:64]]
        traces += [NAME.encode(), ESCAPED] if who == "person" else [b"stranger-1"]
        traces += [face[:64] for face in embeddings(state / "gallery.sqlite")]
        if way == "a command":
            command = json.dumps({"name": NAME}).encode()
            listener.publish("doorbell/front-door/forget", command)
        elif way != "retention":
            words = [*way.split(), NAME if who == "person" else "1", "--yes"]
            subprocess.run(
                [*DOORBELL, *words, "--set", f"storage.directory={state}"],
                check=True,
                capture_output=True,
                timeout=30,
            )
        if way != "retention":
            retained = retained_once_forgotten(broker, traces)
    if way == "retention":
        let_time_pass(state / "gallery.sqlite")
        nobody = simulated(tmp_path, faces, Visitor(enters=290.0, approach=1.0))
        with watching(tmp_path, broker, f"camera.uri={nobody}"):
            retained = retained_once_forgotten(broker, traces)
    left_behind = {trace: holding_but_notices(state, trace) for trace in traces[:1]}
    left_behind |= {trace: holding(state, trace) for trace in traces[1:]}
    assert not any(left_behind.values()), left_behind
    assert list((state / "pictures").iterdir()) == []
    told = [topic for topic, payload in retained.items() for trace in traces if trace in payload]
    assert told == []
    assert not [topic for topic in retained if topic.endswith("/image")]
    with Gallery.open(state / "gallery.sqlite") as gallery:
        assert (gallery.people.all(), gallery.strangers.all()) == ([], [])
        assert [each.visit_id for each in gallery.visits.newest(9)] in ([], ["recent"])


def test_whoever_is_forgotten_by_a_command_is_nowhere_any_more_once_it_is_answered(
    tmp_path: Path, models_directory: Path, faces: Path, perception: Perception, broker: Mosquitto
) -> None:
    state = tmp_path / "state"
    with Gallery.open(state / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos(NAME, [face_path("obama2", models_directory)])
    camera = simulated(tmp_path, faces, VISITOR)
    with watching(tmp_path, broker, f"camera.uri={camera}") as listener:
        assert eventually(
            lambda: [e["event_type"] for e in listener.documents("event")][-1:] == ["left"], 40
        ), (tmp_path / "log").read_text()
        assert eventually(lambda: any((state / "pictures").glob("*.jpg")))
        visit_id = listener.documents("event")[-1]["visit_id"]
        for name, request_id in ((NAME, "1"), ("Nobody", "2")):
            request = json.dumps({"name": name, "id": request_id}).encode()
            listener.publish("doorbell/front-door/forget", request)
        assert eventually(lambda: len(listener.of("reply")) == 2)
        # What was answered has happened: the broker has heard it before the answer.
        before = listener.messages[: listener.topics().index("reply")]
        assert [bytes(m.payload) for m in before if m.topic.endswith("/image")][-1] == b""
        told = [(each["id"], each["done"]) for each in listener.documents("reply")]
        assert told == [("1", True), ("2", False)]
        assert eventually(lambda: not any((state / "pictures").glob("*.jpg")), 3)
        assert not holding_but_notices(state, visit_id.encode())
        retained = retained_once_forgotten(broker, [visit_id.encode(), ESCAPED])
    assert not [topic for topic, payload in retained.items() if visit_id.encode() in payload]
    assert not [topic for topic, payload in retained.items() if ESCAPED in payload]
    assert not [topic for topic in retained if topic.endswith(("/image", "/reply"))]
