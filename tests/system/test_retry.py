"""A doorbell that failed is started again after a pause: the shipped units, run by a real systemd.

The manager is one of a user's, in namespaces of its own, where nothing of this machine is touched.
Two programs are stood before in there: ``sleep`` has its argument checked by the real one and does
not take the time, and ``systemctl`` speaks to that manager.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
MANAGER = Path("/usr/lib/systemd/systemd")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        os.geteuid() != 0 or not MANAGER.exists() or shutil.which("unshare") is None,
        reason="only root may run a manager of services in namespaces of its own",
    ),
]

# Goes on for as long as the real one would wait: that it waits is all there is to see.
SLEEP = """#!/bin/sh
timeout 0.2 {folder}/real-sleep "$@"
status=$?
echo "sleep $* $status" >>{folder}/slept
test $status -eq 124
"""
SYSTEMCTL = """#!/bin/sh
exec {folder}/real-systemctl --user "$@"
"""
# What the unit starts in place of the doorbell: it fails as one without a configuration, once.
DOORBELL = """#!/bin/sh
echo start >>{folder}/starts
test "$(wc -l <{folder}/starts)" -ge 2 || exit 2
systemd-notify --ready
exec {folder}/real-sleep 60
"""
STORY = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p -m 700 /run/systemd/system /run/user
for program in sleep systemctl; do
    mount --bind {folder}/$program "$(readlink -f "$(command -v $program)")"
done
export XDG_RUNTIME_DIR=/run/user XDG_CONFIG_HOME={folder}/config
{manager} --user --log-target=console >{folder}/manager.log 2>&1 &
manager=$!
wait_for() {{
    for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; {folder}/real-sleep 0.1; done
}}
is_decided() {{
    systemctl is-active doorbell.service || systemctl is-failed doorbell-retry.service
}}
wait_for systemctl is-system-running
systemctl start doorbell.service || true
wait_for is_decided
systemctl is-active doorbell.service >{folder}/state || true
systemctl stop doorbell.service || true
kill $manager
"""


def run_units(folder: Path, retry: str) -> str:
    """What has become of a service that failed once: ``active`` or not.

    Args:
        folder: an empty one.
        retry: the text of the unit that starts it again.
    """
    units = folder / "config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "doorbell-retry.service").write_text(retry)
    shipped, _, service = (SYSTEMD / "doorbell.service").read_text().partition("[Service]\n")
    kept = [line for line in service.splitlines() if line.startswith(("Type=", "Restart"))]
    section = [*kept, "NotifyAccess=all", f"ExecStart={folder}/doorbell"]
    (units / "doorbell.service").write_text("\n".join((shipped, "[Service]", *section, "")))
    for name, text in (("sleep", SLEEP), ("systemctl", SYSTEMCTL), ("doorbell", DOORBELL)):
        (folder / name).write_text(text.format(folder=folder))
        (folder / name).chmod(0o755)
    for name in ("sleep", "systemctl"):
        shutil.copy(str(shutil.which(name)), folder / f"real-{name}")
    story = STORY.format(folder=folder, manager=MANAGER)
    subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", story],
        check=True,
        timeout=100,
    )
    return (folder / "state").read_text().strip()


def test_a_doorbell_that_failed_is_started_again_after_a_pause(tmp_path: Path) -> None:
    state = run_units(tmp_path, (SYSTEMD / "doorbell-retry.service").read_text())

    assert (tmp_path / "slept").read_text().splitlines() == ["sleep 2m 124"]
    assert state == "active"
    assert (tmp_path / "starts").read_text().splitlines() == ["start", "start"]


def test_a_pause_that_sleep_refuses_would_be_seen(tmp_path: Path) -> None:
    shipped = (SYSTEMD / "doorbell-retry.service").read_text()

    assert run_units(tmp_path, shipped.replace("sleep 2m", "sleep 2min")) != "active"
    assert (tmp_path / "starts").read_text().splitlines() == ["start"]
