"""That no package sends its vendor anything, on a network that would carry it.

The processes run in a network namespace of their own, whose only way out is a wire that nobody
reads, so that every packet to any address, a question for a name's address among them, is counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doorbell.models.store import face_path
from doorbell.testbed.daemon_process import DOORBELL

pytestmark = pytest.mark.system

# Runs the command that it is given, then prints how many packets it sent.
COUNTED = """
set -e
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip link add out type veth peer name wire
ip address add 192.0.2.2/24 dev out
for device in lo out wire; do ip link set "$device" up; done
ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev out
ip route add default via 192.0.2.1
"$@" >&2
awk -F '[: ]+' '/^ *(lo|out):/ { sent += $12 } END { print "sent", sent }' /proc/net/dev
"""


def packets_sent(home: Path, *command: str | Path) -> int:
    """How many packets a command and its children send."""
    ran = subprocess.run(
        ["unshare", "--net", "bash", "-c", COUNTED, "counted", *command],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout.split()[-1])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Of a user who has let OpenVINO report what they do, with another program say."""
    if os.getuid() != 0:
        pytest.skip("only root can make a network namespace with a way out")
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("ip or unshare is not installed")
    probe = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", "out", "type", "veth"],
        check=False,
        capture_output=True,
        text=True,
    )
    if probe.returncode != 0:
        pytest.skip(f"no network namespace can be made here: {probe.stderr.strip()}")
    consent = tmp_path / "intel" / "openvino_telemetry"
    consent.parent.mkdir()
    consent.write_text("1")
    return tmp_path


def test_openvino_reports_its_use_where_nobody_stops_it(home: Path) -> None:
    """That the count sees what the next test must not."""
    assert packets_sent(home, sys.executable, "-c", "import openvino, time; time.sleep(3)") > 0


def test_the_doorbell_sends_nothing_of_the_kind(home: Path, models_directory: Path) -> None:
    photo = face_path("obama", models_directory)
    settings = [f"storage.directory={home}/state", f"inference.models_directory={models_directory}"]
    given = [word for setting in settings for word in ("--set", setting)]

    assert packets_sent(home, *DOORBELL, "enroll", "Anna", photo, *given) == 0
    assert (home / "state" / "gallery.sqlite").exists()
