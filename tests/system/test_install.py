"""The installer on a clean system, where it goes as far as it can without a GPU and systemd."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from machines.boot import show_somebody, try_service
from machines.booted import booted_copy
from machines.clean_system import CannotMakeError, CleanSystem, clean_system
from machines.report import Report

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# `head -n 1 /etc/nv_tegra_release` of each.
JETPACKS = {
    "6": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
    "7": "# R39 (release), REVISION: 2.1, GCID: 46758480, BOARD: generic, EABI: aarch64",
}
CAMERA = "/dev/video0"
TITLE = re.compile(r"^ *\d+\. (.*)\n +(.*)$", re.MULTILINE)


def steps(finished: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What was said about each step, by its title."""
    return {match[1]: match[2] for match in TITLE.finditer(finished.stdout)}


@pytest.fixture(scope="module")
def clean(
    tmp_path_factory: pytest.TempPathFactory, models_directory: Path, pytestconfig: pytest.Config
) -> Iterator[CleanSystem]:
    root = tmp_path_factory.mktemp("jetson")
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir("clean-system")
    with ExitStack() as stack:
        try:
            system = stack.enter_context(clean_system(root, models_directory, kept))
        except CannotMakeError as cause:
            pytest.skip(str(cause))
        yield system


@pytest.fixture(scope="module")
def first_runs(
    clean: CleanSystem,
) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    """A dry run, then a run."""
    clean.claim(JETPACKS["6"])
    dry = clean.install("--dry-run", "--camera", CAMERA)
    assert not clean.path("/opt/doorbell").exists()
    return dry, clean.install("--camera", CAMERA)


def test_the_dry_run_and_the_run_print_the_same_steps(
    first_runs: tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]],
) -> None:
    dry, real = first_runs
    expected = {
        title: "done" if said == "would be done" else said for title, said in steps(dry).items()
    }

    assert len(expected) == 12
    assert steps(real) == expected, real.stderr[-3000:]
    assert list(steps(real)) == list(expected)
    assert dry.returncode == 0


def test_what_needs_the_jetson_is_left_out_and_said(
    first_runs: tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]],
) -> None:
    _, real = first_runs
    left_out = [said for said in steps(real).values() if said.startswith("left out")]

    assert left_out == ["left out: it needs the Jetson's GPU"] * 3 + [
        "left out: it needs a running systemd"
    ]
    assert real.returncode == 3
    assert "4 steps are left for the Jetson itself" in real.stderr


@pytest.mark.usefixtures("first_runs")
def test_the_daemon_s_user_can_use_what_was_installed(clean: CleanSystem) -> None:
    command = ["/opt/doorbell/.venv/bin/doorbell", "models", "verify"]
    verified = clean.run(
        "runuser", "-u", "doorbell", "--", "env", "HOME=/var/lib/doorbell", *command
    )

    assert verified.returncode == 0, verified.stderr
    assert "/var/lib/doorbell/" in verified.stdout
    groups = clean.run("id", "--groups", "--name", "doorbell").stdout.split()
    assert {"video", "audio", "render", "gpio"} <= set(groups)
    configuration = clean.path("/etc/doorbell/doorbell.toml")
    assert f'\nuri = "{CAMERA}"\n' in configuration.read_text(encoding="utf-8")
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o640
    assert stat.S_IMODE(clean.path("/var/lib/doorbell").stat().st_mode) == 0o700
    wanted = clean.path("/etc/systemd/system/multi-user.target.wants/doorbell.service")
    assert wanted.is_symlink()
    aside = clean.checkout.rename(clean.checkout.with_name("aside"))
    without_checkout = clean.run(*command[:1], "--version")
    aside.rename(clean.checkout)
    assert without_checkout.returncode == 0, without_checkout.stderr
    assert [*clean.path("/opt/doorbell/.venv/lib").glob("*/site-packages/doorbell/py.typed")]


@pytest.mark.usefixtures("first_runs")
def test_what_was_installed_serves_where_systemd_is_process_1(
    clean: CleanSystem, models_directory: Path, tmp_path: Path
) -> None:
    configuration = clean.path("/etc/doorbell/doorbell.toml")
    named = configuration.read_text(encoding="utf-8")
    camera = show_somebody(clean.root, models_directory)
    seen = named.replace(f'\nuri = "{CAMERA}"', f'\nuri = "{camera}"')
    # No step asks for more, and each takes its part of a processor for as long as this lasts.
    seen = seen.replace("\nframes_per_second = 0.0\n", "\nframes_per_second = 5.0\n")
    configuration.write_text(seen, encoding="utf-8")
    report = Report("boot", "the service", "Debian in systemd-nspawn")
    try:
        with booted_copy(clean.root, tmp_path) as booted:
            try_service(report, booted, short=True)
    except CannotMakeError as cause:
        pytest.skip(str(cause))
    finally:
        configuration.write_text(named, encoding="utf-8")

    assert report.passed
    assert len(report.steps) == 14


@pytest.mark.usefixtures("first_runs")
def test_without_a_camera_the_service_is_not_started_and_a_terminal_is_asked_for_one(
    clean: CleanSystem,
) -> None:
    configuration = clean.path("/etc/doorbell/doorbell.toml")
    named = configuration.read_text(encoding="utf-8")
    none = named.replace(f'uri = "{CAMERA}"', 'uri = "simulated:"')
    configuration.write_text(none, encoding="utf-8")

    without = clean.install()
    assert list(steps(without).values())[-2:] == ["left out: it needs a camera"] * 2
    assert "run this again with --camera" in without.stderr
    assert without.returncode == 3
    nothing = clean.install("--no-console", "--no-notifier", answer="\n", terminal=True)
    assert "Which camera watches the door?" in nothing.stdout
    assert configuration.read_text(encoding="utf-8") == none
    asked = clean.install("--no-console", "--no-notifier", answer=f"{CAMERA}\n", terminal=True)
    assert configuration.read_text(encoding="utf-8") == named
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o640
    assert list(steps(asked).values())[-2:] == [
        "is done",
        "left out: it needs a running systemd",
    ]
    # Who has one is neither asked nor given another.
    other = clean.install("--camera", "csi://0", "--no-console", "--no-notifier", terminal=True)
    assert "Which camera" not in other.stdout
    assert configuration.read_text(encoding="utf-8") == named


@pytest.mark.usefixtures("first_runs")
def test_the_web_pages_start_with_the_machine_only_if_asked_for(clean: CleanSystem) -> None:
    wanted = clean.path("/etc/systemd/system/multi-user.target.wants/doorbell-console.service")
    assert not wanted.is_symlink()
    with_pages = clean.install("--console")
    assert wanted.is_symlink(), with_pages.stderr
    assert list(steps(with_pages).items())[-2:] == [
        ("Start the web pages whenever the machine starts", "done"),
        ("Start the web pages", "left out: it needs a running systemd"),
    ]
    assert "does not let" not in with_pages.stderr
    again = clean.install("--console")
    assert list(steps(again).values())[-2] == "is done"


NETWORK = "/etc/systemd/system/doorbell-notifier.service.d/internet.conf"


@pytest.mark.usefixtures("first_runs")
def test_notifications_start_and_leave_the_house_only_if_asked_for(clean: CleanSystem) -> None:
    wanted = clean.path("/etc/systemd/system/multi-user.target.wants/doorbell-notifier.service")
    opened = clean.path(NETWORK)
    assert not wanted.is_symlink()
    assert not opened.exists()

    # Yes to notifications, no to the internet.
    asked = clean.install("--no-console", answer="y\nn\n", terminal=True)
    assert "May they leave the house" in asked.stdout
    assert wanted.is_symlink(), asked.stderr
    assert not opened.exists()
    assert list(steps(asked).items())[-2:] == [
        ("Start the notifier whenever the machine starts", "done"),
        ("Start the notifier", "left out: it needs a running systemd"),
    ]
    assert "nobody is told yet" in asked.stderr
    assert "does not let" not in asked.stderr

    clean.install("--notifier-internet")
    assert "IPAddressAllow=any" in opened.read_text(encoding="utf-8")
    closed = clean.install("--no-notifier-internet", "--notifier")
    assert not opened.parent.exists()
    assert wanted.is_symlink()
    assert list(steps(closed).values())[-3:-1] == ["done", "is done"]


# As its unit starts the daemon, whose camera is missing here; then what others find of it.
ASKING = """
doorbell=/opt/doorbell/.venv/bin/doorbell
install -d -m 0711 -o doorbell -g doorbell /run/doorbell
umask 0077
setpriv --reuid doorbell --regid doorbell --init-groups env HOME=/var/lib/doorbell \\
    TMPDIR=/run/doorbell $doorbell run --set chime.volume=0 >/var/log/doorbell 2>&1 &
daemon=$!
for _ in $(seq 200); do [ -S /run/doorbell/doorbell.sock ] && break; sleep 0.1; done
stat -c '%a %U %G' /run/doorbell/doorbell.sock
find /run/doorbell -mindepth 1 -not -name doorbell.sock -perm /077
ask='import sys; from pathlib import Path; from doorbell.control.client import Client
with Client.connect(Path("/run/doorbell/doorbell.sock")) as client:
    print(sys.argv[1], client.ask("status").document["device"]["id"])'
for user in doorbell doorbell-console doorbell-notifier nobody; do
    runuser -u $user -- /opt/doorbell/.venv/bin/python -B -c "$ask" $user 2>&1 | tail -n 1
done
for user in doorbell-console doorbell-notifier; do
    for path in /run/doorbell /etc/doorbell/doorbell.toml /var/lib/doorbell; do
        runuser -u $user -- ls $path >/dev/null 2>&1 && echo "$path is open"
    done
done
echo address >/etc/doorbell-notifier/anna
systemd-tmpfiles --create doorbell.conf
runuser -u doorbell-notifier -- cat /etc/doorbell-notifier/anna
runuser -u doorbell-console -- cat /etc/doorbell-notifier/anna 2>/dev/null && echo "anna is open"
stat -c '%a %U' /var/lib/doorbell-console /var/lib/doorbell-notifier
kill $daemon; wait $daemon; echo "ended with $?"
"""


@pytest.mark.usefixtures("first_runs")
def test_web_pages_and_notifier_may_ask_the_doorbell_and_read_nothing_of_it(
    clean: CleanSystem,
) -> None:
    for user in ("doorbell-console", "doorbell-notifier"):
        groups = clean.run("id", "--groups", "--name", user).stdout.split()
        assert set(groups) == {user, "doorbell-control"}
    asked = clean.run("sh", "-c", ASKING)
    lines = asked.stdout.splitlines()

    assert lines[:4] == [
        "660 doorbell doorbell-control",
        "doorbell front-door",
        "doorbell-console front-door",
        "doorbell-notifier front-door",
    ], asked.stdout + clean.path("/var/log/doorbell").read_text()[-2000:]
    assert "Permission denied" in lines[4] or "may not" in lines[4]
    assert not [line for line in lines if line.endswith("is open")]
    assert lines[-4:] == [
        "address",
        "700 doorbell-console",
        "700 doorbell-notifier",
        "ended with 0",
    ]


@pytest.mark.usefixtures("first_runs")
def test_the_environment_sees_what_jetpack_brings_behind_its_own_packages(
    clean: CleanSystem,
) -> None:
    packages = clean.path("/usr/lib/python3/dist-packages")
    for module in ("jetson_utils", "numpy"):
        (packages / f"{module}.py").write_text("found = True\n")
    look = "import jetson_utils, numpy; print(jetson_utils.found, numpy.__version__)"
    try:
        seen = clean.run("/opt/doorbell/.venv/bin/python", "-B", "-c", look)
    finally:
        for module in ("jetson_utils", "numpy"):
            (packages / f"{module}.py").unlink()

    assert seen.stdout.startswith("True 1."), seen.stderr


@pytest.mark.usefixtures("first_runs")
@pytest.mark.parametrize("jetpack", JETPACKS)
def test_another_run_changes_nothing(clean: CleanSystem, jetpack: str) -> None:
    clean.claim(JETPACKS[jetpack])
    before = clean.changes()
    again = clean.install("--camera", CAMERA)

    assert f"JetPack {jetpack} " in again.stdout
    assert {said.split(":")[0] for said in steps(again).values()} == {"is done", "left out"}
    assert clean.changes() == before


@pytest.mark.usefixtures("first_runs")
def test_an_edited_configuration_stays_and_the_new_one_lies_beside_it(clean: CleanSystem) -> None:
    clean.claim(JETPACKS["6"])
    mine = clean.path("/etc/doorbell/doorbell.toml")
    beside = mine.with_name("doorbell.toml.new")
    edited = mine.read_text(encoding="utf-8").replace("Front door", "Garden gate")
    mine.write_text(edited, encoding="utf-8")
    assert clean.install().returncode == 3
    assert not beside.exists()

    shipped = clean.checkout / "config" / "doorbell.toml"
    shipped.write_text(shipped.read_text(encoding="utf-8") + "# More.\n", encoding="utf-8")
    updated = clean.install()

    assert mine.read_text(encoding="utf-8") == edited
    assert beside.read_text(encoding="utf-8") == shipped.read_text(encoding="utf-8")
    assert "doorbell.toml.new" in updated.stderr


@pytest.mark.usefixtures("first_runs")
def test_a_step_that_fails_ends_the_run_and_is_named(clean: CleanSystem) -> None:
    gpu = clean.path("/dev/nvmap")
    gpu.touch()
    try:
        failed = clean.install()
    finally:
        gpu.unlink()

    assert failed.returncode == 1
    assert list(steps(failed).values()) == ["is done"]
    last = failed.stderr.splitlines()[-1]
    assert last.startswith(
        "install-jetson: 'Install CUDA and TensorRT from NVIDIA's packages' failed"
    )
    assert "nvidia-jetpack" in failed.stderr


@pytest.mark.usefixtures("first_runs")
@pytest.mark.parametrize(
    ("release", "said"),
    [
        (None, "this is not a Jetson: there is no /etc/nv_tegra_release"),
        ("# R35 (release), REVISION: 4.1", "this is JetPack 5"),
        ("# R32 (release), REVISION: 7.1", "Jetson Linux R32.7.1 is not known here"),
        ("# R41 (release), REVISION: 1.0", "Jetson Linux R41.1.0 is not known here"),
        ("Debian", "names no release of Jetson Linux"),
    ],
)
def test_it_says_in_one_line_why_it_does_not_install(
    clean: CleanSystem, release: str | None, said: str
) -> None:
    clean.claim(release)
    refused = clean.install()

    assert refused.returncode == 3
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""


@pytest.mark.usefixtures("first_runs")
def test_uninstalling_keeps_the_gallery_unless_told_otherwise(clean: CleanSystem) -> None:
    gallery = clean.path("/var/lib/doorbell/.local/share/doorbell/gallery.sqlite")
    gallery.write_bytes(b"faces")
    for cache in ("/var/lib/doorbell/.cache", "/var/cache/doorbell"):  # and where it was earlier
        clean.path(cache).mkdir(exist_ok=True)
    planned = clean.install("--uninstall", "--dry-run")
    assert list(steps(planned).values()) == ["would be done"] * 3
    assert clean.path("/opt/doorbell").exists()

    kept = clean.install("--uninstall", answer="n\n")
    assert list(steps(kept)) == list(steps(planned))
    assert kept.returncode == 0, kept.stderr
    assert "Delete both?" in kept.stdout
    assert gallery.read_bytes() == b"faces"
    assert clean.path("/etc/doorbell/doorbell.toml").exists()
    gone = [
        "/opt/doorbell",
        "/var/lib/doorbell/.cache",
        "/var/cache/doorbell",
        "/etc/systemd/system/doorbell.service",
    ]
    assert [path for path in gone if clean.path(path).exists()] == []
    assert not (gallery.parent / "models").exists()

    assert clean.install("--uninstall").returncode == 0  # nobody is there to answer
    assert gallery.exists()
    assert clean.install("--uninstall", "--yes").returncode == 0
    assert not clean.path("/var/lib/doorbell").exists()
    assert not clean.path("/etc/doorbell").exists()
    assert not clean.path("/var/lib/doorbell-console").exists()
    assert not clean.path("/var/lib/doorbell-notifier").exists()
    assert not clean.path("/etc/doorbell-notifier").exists()
    for account in ("doorbell", "doorbell-console", "doorbell-notifier"):
        assert clean.run("id", account).returncode == 1
    assert clean.run("getent", "group", "doorbell-control").returncode == 2
