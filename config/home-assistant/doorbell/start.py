"""Starts the doorbell and its web pages as an add-on of Home Assistant.

What the add-on's options and the Supervisor say becomes the configuration, over a ``doorbell.toml``
in the add-on's own folder (``/config``). It begins as root, because ``/data`` and the devices are
root's, and starts two users that may do nothing but their own: the daemon and the web pages.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA = Path("/data")
OWN = Path("/config/doorbell.toml")
SETTINGS = Path("/etc/doorbell")
SOCKET = "/run/doorbell/doorbell.sock"
DAEMON, CONSOLE, ASKING = "doorbell", "doorbell-console", "doorbell-control"
# Of Home Assistant's ingress, the only one that may come without encryption.
INGRESS = "172.30.32.2"
PORT = 8480
DEVICES = ("video*", "snd/*", "dri/*", "gpiochip*")
SERVICE_SECONDS = 10.0
# How often it is looked whether one has ended, and before that one is started again; and the exit
# code that no start mends.
LOOK_SECONDS, PAUSE_SECONDS = 0.5, 5.0
WRONG_CONFIGURATION = 2


def say(text: str) -> None:
    """Say it in the add-on's log."""
    print(f"doorbell add-on: {text}", file=sys.stderr, flush=True)  # noqa: T201 - what it is for


def broker() -> dict[str, Any] | None:
    """The broker that Home Assistant knows, as the Supervisor says it; None without one."""
    supervisor = os.environ.get("SUPERVISOR_URL", "http://supervisor")
    token = os.environ.get("SUPERVISOR_TOKEN", "")
    request = urllib.request.Request(  # noqa: S310 - of the Supervisor
        f"{supervisor}/services/mqtt", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=SERVICE_SECONDS) as answer:  # noqa: S310 - same
            data: dict[str, Any] = json.load(answer)["data"]
            return data
    except (OSError, ValueError, KeyError) as exc:
        say(f"Home Assistant names no broker, and the doorbell goes on without: {exc}")
        return None


def settings(options: Mapping[str, Any], mqtt: Mapping[str, Any] | None) -> dict[str, Any]:
    """The daemon's configuration, as far as the add-on knows it, by section."""
    camera = {"uri": options["camera"]}
    if options.get("camera_user"):
        camera["user"] = options["camera_user"]
    if options.get("camera_password"):
        camera["password_file"] = secret("camera-password", options["camera_password"])
    found: dict[str, Any] = {
        "device": {"language": options["language"]},
        "camera": camera,
        "storage": {"directory": str(DATA / DAEMON)},
        "control": {"socket": SOCKET, "group": ASKING, "users": [CONSOLE]},
    }
    if mqtt is not None:
        found["mqtt"] = {
            "enabled": True,
            "host": mqtt["host"],
            "port": mqtt["port"],
            "tls": bool(mqtt.get("ssl")),
        }
        if mqtt.get("username"):
            found["mqtt"]["username"] = mqtt["username"]
            found["mqtt"]["password_file"] = secret("mqtt-password", mqtt["password"])
    return found


def console_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the web pages, which are shown in Home Assistant's own."""
    origins = [each.rstrip("/") for each in options["home_assistant"]]
    return {
        "console": {
            "enabled": True,
            "listen": f"0.0.0.0:{PORT}",
            "names": sorted({urlsplit(each).hostname or "" for each in origins}),
            "trusted_proxies": [INGRESS],
            "frame_ancestors": origins,
            "directory": str(DATA / CONSOLE),
        },
        "control": {"socket": SOCKET},
        "device": {"language": options["language"]},
    }


def secret(name: str, content: str) -> str:
    """Keep a password in a file for the daemon alone; its path."""
    path = SETTINGS / name
    write(path, content, DAEMON)
    return str(path)


def write(path: Path, content: str, user: str) -> None:
    """Write a file that only this user reads."""
    path.unlink(missing_ok=True)
    path.touch(0o400)
    path.write_text(content, encoding="utf-8")
    shutil.chown(path, user, user)


def toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Write sections as TOML."""
    lines = []
    for name, section in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {toml_value(value)}" for key, value in section.items()]
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """Write one value as TOML: text, a number, a truth, a time, or a list or table of such."""
    match value:
        case bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(toml_value, value))}]"
        case dict():
            return (
                "{" + ", ".join(f"{key} = {toml_value(each)}" for key, each in value.items()) + "}"
            )
        case _:
            return str(value)


def as_user(name: str, groups: Sequence[int], *command: str) -> list[str]:
    """The words that do it as this user, in these groups too, without any privilege."""
    account = pwd.getpwnam(name)
    numbers = sorted({account.pw_gid, grp.getgrnam(ASKING).gr_gid, *groups})
    return [
        "setpriv",
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        f"--groups={','.join(map(str, numbers))}",
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--",
        "env",
        f"HOME={DATA / name}",
        *command,
    ]


def device_groups() -> list[int]:
    """The groups of the cameras, sound cards and buttons here, as this machine numbers them."""
    found = {each.stat().st_gid for pattern in DEVICES for each in Path("/dev").glob(pattern)}
    return sorted(found - {0})


def main() -> int:
    """Start both, and keep them running; the exit code."""
    options = json.loads((DATA / "options.json").read_text(encoding="utf-8"))
    for user in (DAEMON, CONSOLE):
        (DATA / user).mkdir(mode=0o700, exist_ok=True)
        shutil.chown(DATA / user, user, user)
    for directory in ("models", "cache"):
        (DATA / directory).mkdir(mode=0o700, exist_ok=True)
        shutil.chown(DATA / directory, DAEMON, DAEMON)
    own = tomllib.loads(OWN.read_text(encoding="utf-8")) if OWN.exists() else {}
    known = settings(options, broker() if options["mqtt"] else None)
    merged = {name: {**own.get(name, {}), **known.get(name, {})} for name in {**own, **known}}
    write(SETTINGS / "doorbell.toml", toml(merged), DAEMON)
    pages = SETTINGS / "console.toml"
    write(pages, toml(console_settings(options)), CONSOLE)

    console = ("doorbell", "--config", str(pages), "console")
    both = Both(
        {
            "the doorbell": as_user(DAEMON, device_groups(), "/opt/doorbell/start", "run"),
            "the web pages": as_user(CONSOLE, [], *console, "run"),
        }
    )
    signal.signal(signal.SIGTERM, both.end)
    signal.signal(signal.SIGINT, both.end)
    try:
        invite(console)
    except (subprocess.CalledProcessError, ValueError, KeyError) as exc:
        say(f"no browser can be let in until the next start: {exc}")
    return both.keep()


def invite(console: Sequence[str]) -> None:
    """Say a code in the log as long as no browser has access.

    Raises:
        subprocess.CalledProcessError, ValueError, KeyError: the console cannot give one.
    """
    listed = subprocess.run(
        as_user(CONSOLE, [], *console, "devices", "--json"), stdout=subprocess.PIPE, check=True
    )
    if not json.loads(listed.stdout):
        pair = as_user(CONSOLE, [], *console, "pair", "--role", "owner", "--json")
        invited = subprocess.run(pair, stdout=subprocess.PIPE, check=True)
        code = json.loads(invited.stdout)["code"]
        say(f"no browser has access yet: open the web UI and type {code}, within ten minutes")


class Both:
    """The daemon and the web pages, each started again when it ends: the bell waits for neither."""

    def __init__(
        self, commands: Mapping[str, Sequence[str]], pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        """Start them.

        Args:
            commands: the words of each, by its name in the log.
            pause_seconds: before what has ended is started again.
        """
        self._commands = commands
        self._pause_seconds = pause_seconds
        self._running = {name: subprocess.Popen(words) for name, words in commands.items()}
        self._ending = False

    def end(self, *_: object) -> None:
        """Tell them to end; takes what a signal handler is given."""
        self._ending = True
        for process in self._running.values():
            process.terminate()

    def keep(self) -> int:
        """Start again what ends, until told to end or the configuration is wrong; the exit code."""
        code = 0
        while self._running:
            time.sleep(LOOK_SECONDS)
            for name, process in list(self._running.items()):
                ended = process.poll()
                if ended is None:
                    continue
                del self._running[name]
                if ended == WRONG_CONFIGURATION and not self._ending:
                    code = ended
                    self.end()
                if self._ending:
                    continue
                say(f"{name} ended with {ended} and starts again")
                time.sleep(self._pause_seconds)
                if not self._ending:
                    self._running[name] = subprocess.Popen(self._commands[name])
        return code


if __name__ == "__main__":
    sys.exit(main())
