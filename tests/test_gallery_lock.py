import os
import subprocess
import sys
from pathlib import Path

import pytest

from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.lock import LOCK_FILE, only_daemon

HOLD = """
import signal, subprocess, sys
from pathlib import Path
from doorbell.gallery.lock import only_daemon
with only_daemon(Path(sys.argv[1])):
    subprocess.Popen(["cat"], close_fds=False)
    print("held", flush=True)
    signal.pause()
"""
RELEASE_BESIDE_A_COPY = """
import os, signal, sys
from pathlib import Path
from doorbell.gallery.lock import only_daemon
with only_daemon(Path(sys.argv[1])):
    copy = os.fork()
    if not copy:
        signal.pause()
try:
    with only_daemon(Path(sys.argv[1])):
        pass
finally:
    os.kill(copy, signal.SIGKILL)
"""


def test_a_killed_daemon_and_what_it_started_hold_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        child.stdin.write("playing\n")
        child.stdin.flush()
        assert child.stdout.readline() == "playing\n"
        with (
            pytest.raises(GalleryError, match=rf"\(process {child.pid}\) is running") as caught,
            only_daemon(directory),
        ):
            pass
        assert caught.value.exit_code == 3
        with Gallery.open(directory / "gallery.sqlite") as gallery:  # as the command line does
            gallery.visits.close_open()
        child.kill()
        child.wait()
        with only_daemon(directory):
            assert (directory / LOCK_FILE).stat().st_mode & 0o077 == 0


def test_a_program_that_is_just_being_started_does_not_hold_a_gallery_that_was_let_go(
    tmp_path: Path,
) -> None:
    """Between fork and exec a child has a copy of the descriptor, closed on exec or not."""
    subprocess.run([sys.executable, "-c", RELEASE_BESIDE_A_COPY, str(tmp_path)], check=True)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(GalleryError, match=r"cannot write .*daemon\.lock"),
        only_daemon(tmp_path / "file" / "state"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works for somebody else")
def test_a_command_of_root_leaves_the_daemons_user_a_lock_to_take(tmp_path: Path) -> None:
    daemons_user = 12345
    os.chown(tmp_path, daemons_user, daemons_user)
    with only_daemon(tmp_path):
        pass
    assert (tmp_path / LOCK_FILE).stat().st_uid == daemons_user
