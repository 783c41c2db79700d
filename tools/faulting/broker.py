"""What happens to the broker and to the network before it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import datetime

from doorbell.outputs.mqtt.messages import LATE
from doorbell.testbed.scenes import KNOWN, STRANGER, Visitor, simulated
from faulting.door import Door, NotRecoveredError
from faulting.truth import scripted

# Many short visits before a camera that is drawn as fast as it can be, and then an empty porch.
BURST_SETTINGS = {
    "camera.width": 640,
    "camera.height": 360,
    "camera.frames_per_second": 8,
    "camera.realtime": "false",
    "camera.stuck_seconds": 60,  # it takes time to cut out so many visitors
    "tracking.lost_seconds": 0.5,
    "visits.absence_seconds": 0.5,
}
BURST_PERIOD_SECONDS = 3.4
EMPTY_SECONDS = 20_000.0
BURST_SECONDS = 300.0
AWAY_SECONDS = 0.3
# The network that the cable leads to, and both its ends: the daemon's and the broker's.
NETWORK, CABLE = f"doorbell{os.getpid()}", f"door{os.getpid()}"
NEAR, FAR = "10.213.77.1", "10.213.77.2"


def burst(door: Door, visits: int) -> None:
    """Prepare a door where so many visits, known and strange in turns, take place at once."""
    visitors = [
        Visitor(
            enters=0.5 + number * BURST_PERIOD_SECONDS,
            approach=0.6,
            stays=1.2,
            leave=0.3,
            who=(KNOWN, STRANGER)[number % 2],
        )
        for number in range(visits)
    ]
    door.script += (scripted(each.who) for each in visitors)
    seconds = visits * BURST_PERIOD_SECONDS + EMPTY_SECONDS
    uri = simulated(door.folder, door.faces, *visitors, duration_seconds=seconds)
    door.settings.update({**BURST_SETTINGS, "camera.uri": uri})


def prepare_thousand(door: Door) -> None:
    """Let 1,000 events happen, of 250 visits."""
    burst(door, 250)
    door.settings["mqtt.late_seconds"] = 1


def down_for_long(door: Door) -> float:
    """The broker is down while 1,000 events happen, which arrive late."""
    door.broker.stop()
    door.await_gone(len(door.script), within=BURST_SECONDS)
    began, began_at = time.monotonic(), time.time()
    door.broker.start()
    seconds = door.seconds_until_told(began)
    late_before = began_at - float(str(door.settings["mqtt.late_seconds"]))
    unmarked = [
        event["event_type"]
        for event in door.subscriber.documents("event")
        if datetime.fromisoformat(event["occurred_at"]).timestamp() < late_before
        and not (event["late"] and event["event_type"].startswith(LATE))
    ]
    if unmarked:
        raise NotRecoveredError(f"{len(unmarked)} events are late and do not say so")
    return seconds


def prepare_burst(door: Door) -> None:
    """Let 240 events happen."""
    burst(door, 60)


def restarted_in_burst(door: Door) -> float:
    """The broker is restarted in order, three times while visits are told."""
    return _restart_in_burst(door, door.broker.terminate)


def killed_in_burst(door: Door) -> float:
    """The broker is killed, three times while visits are told."""
    return _restart_in_burst(door, door.broker.stop)


def _restart_in_burst(door: Door, end: Callable[[], None]) -> float:
    began = 0.0
    for quarter in (1, 2, 3):
        door.await_gone(quarter * len(door.script) // 4, within=BURST_SECONDS)
        end()
        time.sleep(AWAY_SECONDS)
        began = time.monotonic()
        door.broker.start()
    door.await_gone(len(door.script), within=BURST_SECONDS)
    return door.seconds_until_told(began)


def killed(door: Door) -> float:
    """The broker is killed while somebody is at the door, and comes back after another visit."""
    door.comes(KNOWN)
    door.broker.stop()
    door.goes()
    door.visit(STRANGER)
    began = time.monotonic()
    door.broker.start()
    return door.seconds_until_told(began)


def silent(door: Door) -> float:
    """The broker answers nothing any more, with its connections open, until it is killed."""
    door.comes(KNOWN)
    door.broker.freeze()
    door.goes()
    door.visit(STRANGER)
    door.broker.stop()
    began = time.monotonic()
    door.broker.start()
    return door.seconds_until_told(began)


def prepare_password(door: Door) -> None:
    """Let the broker ask for a password."""
    secret = door.folder / "secret"
    secret.write_text("opensesame")
    secret.chmod(0o600)
    _expect(door, "opensesame")
    door.settings.update({"mqtt.username": "doorbell", "mqtt.password_file": secret})
    door.broker = door.broker_with(f"password_file {door.folder / 'passwords'}")


def wrong_password(door: Door) -> float:
    """The broker refuses the daemon's password, and takes it again after a visit."""
    _ask_for(door, "closesesame")
    door.visit(KNOWN)
    began = time.monotonic()
    _ask_for(door, "opensesame")
    return door.seconds_until_told(began)


def _ask_for(door: Door, password: str) -> None:
    door.broker.terminate()
    _expect(door, password)
    door.broker.start()


def _expect(door: Door, password: str) -> None:
    words = ["mosquitto_passwd", "-b", "-c", str(door.folder / "passwords"), "doorbell", password]
    subprocess.run(words, check=True, capture_output=True)


def no_networks() -> str | None:
    """Why no network can be cut here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "takes root and iproute2"
    made = subprocess.run(["ip", "netns", "add", NETWORK], check=False, capture_output=True)
    if made.returncode:
        return f"no network namespace: {made.stderr.decode().strip()}"
    subprocess.run(["ip", "netns", "del", NETWORK], check=True)
    return None


def prepare_network(door: Door) -> None:
    """Put the broker behind a cable of its own."""
    within = ["netns", "exec", NETWORK, "ip"]
    _ip("netns", "add", NETWORK)
    door.stack.callback(_ip, "netns", "del", NETWORK)
    _ip("link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", NETWORK)
    # A network takes its cable along, but only when the kernel gets round to it.
    door.stack.callback(_ip, "link", "del", CABLE)
    _ip("addr", "add", f"{NEAR}/30", "dev", CABLE)
    _ip("link", "set", CABLE, "up")
    _ip(*within, "addr", "add", f"{FAR}/30", "dev", "eth0")
    _ip(*within, "link", "set", "eth0", "up")
    door.broker = door.broker_with(host=FAR, enter=("ip", "netns", "exec", NETWORK))
    door.settings.update({"mqtt.keepalive_seconds": 5, "mqtt.late_seconds": 5})


def network_cut(door: Door) -> float:
    """The cable to the broker is cut until the daemon has noticed, and mended."""
    noticed = door.log.count("no broker at")
    _ip("link", "set", CABLE, "down")
    door.visit(KNOWN)
    door.seconds_until(lambda: door.log.count("no broker at") > noticed, since=time.monotonic())
    began = time.monotonic()
    _ip("link", "set", CABLE, "up")
    return door.seconds_until_told(began)


def network_hiccup(door: Door) -> float:
    """The cable is cut for a second while somebody is at the door."""
    door.comes(KNOWN)
    _ip("link", "set", CABLE, "down")
    time.sleep(1.0)
    began = time.monotonic()
    _ip("link", "set", CABLE, "up")
    door.goes()
    return door.seconds_until_told(began)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
