"""The process that looks at photos: what it answers, what it cannot do, and what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from confined_process import SAY, TELL, limits, program
from photographs import (
    blurred,
    hostile_files,
    jpeg,
    portrait_pixels,
    side_by_side,
)

from doorbell.config import Config, load_config
from doorbell.domain import Frame
from doorbell.errors import EnrollmentError
from doorbell.household.examination import examine_photo
from doorbell.household.photo_worker import GONE, TOO_LONG, PhotoWorker
from doorbell.imaging.photos import decode_photo
from doorbell.imaging.visit_picture import jpeg_size
from doorbell.pipeline.perception import Perception
from doorbell.testbed.waiting import eventually

HOSTILE = hostile_files()


@pytest.fixture(scope="module")
def config(models_directory: Path) -> Config:
    return load_config(None, [f"inference.models_directory={models_directory}"])


@pytest.fixture(scope="module")
def worker(config: Config) -> Iterator[PhotoWorker]:
    with closing(PhotoWorker(config, reply_seconds=100.0)) as worker:
        yield worker


def test_it_sees_what_enrolling_by_the_command_line_sees(
    worker: PhotoWorker, perception: Perception, models_directory: Path
) -> None:
    content = jpeg(portrait_pixels("obama", models_directory))
    seen = worker.examine(content)
    there = seen.photo.only_face()
    here = examine_photo(perception, decode_photo(content, "photo")).only_face()
    assert float(here.sample.embedding @ there.sample.embedding) > 0.999
    assert here.quality.size_pixels == pytest.approx(there.quality.size_pixels, abs=0.5)
    assert here.sample.quality == pytest.approx(there.sample.quality, abs=0.02)
    assert here.variants.keys() == there.variants.keys()
    assert len(there.variants) > 0
    assert (seen.width, seen.height) == (480, 600)
    assert [max(jpeg_size(each) or ()) for each in seen.previews] == [600, 320]
    assert jpeg_size(seen.portraits[0]) == (256, 256)


def test_two_faces_come_with_a_portrait_of_each(
    worker: PhotoWorker, models_directory: Path
) -> None:
    both = side_by_side(
        portrait_pixels("macron", models_directory), portrait_pixels("ardern", models_directory)
    )
    seen = worker.examine(jpeg(both))
    assert len(seen.photo.faces) == len(seen.portraits) == 2
    assert seen.portraits[0] != seen.portraits[1]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_lies_as_its_camera_was_held_and_is_shown_upright(
    worker: PhotoWorker, models_directory: Path, orientation: int
) -> None:
    turns = {3: 2, 6: 1, 8: 3}[orientation]
    upright = portrait_pixels("obama", models_directory)
    lying = np.ascontiguousarray(np.rot90(upright, turns))
    seen = worker.examine(jpeg(lying, orientation=orientation))
    assert (seen.width, seen.height) == (upright.shape[1], upright.shape[0])
    assert seen.photo.turned_degrees == 0
    assert seen.photo.only_face().sample.quality > 0.5


def test_a_photo_on_its_head_that_says_nothing_of_it_is_turned(
    worker: PhotoWorker, models_directory: Path
) -> None:
    upright = portrait_pixels("obama", models_directory)
    seen = worker.examine(jpeg(np.ascontiguousarray(np.rot90(upright, 2))))
    assert seen.photo.turned_degrees == 180
    assert seen.photo.only_face().sample.quality > 0.5


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_photo_gets_a_sentence_and_the_process_stays(
    worker: PhotoWorker, kind: str
) -> None:
    worker.examine(jpeg(np.full((64, 64, 3), 100, np.uint8)))
    pid = worker.pid
    assert pid is not None
    with pytest.raises(EnrollmentError) as refused:
        worker.examine(HOSTILE[kind])
    assert "photo" in str(refused.value)
    assert ";" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200
    assert worker.pid == pid


def test_a_photo_with_a_page_behind_it_is_a_photo(
    worker: PhotoWorker, models_directory: Path
) -> None:
    content = (
        jpeg(portrait_pixels("obama", models_directory)) + b"<script>alert(1)</script>PK\x03\x04"
    )
    seen = worker.examine(content)
    assert len(seen.photo.faces) == 1
    assert b"script" not in b"".join((*seen.previews, *seen.portraits))


def test_what_a_phone_notes_of_a_place_is_in_no_picture_that_is_kept(
    worker: PhotoWorker, models_directory: Path
) -> None:
    content = jpeg(portrait_pixels("obama", models_directory), orientation=1)
    assert b"Exif" in content
    seen = worker.examine(content)
    assert b"Exif" not in b"".join((*seen.previews, *seen.portraits))


def test_48_megapixels_fit_in_and_the_process_stays_within_its_bounds(
    worker: PhotoWorker, models_directory: Path
) -> None:
    large = portrait_pixels("obama", models_directory, 6000)
    content = jpeg(large)
    assert large.shape[0] * large.shape[1] > 44_000_000
    seen = worker.examine(content)
    assert seen.photo.only_face().quality.size_pixels > 1000
    assert worker.pid is not None
    status = Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 1_500_000  # kB


def test_a_blurred_face_is_measured_as_such(worker: PhotoWorker, models_directory: Path) -> None:
    face = worker.examine(jpeg(blurred(portrait_pixels("biden", models_directory))))
    assert face.photo.only_face().quality.sharpness < 0.11


def test_it_knows_no_secret_of_the_daemon_and_has_limits(
    monkeypatch: pytest.MonkeyPatch, config: Config
) -> None:
    monkeypatch.setenv("DOORBELL_PASSWORD", "secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/doorbell")
    with closing(PhotoWorker(config)) as own:
        own.examine(jpeg(np.full((64, 64, 3), 100, np.uint8)))
        pid = own.pid
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        bounded = limits(pid)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        assert os.getpriority(os.PRIO_PROCESS, pid or 0) - os.getpriority(os.PRIO_PROCESS, 0) >= 5
    assert b"secret" not in environment
    assert b"CREDENTIALS" not in environment
    assert bounded["Max file size"] == bounded["Max core file size"] == "0"
    assert bounded["Max processes"] == "0"
    assert int(bounded["Max open files"]) <= 64
    assert int(bounded["Max address space"]) < 8_000_000_000
    assert int(bounded["Max cpu time"]) < 200
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status


TRIES = {
    "socket": "socket.socket(socket.AF_INET)",
    "unix socket": "socket.socket(socket.AF_UNIX)",
    "pair of sockets": "socket.socketpair()",
    "file": "open(PATH, 'rb')",
    "new file": "open(PATH + '.new', 'wb')",
    "removing": "os.unlink(PATH)",
    "program": "os.execv('/bin/true', ['true'])",
    "process": "os.fork()",
    "signal": "os.kill(os.getppid(), 0)",
    "limits of another": "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)",
}


# What an older service manager leaves of seccomp: this thread alone can be confined later on.
OLDER = "confinement._load([confinement._Refusal('seccomp')], all_threads=False)"


@pytest.mark.parametrize("before", ["", OLDER])
def test_code_that_gets_into_it_reaches_nobody_and_no_file(
    tmp_path: Path, config: Config, before: str
) -> None:
    """The process itself, with its networks loaded, tries; it stands for what a decoder may do."""
    secret = tmp_path / "gallery.sqlite"
    secret.write_bytes(b"faces")
    command = program(
        tmp_path,
        TELL,
        f"""
            import os, resource, socket
            from doorbell.errors import EnrollmentError
            from doorbell.household import confinement, photo_process

            {before}
            PATH = {str(secret)!r}

            class Trying(photo_process.Photos):
                def answer(self, request, blob):
                    super().answer(request, blob)
                    raise EnrollmentError(tell({TRIES!r}))

            photo_process.Photos = Trying
            photo_process.main()
            """,
    )
    tiny = jpeg(np.full((64, 64, 3), 100, np.uint8))
    with (
        closing(PhotoWorker(config, command=command)) as worker,
        pytest.raises(EnrollmentError) as tried,
    ):
        worker.examine(tiny)
    assert str(tried.value).split("|") == [f"{name}: Operation not permitted" for name in TRIES]
    assert secret.read_bytes() == b"faces"
    assert not secret.with_name("gallery.sqlite.new").exists()


def test_it_reaches_no_other_process_by_a_pipe_s_signal_or_its_priority() -> None:
    code = """
        import ctypes, fcntl, os, signal
        from doorbell.household import confinement
        parent, (reading, writing) = os.getppid(), os.pipe()
        confinement.refuse_outside()
        confinement.refuse_files()
        call = ctypes.CDLL(None, use_errno=True).syscall
        fcntl_number = {"x86_64": 72, "aarch64": 25}[os.uname().machine]
        for command in (8, 1 << 32 | 8):  # F_SETOWN; the kernel looks at the lower half
            call(
                ctypes.c_long(fcntl_number),
                ctypes.c_long(reading),
                ctypes.c_long(command),
                ctypes.c_long(parent),
            )
        for change in (
            lambda: fcntl.fcntl(reading, 10, signal.SIGUSR1),  # F_SETSIG
            lambda: fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC),
            lambda: os.write(writing, b"x"),
            lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
            lambda: os.sched_setaffinity(parent, {min(os.sched_getaffinity(0))}),
        ):
            try:
                change()
            except PermissionError:
                pass
    """
    hit: list[int] = []
    earlier = {
        each: signal.signal(each, lambda number, _frame: hit.append(number))
        for each in (signal.SIGUSR1, signal.SIGIO)
    }
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    processors = os.sched_getaffinity(0)
    try:
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)
        assert hit == []
        assert os.getpriority(os.PRIO_PROCESS, 0) == priority
        assert os.sched_getaffinity(0) == processors
    finally:
        os.sched_setaffinity(0, processors)
        for each, handler in earlier.items():
            signal.signal(each, handler)


def test_who_takes_too_long_is_ended_and_the_next_gets_another(config: Config) -> None:
    tiny = jpeg(np.full((64, 64, 3), 100, np.uint8))
    with closing(PhotoWorker(config, reply_seconds=60.0)) as worker:
        worker.examine(tiny)
        first = worker.pid
        assert first is not None
        worker._reply_seconds = 0.5
        os.kill(first, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(EnrollmentError) as refused:
            worker.examine(tiny)
        assert str(refused.value) == TOO_LONG
        assert time.monotonic() - began < 10
        assert worker.pid is None
        worker._reply_seconds = 60.0
        assert worker.examine(tiny).photo.faces == ()
        assert worker.pid not in (None, first)


def test_who_is_killed_in_the_middle_gets_a_sentence_and_the_next_another(config: Config) -> None:
    tiny = jpeg(np.full((64, 64, 3), 100, np.uint8))
    with closing(PhotoWorker(config)) as worker:
        worker.examine(tiny)
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)  # so that it is in the middle
        threading.Timer(0.5, os.kill, (first, signal.SIGKILL)).start()
        with pytest.raises(EnrollmentError) as refused:
            worker.examine(tiny)
        assert str(refused.value) == GONE
        assert worker.examine(tiny).photo.faces == ()
        assert worker.pid not in (None, first)


def test_whoever_answers_what_it_should_not_is_not_believed(tmp_path: Path, config: Config) -> None:
    command = program(
        tmp_path,
        SAY,
        """
            say(b'{"turned_degrees": 0, "found": 1, "width": 10, "height": 10, '
                b'"preview_bytes": [4], "faces": [], "more": "of it"}', b"evil")
            sys.stdin.buffer.read()
            """,
    )
    with (
        closing(PhotoWorker(config, command=command)) as worker,
        pytest.raises(EnrollmentError, match="answered what it should not"),
    ):
        worker.examine(b"any")


def test_it_follows_who_stands_before_the_camera(
    worker: PhotoWorker, models_directory: Path
) -> None:
    pixels = portrait_pixels("obama", models_directory)
    seen = worker.watch()
    assert seen.seen == ()
    for index in range(4):
        seen = worker.add(Frame(pixels, index / 10, index / 10, index))
    assert "straight" in seen.seen
    assert "left" in seen.missing
    watched = worker.finish("the camera")
    assert watched.samples
    with pytest.raises(EnrollmentError, match="a request that is none"):
        worker.finish("the camera")


def test_nobody_before_the_camera_is_told(worker: PhotoWorker) -> None:
    worker.watch()
    worker.add(Frame(np.full((240, 320, 3), 90, np.uint8), 0.0, 0.0, 0))
    with pytest.raises(EnrollmentError, match="the camera shows no face good enough to enroll"):
        worker.finish("the camera")


@pytest.mark.long
def test_it_ends_itself_when_nobody_asks_and_is_there_again_for_the_next(
    tmp_path: Path, config: Config
) -> None:
    command = program(
        tmp_path,
        """
            from doorbell.household import photo_process
            photo_process.IDLE_SECONDS = 0.3
            photo_process.main()
            """,
    )
    tiny = jpeg(np.full((64, 64, 3), 100, np.uint8))
    with closing(PhotoWorker(config, command=command)) as worker:
        assert worker.pid is None
        worker.examine(tiny)
        first = worker.pid
        assert eventually(lambda: worker.pid is None, 10.0)
        assert not Path(f"/proc/{first}").exists()  # nor is it a zombie
        assert worker.examine(tiny).photo.faces == ()


def test_closing_ends_it_and_nothing_is_looked_at_any_more(config: Config) -> None:
    tiny = jpeg(np.full((64, 64, 3), 100, np.uint8))
    worker = PhotoWorker(config)
    worker.examine(tiny)
    worker.close()
    worker.close()
    assert worker.pid is None
    with pytest.raises(EnrollmentError, match="the doorbell stops"):
        worker.examine(tiny)
