from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from doorbell.clock import BOOT_ID

SYSTEMD = Path(__file__).parent.parent / "systemd"
INSTALLED_COMMAND = "/opt/doorbell/.venv/bin/doorbell"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The daemon's unit as shipped, but for the command, which is this machine's; others beside."""
    command = Path(sys.executable).with_name("doorbell")
    for name in ("doorbell.service", "doorbell-console.service", "doorbell-notifier.service"):
        text = (SYSTEMD / name).read_text(encoding="utf-8")
        assert INSTALLED_COMMAND in text
        here = tmp_path / name
        here.write_text(text.replace(INSTALLED_COMMAND, str(command)), encoding="utf-8")
    shutil.copy(SYSTEMD / "doorbell-retry.service", tmp_path)
    return tmp_path / "doorbell.service"


def setting(name: str, unit: str = "doorbell.service") -> list[str]:
    """Every value of a setting in a unit."""
    text = (SYSTEMD / unit).read_text(encoding="utf-8")
    return re.findall(rf"^{re.escape(name)}=(.*)$", text, flags=re.MULTILINE)


def entries(name: str) -> list[list[str]]:
    """The fields of every line of a sysusers or tmpfiles file that is no comment."""
    text = (SYSTEMD / name).read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_systemd_understands_the_unit(unit: Path) -> None:
    others = [
        unit.with_name(f"doorbell-{name}.service") for name in ("retry", "console", "notifier")
    ]
    verified = run("systemd-analyze", "verify", unit, *others)

    assert "doorbell" not in verified.stdout
    assert verified.returncode == 0, verified.stdout


def test_a_mistake_in_the_unit_would_be_seen(unit: Path) -> None:
    unit.write_text(unit.read_text(encoding="utf-8").replace("WatchdogSec", "WatchdogSecs"))

    assert "doorbell.service" in run("systemd-analyze", "verify", unit).stdout


def test_exposure_is_at_most_two_and_a_half_of_ten(unit: Path) -> None:
    rated = run("systemd-analyze", "security", "--offline=true", "--threshold=25", unit)

    assert rated.returncode == 0, rated.stdout


@pytest.mark.parametrize("name", ["console", "notifier"])
def test_the_exposure_of_what_meets_the_network_is_at_most_one_and_a_half(
    unit: Path, name: str
) -> None:
    service = unit.with_name(f"doorbell-{name}.service")
    rated = run("systemd-analyze", "security", "--offline=true", "--threshold=15", service)

    assert rated.returncode == 0, rated.stdout


def test_the_web_pages_have_no_device_no_password_and_little_of_the_machine() -> None:
    console = "doorbell-console.service"
    assert setting("User", console) == ["doorbell-console"]
    assert setting("SupplementaryGroups", console) == ["doorbell-control"]
    assert setting("DevicePolicy", console) == ["closed"]
    assert setting("DeviceAllow", console) == []
    assert setting("CPUQuota", console) == ["50%"]
    assert setting("MemoryMax", console) == ["256M"]
    assert setting("StateDirectoryMode", console) == ["0700"]
    assert setting("UMask", console) == ["0077"]
    assert setting("IPAddressDeny", console) == ["any"]
    assert "/etc/doorbell" in setting("InaccessiblePaths", console)[0]
    assert setting("PartOf", console) == setting("Requires", console) == []


def test_the_notifier_can_tell_the_time_in_what_its_unit_leaves_of_the_machine() -> None:
    assert BOOT_ID.is_relative_to("/proc/sys"), "which ProcSubset=pid hides"

    assert setting("ProcSubset", "doorbell-notifier.service") == []
    assert setting("ProcSubset") == []


@pytest.mark.parametrize(
    ("user", "when"),
    [
        ("doorbell-console", "ExecStartPre"),
        ("doorbell-notifier", "ExecStartPre"),
        ("doorbell-notifier", "ExecReload"),
    ],
)
def test_others_get_their_own_sections_of_the_configuration(
    tmp_path: Path, user: str, when: str
) -> None:
    line = setting(when, f"{user}.service")[0]
    config, given = tmp_path / "doorbell.toml", tmp_path / "run" / user
    given.mkdir(parents=True)
    config.write_text(
        '[camera]\nuri = "rtsp://anna:secret@camera/"\n'
        '[console]\nlisten = "0.0.0.0:8480"\n# [mqtt]\n'
        '[mqtt]\nuser = "secret"\n [camera.fault]\nsecret = 1\n'
        "[log]\n\t[storage.fault]\nsecret = 2\n"
        '[control]\nsocket = "/run/doorbell/doorbell.sock"\n'
        "[[secrets]]\n"
        '[notifications]\nenabled = true\n[[notifications.targets]]\nname = "anna"\n'
        '[device]\nname = "Door"\n[[ notifications.targets ]]\nname = "ben"\n[storage]\na = 1\n'
    )
    words = shlex.split(line.removeprefix("+").replace("\\\\", "\\"))
    words = [
        word.replace("%t", str(tmp_path / "run"))
        .replace("/etc/doorbell/doorbell.toml", str(config))
        .replace(f"{user}: ", f"{os.geteuid()}:{os.getegid()} ")
        for word in words
    ]
    made = run(*words)
    found: dict[str, object] = {
        "console": {"listen": "0.0.0.0:8480"},
        "control": {"socket": "/run/doorbell/doorbell.sock"},
        "log": {},
    }
    if user == "doorbell-notifier":
        targets = [{"name": "anna"}, {"name": "ben"}]
        found["notifications"] = {"enabled": True, "targets": targets}
        found["device"] = {"name": "Door"}

    assert made.returncode == 0, made.stdout
    written = given / "doorbell.toml"
    assert written.stat().st_mode & 0o777 == 0o600
    assert tomli.loads(written.read_text()) == found


@pytest.mark.parametrize("user", ["doorbell-console", "doorbell-notifier"])
def test_what_root_writes_for_others_follows_no_link_of_theirs(tmp_path: Path, user: str) -> None:
    [line] = setting("ExecStartPre", f"{user}.service")
    config, given = tmp_path / "doorbell.toml", tmp_path / "run" / user
    given.mkdir(parents=True)
    config.write_text('[console]\nlisten = "127.0.0.1:8480"\n')
    other = tmp_path / "shadow"
    other.write_text("root's own")
    (given / "doorbell.toml").symlink_to(other)
    own = f"{os.geteuid()}:{os.getegid()}"
    words = [
        word.replace("%t", str(tmp_path / "run"))
        .replace("/etc/doorbell/doorbell.toml", str(config))
        .replace(f"{user}: ", f"{own} ")
        for word in shlex.split(line.removeprefix("+").replace("\\\\", "\\"))
    ]
    made = run(*words)

    assert made.returncode == 0, made.stdout
    assert other.read_text() == "root's own"
    written = given / "doorbell.toml"
    assert not written.is_symlink()
    assert written.read_text() == config.read_text()


def test_systemd_understands_a_credential_in_a_drop_in(unit: Path) -> None:
    page = (SYSTEMD.parent / "docs" / "service.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^LoadCredentialEncrypted=.*$", page, re.MULTILINE)
    drop_in = unit.with_name(f"{unit.name}.d")
    drop_in.mkdir()
    (drop_in / "password.conf").write_text(f"[Service]\n{line}\n")

    verified = run("systemd-analyze", "verify", unit, unit.with_name("doorbell-retry.service"))

    assert "doorbell" not in verified.stdout
    assert verified.returncode == 0, verified.stdout


def test_the_unit_is_a_watched_service_that_stops_in_time() -> None:
    assert setting("Type") == ["notify"]
    assert setting("NotifyAccess") == ["main"]
    assert setting("WatchdogSec") == ["60s"]
    assert setting("TimeoutStopSec") == ["10s"]
    assert setting("StateDirectoryMode") == ["0700"]


def test_a_door_is_tried_for_ever_but_not_all_the_time() -> None:
    # That the retry works is shown in tests/system/test_install.py.
    assert setting("Restart") == ["on-failure"]  # a hang is one too
    assert setting("StartLimitIntervalSec") == ["10min"]
    # Quick starts are not so many that they would never come to the limit.
    starts, pause = int(setting("StartLimitBurst")[0]), setting("RestartSec")[0]
    assert starts * float(pause.removesuffix("s")) < 600 / 2
    assert setting("OnFailure") == ["doorbell-retry.service"]


def test_the_network_and_a_jetsons_camera_service_come_first() -> None:
    assert setting("Wants") == ["network-online.target"]
    [after] = setting("After")
    assert {"network-online.target", "nvargus-daemon.service"} <= set(after.split())


@pytest.mark.parametrize(
    "family", ["video4linux", "alsa", "drm", "gpiochip", "nvidia*", "nvhost*", "nvmap*"]
)
def test_cameras_sound_and_gpus_are_allowed_and_nothing_else(family: str) -> None:
    assert f"char-{family} rw" in setting("DeviceAllow")
    assert setting("DevicePolicy") == ["closed"]


def test_the_user_and_the_groups_of_the_unit_are_made() -> None:
    dry = run("systemd-sysusers", "--dry-run", "--root=/nonexistent", SYSTEMD / "doorbell.sysusers")

    [user] = [entry for entry in entries("doorbell.sysusers") if entry[0] == "u"]
    groups = [entry[2] for entry in entries("doorbell.sysusers") if entry[0] == "m"]
    assert [user[1]] == setting("User") == setting("Group")
    assert groups == setting("SupplementaryGroups")[0].split()
    assert dry.returncode == 0, dry.stdout
    assert "Creating user 'doorbell'" in dry.stdout


def test_gpio_lines_are_for_a_group_that_the_daemon_is_in() -> None:
    [rule] = [
        line for line in (SYSTEMD / "doorbell.rules").read_text().splitlines() if line[0] != "#"
    ]

    [group] = re.findall(r'GROUP="(\w+)"', rule)
    assert ["g", group, "-", "-"] in entries("doorbell.sysusers")
    assert group in setting("SupplementaryGroups")[0].split()


@pytest.mark.parametrize("user", ["doorbell-console", "doorbell-notifier"])
def test_others_are_in_the_control_socket_s_group_alone(user: str) -> None:
    dry = run("systemd-sysusers", "--dry-run", "--root=/nonexistent", SYSTEMD / f"{user}.sysusers")
    lines = entries(f"{user}.sysusers")

    assert dry.returncode == 0, dry.stdout
    assert [line[1] for line in lines if line[0] == "u"] == [user]
    assert [line[2] for line in lines if line[0] == "m"] == ["doorbell-control"]
    assert ["m", "doorbell", "doorbell-control"] in entries("doorbell.sysusers")


def test_the_documents_install_every_file() -> None:
    page = (SYSTEMD.parent / "docs" / "service.md").read_text(encoding="utf-8")
    installed = re.findall(r"^sudo install -D -m 6\d\d (doorbell\S*) /etc/", page, re.MULTILINE)

    assert sorted(installed) == sorted(path.name for path in SYSTEMD.iterdir())


def test_faces_are_for_the_daemon_alone() -> None:
    [home] = [e for e in entries("doorbell.tmpfiles") if e[1] == "/var/lib/doorbell"]
    [account] = [e for e in entries("doorbell.sysusers") if e[0] == "u"]

    assert home == ["d", "/var/lib/doorbell", "0700", "doorbell", "doorbell", "-"]
    assert home[1] in account
    assert setting("StateDirectory") == ["doorbell"]
    assert setting("CacheDirectory") == []  # the cache is in that home, for service and commands
    assert setting("LimitCORE") == ["0"]
    assert setting("UMask") == ["0077"]
