"""The add-on of Home Assistant, as its Supervisor would start it; a part of the container's trial.

The folder that ``tools/home_assistant_addon.py`` writes is built and started with ``/data`` as
root's, the options of its own ``config.yaml``, and a network in which the ingress has the address
that it has in Home Assistant. What the Supervisor says of the broker is said by a server of the
trial.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

from home_assistant_addon import assemble

from doorbell.config import load_config
from doorbell.models.store import models_directory
from doorbell.testbed.waiting import eventually
from machines.containers import BASE, Podman
from machines.report import Report
from machines.step import StepFailedError

# It ships no types.
yaml: Any = import_module("yaml")
IMAGE = "localhost/doorbell-addon"
NETWORK = "doorbell-addon-trial"
SUBNET, INGRESS, OTHER = "172.30.32.0/23", "172.30.32.2", "172.30.33.9"
ADDRESS = "172.30.33.1"
TOKEN = "of the Supervisor"  # noqa: S105 - of this trial alone
PREFIX = "/api/hassio_ingress/Ab_c-1"
HOST = "homeassistant.local:8123"
UID = 8480
START_SECONDS = 300.0
# Asks for the page, as the ingress hands a browser's request on; prints the code and the page.
ASK = f"""
import sys, urllib.request, urllib.error
headers = {{
    "Host": "{HOST}", "X-Forwarded-Host": "{HOST}", "X-Forwarded-Proto": "http",
    "X-Forwarded-For": "192.168.1.7", "X-Ingress-Path": "{PREFIX}", "Accept": "text/html",
}}
request = urllib.request.Request("http://{ADDRESS}:8480/pair", headers=headers)
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as exc:
    answer = exc
print(answer.status, answer.read().decode())
"""


class SupervisorOfTrial(ThreadingHTTPServer):
    """Answers where the broker is to whoever has the token."""

    def __init__(self, service: dict[str, Any]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                found = allowed and self.path == "/services/mqtt"
                self.send_response(200 if found else 401)
                self.end_headers()
                self.wfile.write(json.dumps({"result": "ok", "data": service}).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(("0.0.0.0", 0), Handler)  # noqa: S104 - a container asks

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Answer for the block; at which port."""
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self.server_address[1]
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


def try_addon(report: Report, podman: Podman, folder: Path, broker: dict[str, Any]) -> None:
    """Build it, start it, and ask it as Home Assistant does.

    Args:
        report: gets the steps.
        podman: what builds and starts it.
        folder: for its files.
        broker: where containers reach it: host, port, username and password.
    """
    with report.step("The add-on is put together, and built as the Supervisor builds it") as step:
        addon = assemble(folder / "repository")
        config = yaml.safe_load((addon / "config.yaml").read_text("utf-8"))
        wrong = set(config["options"]) - set(config["schema"])
        if wrong:
            raise StepFailedError(f"its options {wrong} are not in its schema")
        arguments = (f"BASE={BASE}", f"BUILD_VERSION={config['version']}", "BUILD_ARCH=amd64")
        words = [word for each in arguments for word in ("--build-arg", each)]
        podman("build", "--tag", IMAGE, *words, str(addon))
        step.seen = f"version {config['version']}"
    data = folder / "data"
    data.mkdir()
    # As an earlier start has left them; that the first one fetches them is the container's to show.
    models = data / "models"
    shutil.copytree(models_directory(load_config(None, []).inference), models)
    for path in [models, *models.rglob("*")]:
        os.chown(path, UID, UID)
    options = {**config["options"], "camera": "simulated:"}
    (data / "options.json").write_text(json.dumps(options), encoding="utf-8")
    podman("network", "create", "--subnet", SUBNET, NETWORK)
    try:
        with SupervisorOfTrial({**broker, "ssl": False}).serving() as port:
            try_started(report, podman, data, port)
    finally:
        podman("network", "rm", "--force", NETWORK)


def try_started(report: Report, podman: Podman, data: Path, supervisor_port: int) -> None:
    """Start it with its data and a Supervisor at that port."""
    words = (
        "--init",
        f"--network={NETWORK}",
        f"--ip={ADDRESS}",
        f"--volume={data}:/data",
        f"--env=SUPERVISOR_TOKEN={TOKEN}",
        f"--env=SUPERVISOR_URL=http://host.containers.internal:{supervisor_port}",
        "--tmpfs=/tmp",
        IMAGE,
    )
    with podman.running(*words) as container:
        with report.step("It takes the broker from the Supervisor, and watches the door") as step:
            if not eventually(lambda: is_connected(podman, container), START_SECONDS):
                log = podman.log(container, 10)
                raise StepFailedError(f"not connected; its log ends with {log}")
            step.seen = users_of(podman, container)
        with report.step("Its pages are shown by the ingress, and to nobody else") as step:
            through = ask(podman, INGRESS)
            if not through.startswith("200") or PREFIX not in through:
                raise StepFailedError(f"the ingress is answered {through[:200]}")
            beside = ask(podman, OTHER)
            if not re.match("4[0-9][0-9] ", beside):
                raise StepFailedError(f"another add-on is answered {beside[:200]}")
            step.seen = f"200 and {beside[:3]}"


def is_connected(podman: Podman, container: str) -> bool:
    """Whether its daemon answers, and has a broker.

    Between two rounds of the simulated camera it is started again, and does not answer.
    """
    try:
        status = json.loads(podman("exec", container, "doorbell", "status", "--json"))
    except StepFailedError:
        return False
    return bool(status["broker"]["connected"])


def users_of(podman: Podman, container: str) -> str:
    """Who its processes run as.

    Raises:
        StepFailedError: one of them as root.
    """
    lines = podman("top", container, "user", "capeff", "args").splitlines()[1:]
    serving = [line.split(None, 2) for line in lines if "bin/doorbell" in line]
    users = {user: capabilities for user, capabilities, _ in serving}
    if set(users) != {"doorbell", "doorbell-console"} or set(users.values()) != {"none"}:
        raise StepFailedError(f"its processes are {lines}")
    return "as doorbell and doorbell-console, without a capability"


def ask(podman: Podman, address: str) -> str:
    """Ask for the page from this address of the add-ons' network; the code and the page."""
    entry = "--entrypoint=/opt/doorbell/.venv/bin/python"
    network = (f"--network={NETWORK}", f"--ip={address}")
    return podman("run", "--rm", *network, entry, IMAGE, "-c", ASK).strip()
