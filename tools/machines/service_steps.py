"""What the service must do where systemd is process 1: a step each, and an error where it does not.

Each step returns what was seen, and leaves the service active, so that each can be taken alone. The
units are the installed ones; only in the short form a drop-in shortens what they wait for.
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from machines.booted import BootedSystem
from machines.service import RETRY, START_SECONDS, UNIT, Service
from machines.step import StepFailedError

MODELS = "/var/lib/doorbell/.local/share/doorbell/models"
STOP_SECONDS = 5.0
PORT = 1883


def first_boot(service: Service) -> str:
    """It was enabled, so it is up."""
    service.wait("active after the boot", service.is_active, START_SECONDS)
    return f"{service.show()['SubState']} as process {service.show()['MainPID']}"


def install_again(service: Service, installer: str) -> str:
    """What was left for a running systemd is done already, and a second run changes nothing."""
    process = service.show()["MainPID"]
    done = service.system.run(installer)
    if "Start the service\n    is done" not in done.stdout or "would" in done.stdout:
        raise StepFailedError(done.stdout[-800:] + done.stderr[-800:])
    if service.show()["MainPID"] != process:
        raise StepFailedError("it was started anew, although nothing had changed")
    return "changes nothing"


def start(service: Service) -> str:
    """It is started, and active only once it watches the door."""
    service.run("systemctl", "stop", UNIT)
    began = time.monotonic()
    service.run("systemctl", "start", UNIT)
    took = time.monotonic() - began
    if not service.is_active() or service.show()["Type"] != "notify":
        raise StepFailedError(f"it is {service.show()['ActiveState']}")
    if "Active: active (running)" not in service.run("systemctl", "status", UNIT):
        raise StepFailedError("systemctl status does not say so")
    service.wait("a live camera", lambda: "camera: live" in service.as_user("status"), 10.0)
    return f"active after {took:.1f} s, and doorbell status says that the camera is live"


def reload(service: Service) -> str:
    """What may be changed under way is taken at once, by the process that runs."""
    process, here = service.show()["MainPID"], service.here()
    with service.configured(lambda text: text.replace("\nvolume = 0.8", "\nvolume = 0.7")):
        service.run("systemctl", "reload", UNIT)
        service.wait(
            "the journal says what was taken",
            lambda: any("took chime.volume" in line for line in service.said_since(here)),
            10.0,
        )
    service.run("systemctl", "reload", UNIT)
    if service.show()["MainPID"] != process:
        raise StepFailedError("it was started anew")
    return "the journal says what was taken"


def hang(service: Service) -> str:
    """A process that does nothing more is ended by the watchdog, and another is started."""
    if not service.short and service.show()["WatchdogUSec"] != "1min":
        raise StepFailedError(f"WatchdogSec is {service.show()['WatchdogUSec']}")
    change = f"[Service]\nWatchdogSec={service.watchdog_seconds:.0f}s\n" if service.short else ""
    with service.drop_in(UNIT, change):
        if service.short:  # the process reads it as it starts
            service.run("systemctl", "restart", UNIT)
        before, here = service.show()["MainPID"], service.here()
        service.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", UNIT)
        took = service.wait_for_new_process(before, service.watchdog_seconds + 15.0)
        if not any("Watchdog timeout" in line for line in service.said_since(here)):
            raise StepFailedError("it was not the watchdog that ended it")
    return f"active again after {took:.0f} s"


def kill(service: Service) -> str:
    """A process that is killed is followed by another."""
    before = service.show()["MainPID"]
    service.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT)
    took = service.wait_for_new_process(before, 5.0)
    return f"active again after {took:.0f} s"


def mend_configuration(service: Service) -> str:
    """A wrong configuration ends it for now; mended while systemd waits, it comes up alone."""
    with service.short_pause():
        with service.configured(lambda text: f"nonsense = 1\n{text}"):
            service.system.run("systemctl", "restart", UNIT)
            _wait_for_pause(service, "2")
            began = time.monotonic()
        return _comes_up_alone(service, began)


def reach_start_limit(service: Service) -> str:
    """What it cannot mend is tried quickly, then after a pause; mended, it comes up alone."""
    hidden = f"{MODELS}.hidden"
    change = "[Unit]\nStartLimitBurst=3\n[Service]\nRestartSec=200ms\n" if service.short else ""
    burst = 3 if service.short else 20
    with service.short_pause(), service.drop_in(UNIT, change):
        service.run("systemctl", "stop", UNIT)
        service.run("systemctl", "reset-failed", UNIT)
        here = service.here()
        service.run("mv", MODELS, hidden)
        try:
            service.system.run("systemctl", "start", UNIT)
            _wait_for_pause(service, "3")
            began = time.monotonic()
            starts = sum(line.startswith("doorbell: ") for line in service.said_since(here))
        finally:
            service.run("mv", hidden, MODELS)
        if starts != burst:
            raise StepFailedError(f"it was started {starts} times and not {burst}")
        return f"{starts} starts, then {_comes_up_alone(service, began)}"


def _wait_for_pause(service: Service, code: str) -> None:
    service.wait(
        "the pause before the next try",
        lambda: (
            service.show()["ActiveState"] == "failed"
            and service.show(RETRY)["ActiveState"] == "activating"
        ),
        60.0 if service.short else 600.0,
    )
    if service.show()["ExecMainStatus"] != code:
        raise StepFailedError(f"it ended with {service.show()['ExecMainStatus']} and not {code}")


def _comes_up_alone(service: Service, began: float) -> str:
    service.wait("up without a hand", service.is_active, service.pause_seconds + START_SECONDS)
    took = time.monotonic() - began
    service.wait(
        "the pause is over", lambda: service.show(RETRY)["ActiveState"] != "activating", 10.0
    )
    retry = service.show(RETRY)
    times = [int(retry[f"Inactive{way}TimestampMonotonic"]) / 1e6 for way in ("Exit", "Enter")]
    if (paused := times[1] - times[0]) < service.pause_seconds:
        raise StepFailedError(f"it paused for {paused:.1f} s alone")
    return f"paused for {paused:.0f} s, up {took:.0f} s after it was mended, without a hand"


def plain_credential(service: Service) -> str:
    """The broker's password is a file that the daemon's user cannot read."""
    password = secrets.token_hex(8)
    file = service.system.path("/etc/mqtt-password")
    file.write_text(password, encoding="utf-8")
    file.chmod(0o600)
    try:
        return _meets_broker(service, password, "LoadCredential=mqtt-password:/etc/mqtt-password")
    finally:
        file.unlink()


def encrypted_credential(service: Service) -> str:
    """The broker's password is encrypted with a key of the machine."""
    password, path = secrets.token_hex(8), "/etc/doorbell/mqtt-password.cred"
    encrypt = ("systemd-creds", "encrypt", "--with-key=host", "--name=mqtt-password", "-", path)
    service.run(*encrypt, answer=password)
    file = service.system.path(path)
    if password in file.read_text(encoding="utf-8"):
        raise StepFailedError("the file holds the password as it is")
    try:
        return _meets_broker(service, password, f"LoadCredentialEncrypted=mqtt-password:{path}")
    finally:
        file.unlink()


def _meets_broker(service: Service, password: str, credential: str) -> str:
    """Start it with a credential, and hear it at a broker that asks for the password."""
    with (
        broker_with_password(service.system, password) as hears,
        service.drop_in(UNIT, f"[Service]\n{credential}\n"),
        service.configured(_with_broker),
    ):
        service.run("systemctl", "restart", UNIT)
        service.wait("the broker hears it", lambda: hears() == "online", 30.0)
        process = service.show()["MainPID"]
        environment = service.run("cat", f"/proc/{process}/environ")
        if password in environment or "/run/credentials/" not in environment:
            raise StepFailedError("the password did not come as a credential")
    service.run("systemctl", "restart", UNIT)
    return "online at a broker that asks for it"


def stop(service: Service) -> str:
    """It ends in order, and is not started again."""
    began = time.monotonic()
    service.run("systemctl", "stop", UNIT)
    took = time.monotonic() - began
    now = service.show()
    if now["Result"] != "success" or now["ExecMainStatus"] != "0" or took > STOP_SECONDS:
        raise StepFailedError(f"{now['Result']} ({now['ExecMainStatus']}) after {took:.1f} s")
    if service.show(RETRY)["ActiveState"] != "inactive":
        raise StepFailedError("it is to be started again")
    service.run("systemctl", "start", UNIT)
    return f"stopped after {took:.1f} s"


def boot_again(service: Service) -> str:
    """It starts with the machine."""
    service.system.power_off()
    began = time.monotonic()
    service.system.boot()
    service.wait("active after a boot", service.is_active, START_SECONDS)
    took = time.monotonic() - began
    if service.show()["NRestarts"] != "0":
        raise StepFailedError("its first start failed")
    return f"active {took:.0f} s after power-on"


def journal(service: Service) -> str:
    """``journalctl -p warning`` shows warnings and errors, and nothing else."""
    with service.configured(lambda text: text.replace('\nlevel = "info"', '\nlevel = "loud"')):
        service.run("systemctl", "reload", UNIT)  # refused, with an error
        service.wait("an error", lambda: _severities(service, "err") > 0, 10.0)
    with service.configured(lambda text: text.replace("\nwidth = 0", "\nwidth = 640")):
        service.run("systemctl", "reload", UNIT)  # takes a restart, with a warning
        service.wait(
            "a warning", lambda: _severities(service, "warning") > _severities(service, "err"), 10.0
        )
    service.run("systemctl", "reload", UNIT)
    everything = _journal(service, "debug")
    grave = [line for line in everything if not line.startswith(("INFO ", "DEBUG "))]
    if _journal(service, "warning") != grave or len(grave) == len(everything):
        raise StepFailedError(f"it shows {_journal(service, 'warning')}, of {everything}")
    return f"{len(grave)} of {len(everything)} lines"


def _severities(service: Service, least: str) -> int:
    return len(_journal(service, least))


def _journal(service: Service, least: str) -> list[str]:
    """The daemon's own lines from a severity on, of this boot."""
    ours = f"_SYSTEMD_UNIT={UNIT}"
    return service.run("journalctl", "-b", "-p", least, "-o", "cat", ours).splitlines()


def uninstall(service: Service, installer: str) -> str:
    """Nothing of it is left, and the gallery only until the answer is yes."""
    process = service.show()["MainPID"]
    service.run(installer, "--uninstall")
    if service.show()["LoadState"] != "not-found":
        raise StepFailedError("systemd still knows the unit")
    if not service.system.run("test", "-d", f"/proc/{process}").returncode:
        raise StepFailedError("the daemon still runs")
    if not service.system.path("/var/lib/doorbell/.local/share/doorbell/gallery.sqlite").exists():
        raise StepFailedError("the gallery was deleted without a yes")
    service.run(installer, "--uninstall", "--yes")
    left = [
        path
        for path in ("/opt/doorbell", "/var/lib/doorbell", "/etc/doorbell")
        if service.system.path(path).exists()
    ]
    failed = service.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "doorbell*")
    if left or failed:
        raise StepFailedError(f"there are still {', '.join(left)} {failed}")
    return "no unit, process, file or user is left"


def _with_broker(text: str) -> str:
    """The configuration with a broker, whose password is a credential."""
    account = 'username = "doorbell"\npassword_file = "$CREDENTIALS_DIRECTORY/mqtt-password"\n'
    before, _, after = text.partition("[mqtt]\n")
    return f"{before}[mqtt]\n{account}{after.replace('enabled = false', 'enabled = true', 1)}"


@contextmanager
def broker_with_password(system: BootedSystem, password: str) -> Iterator[Callable[[], str]]:
    """Run this machine's mosquitto in the network of a booted system.

    Args:
        system: booted.
        password: of the account ``doorbell``; nobody else may connect.

    Yields:
        What tells whether the doorbell is online: the retained message, empty where there is none.
    """
    network = system.enter("--net")
    with tempfile.TemporaryDirectory(prefix="doorbell-broker-") as folder:
        accounts, settings = Path(folder, "accounts"), Path(folder, "mosquitto.conf")
        subprocess.run(["mosquitto_passwd", "-b", "-c", accounts, "doorbell", password], check=True)
        lines = (f"listener {PORT} 127.0.0.1", "user root", f"password_file {accounts}")
        settings.write_text("\n".join((*lines, "allow_anonymous false", "")), encoding="utf-8")
        broker = subprocess.Popen(
            [*network, "mosquitto", "-c", settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        client = ["mosquitto_sub", "-h", "127.0.0.1", "-u", "doorbell", "-P", password]

        def hears() -> str:
            heard = subprocess.run(
                [*network, *client, "-t", "doorbell/+/availability", "-C", "1", "-W", "2"],
                capture_output=True,
                text=True,
                check=False,
            )
            return heard.stdout.strip()

        try:
            yield hears
        finally:
            broker.terminate()
            broker.wait()
