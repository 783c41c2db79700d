import os
import subprocess
import sys
from pathlib import Path

import pytest

from doorbell.errors import GalleryError
from doorbell.recognition.gallery import Gallery
from doorbell.recognition.gallery_lock import LOCK_FILE, only_daemon

HOLD = """
import sys
from pathlib import Path
from doorbell.recognition.gallery_lock import only_daemon
with only_daemon(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_daemon_holds_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with (
            pytest.raises(GalleryError, match=rf"\(process {child.pid}\) is running") as caught,
            only_daemon(directory),
        ):
            pass
        assert caught.value.exit_code == 3
        with Gallery.open(directory / "gallery.sqlite") as gallery:  # as the command line does
            gallery.close_open_visits()
        child.kill()
    with only_daemon(directory):
        assert (directory / LOCK_FILE).stat().st_mode & 0o077 == 0


def test_a_program_started_by_the_daemon_does_not_hold_the_gallery_after_it(
    tmp_path: Path,
) -> None:
    with only_daemon(tmp_path):
        player = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            close_fds=False,
        )
    try:
        with only_daemon(tmp_path):
            pass
    finally:
        player.communicate()


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
