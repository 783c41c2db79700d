"""Files that are whole or not there, on a real disk, also on one of a single megabyte."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from doorbell.storage.files import (
    OWNER_ONLY,
    READABLE,
    make_private_directory,
    remove_left_behind,
    whole_file,
    write_whole,
)

# Writes half of a file, says so, and waits.
HALF = """
import sys, time
from pathlib import Path
from doorbell.storage.files import whole_file
with whole_file(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
"""


def writing_half(path: Path) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-c", HALF, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    return writer


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_by_a_whole_one(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"earlier")
    with whole_file(path, durable=durable) as partial:
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"earlier"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "expected"), [(OWNER_ONLY, 0o600), (READABLE, 0o644)])
def test_only_the_owner_reads_it_unless_it_is_for_others(
    tmp_path: Path, mode: int, expected: int
) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o666)
    modes = []
    with whole_file(path, mode=mode) as partial:
        modes.append(stat.S_IMODE(partial.stat().st_mode))
    modes.append(stat.S_IMODE(path.stat().st_mode))
    assert modes == [expected, expected]


def test_a_private_directory_is_its_owners_and_one_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "above" / "private"
    make_private_directory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    path.chmod(0o750)
    make_private_directory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


@pytest.mark.parametrize("fault", [OSError("disk"), KeyboardInterrupt(), ValueError("no key")])
def test_a_fault_in_the_middle_leaves_the_earlier_file_and_nothing_else(
    tmp_path: Path, fault: BaseException
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"earlier")

    def write() -> None:
        with whole_file(path) as partial:
            partial.write_bytes(b"half")
            raise fault

    with pytest.raises(type(fault)):
        write()
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_leaves_the_earlier_file_and_the_next_writer_clears_up(tmp_path: Path) -> None:
    path = tmp_path / "file[1].jpg"
    other = tmp_path / ".file.xyz.part"
    for each in (path, other):
        each.write_bytes(b"earlier")
    kill(writing_half(path))
    assert path.read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 3
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert set(tmp_path.iterdir()) == {path, other}


def test_two_processes_that_write_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    other = writing_half(path)
    try:
        write_whole(path, b"new")
        assert path.read_bytes() == b"new"
        (unfinished,) = (each for each in tmp_path.iterdir() if each != path)
        assert unfinished.read_bytes() == b"half"
    finally:
        kill(other)


def test_what_was_left_behind_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    killed, other = writing_half(tmp_path / "killed.jpg"), writing_half(tmp_path / "other.jpg")
    try:
        kill(killed)
        foreign = tmp_path / "foreign.jpg"
        foreign.touch()
        remove_left_behind(tmp_path)
        (unfinished,) = (each for each in tmp_path.iterdir() if each != foreign)
        assert unfinished.name.startswith(".other.jpg.")
    finally:
        kill(other)


def test_without_locks_what_is_old_was_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    old, new = tmp_path / ".old.jpg.x.part", tmp_path / ".new.jpg.x.part"
    for each in (old, new):
        each.touch()
    os.utime(old, (time.time() - 7200.0,) * 2)
    remove_left_behind(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_files_are_written_whole_while_what_is_left_behind_is_removed(tmp_path: Path) -> None:
    def write(worker: int) -> None:
        for each in range(300):
            write_whole(tmp_path / f"{worker}-{each}", b"whole", durable=False)

    with ThreadPoolExecutor() as pool:
        writing = [pool.submit(write, worker) for worker in range(2)]
        while not all(each.done() for each in writing):
            remove_left_behind(tmp_path)
        for each in writing:
            each.result()
    assert sum(path.read_bytes() == b"whole" for path in tmp_path.iterdir()) == 600


def test_a_file_that_must_be_new_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_whole(path, b"first", replace=False)
    with pytest.raises(FileExistsError, match="key"):
        write_whole(path, b"second", replace=False)

    late = tmp_path / "late"

    def write_while_another_does() -> None:
        with whole_file(late, replace=False) as partial:
            partial.write_bytes(b"second")
            late.write_bytes(b"first")

    with pytest.raises(FileExistsError):
        write_while_another_does()
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_whole(dangling, b"second", replace=False)
    assert path.read_bytes() == late.read_bytes() == b"first"
    assert set(tmp_path.iterdir()) == {path, late, dangling}


def test_a_full_disk_keeps_the_earlier_file(small_disk: Path) -> None:
    path = small_disk / "file"
    write_whole(path, b"earlier")
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"n" * 2_000_000)
    assert path.read_bytes() == b"earlier"
    assert list(small_disk.iterdir()) == [path]


def test_a_directory_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "file", b"content")


def test_what_lies_under_the_name_of_a_leftover_is_not_followed(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    elsewhere.write_bytes(b"kept")
    link = tmp_path / ".file.abc.part"
    link.symlink_to(elsewhere)
    write_whole(path, b"new")
    assert elsewhere.read_bytes() == b"kept"
    assert path.read_bytes() == b"new"
    assert link.readlink() == elsewhere
