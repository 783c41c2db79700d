"""The notifier as a process: beside a real doorbell, and killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from notice_journal import ANSWERS, STRANGER, Journal, jpeg, notice
from notification_receivers import (
    JsonReceiver,
    NtfyServer,
    Receiver,
    TelegramServer,
    WebhookReceiver,
)
from scripted_doorbell import ScriptedDoorbell

from doorbell.control.client import Client
from doorbell.testbed.daemon_process import DOORBELL, WATCHING, DaemonProcess
from doorbell.testbed.service_manager import ServiceManager
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

TOKEN = "123456:AAverysecretbottokenofnobodyatall"  # noqa: S105 - nobody's
CHAT = 42
SECRETS = ("hush-webhook", "hush-json", "tk_hushntfy", TOKEN.partition(":")[2])
SECONDS = 30.0
# Of each run of the tests; DOORBELL_KILLS=200 for more.
KILLS = int(os.environ.get("DOORBELL_KILLS", "3"))


@dataclass
class Receivers:
    """One of each kind, and the configuration by which they are told."""

    hook: WebhookReceiver
    json: JsonReceiver
    ntfy: NtfyServer
    telegram: TelegramServer
    folder: Path

    @property
    def all(self) -> Sequence[Receiver]:
        return (self.hook, self.json, self.ntfy, self.telegram)

    def secret(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return json.dumps(str(path))

    @property
    def targets(self) -> str:
        ntfy = f"ntfy://{SECRETS[2]}@127.0.0.1:{self.ntfy.port}/door"
        telegram = f"tgram://{TOKEN}/{CHAT}?api={self.telegram.url}"
        address = f"json://user:{SECRETS[1]}@127.0.0.1:{self.json.port}/"
        return f"""
            [[notifications.targets]]
            name = "hook"
            webhook = "{self.hook.url}/in"
            secret_file = {self.secret("hook", SECRETS[0])}
            tell = ["ring", "stranger", "camera"]
            per_hour = 1000
            [[notifications.targets]]
            name = "json"
            address_file = {self.secret("json", address)}
            per_hour = 1000
            [[notifications.targets]]
            name = "ntfy"
            address_file = {self.secret("ntfy", ntfy)}
            picture = true
            actions = true
            per_hour = 1000
            [[notifications.targets]]
            name = "telegram"
            address_file = {self.secret("telegram", telegram)}
            picture = true
            actions = true
            per_hour = 1000
        """


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    with (
        WebhookReceiver() as hook,
        JsonReceiver() as posted,
        NtfyServer(SECRETS[2]) as ntfy,
        TelegramServer(TOKEN) as telegram,
    ):
        folder = tmp_path_factory.mktemp("receivers")
        yield Receivers(hook, posted, ntfy, telegram, folder)


def configured(path: Path, directory: Path, targets: str, *, socket: Path) -> Path:
    path.write_text(
        f"""
        [camera]
        uri = "simulated:"
        loop = true
        [chime]
        enabled = false
        [storage]
        directory = "{directory}"
        [control]
        socket = "{socket}"
        [console]
        listen = "192.0.2.1:8480"
        names = ["door.example.org"]
        [log]
        level = "debug"
        [notifications]
        enabled = true
        directory = "{directory}/notifier"
        {targets}
        """
    )
    return path


def notifier_process(config: Path, log: Path, **environment: str) -> DaemonProcess:
    command = [*DOORBELL, "notifier", "--verbose", "--config", str(config)]
    return DaemonProcess(command, log, environment=environment)


@dataclass
class House:
    """A doorbell, its notifier and whom that tells."""

    daemon: DaemonProcess
    notifier: DaemonProcess
    manager: ServiceManager
    config: Path
    socket: Path
    receivers: Receivers

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        with Client.connect(self.socket) as client:
            return client.ask(verb, **arguments).document


@pytest.fixture(scope="module")
def house(
    models_directory: Path,  # noqa: ARG001 - built for the daemon
    tmp_path_factory: pytest.TempPathFactory,
    receivers: Receivers,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    socket = folder / "doorbell.sock"
    config = configured(folder / "doorbell.toml", folder, receivers.targets, socket=socket)
    with ExitStack() as stack:
        manager = stack.enter_context(ServiceManager(folder, watchdog_seconds=8.0))
        notifier = stack.enter_context(
            notifier_process(config, folder / "notifier.log", **manager.environment)
        )
        assert manager.ready_at(SECONDS), notifier.log
        # It waits for the doorbell, which comes later.
        command = [*DOORBELL, "run", "--config", str(config)]
        daemon = stack.enter_context(DaemonProcess(command, folder / "daemon.log"))
        assert daemon.says(WATCHING)
        yield House(daemon, notifier, manager, config, socket, receivers)


def pressed(received: Receiver) -> int:
    return len([each for each in received.taken if b'"pressed": true' in each.body])


def test_a_ring_reaches_everybody_once(house: House) -> None:
    told = house.receivers
    assert eventually(lambda: all(each.ids for each in told.all), 60.0), house.notifier.log
    before = pressed(told.hook)
    house.ask("ring")
    assert eventually(lambda: pressed(told.hook) == before + 1, SECONDS), house.notifier.log
    last = next(each.document for each in reversed(told.hook.taken) if b"true" in each.body)
    assert last["link"].startswith("https://door.example.org:8480/")
    rings = [each.document["id"] for each in told.hook.taken if each.document["kind"] == "ring"]
    assert eventually(lambda: set(rings) <= set(told.ntfy.ids), SECONDS)
    assert len(set(told.hook.ids)) == len(told.hook.ids)
    assert len(set(told.ntfy.ids)) == len(told.ntfy.ids)
    pictured = [told.ntfy.message(each).get("attachment") for each in told.ntfy.taken]
    assert any(each is not None and each.startswith(b"\xff\xd8") for each in pictured)
    assert all(each.document["picture"] is None for each in told.hook.taken)


def test_an_answer_in_telegram_reaches_the_doorbell_once(house: House) -> None:
    server = house.receivers.telegram

    def keyboards() -> list[Any]:
        sent = server.calls("sendMessage", "sendPhoto")
        given = [each["reply_markup"] for each in sent if "reply_markup" in each]
        return [json.loads(each) if isinstance(each, str) else each for each in given]

    assert eventually(lambda: bool(keyboards()), 30.0), house.notifier.log
    token = keyboards()[-1]["inline_keyboard"][-1][0]["callback_data"]
    for _ in range(2):
        server.press(CHAT, token)
    server.press(CHAT, token[:-1] + ("A" if token[-1] != "A" else "B"))
    assert eventually(lambda: len(server.calls("answerCallbackQuery")) == 3, SECONDS)
    done, again, forged = (each["text"] for each in server.calls("answerCallbackQuery"))

    assert "does nothing any more" not in done
    assert "does nothing any more" in again
    assert "is no answer" in forged


def test_the_command_line_tries_one_target(house: House) -> None:
    command = [*DOORBELL, "notifier", "test", "json", "--config", str(house.config)]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    assert eventually(
        lambda: any("test" in each.document["title"] for each in house.receivers.json.taken),
        SECONDS,
    )
    assert not any(each.document["kind"] == "test" for each in house.receivers.hook.taken)


def told_of(house: House) -> dict[str, str]:
    """Where each target is, as the doorbell was told."""
    return {each["name"]: each["to"] for each in house.ask("status")["notifications"]["targets"]}


def test_the_doorbell_is_told_how_the_targets_are(house: House) -> None:
    expected = {
        "hook": "webhook at 127.0.0.1",
        "json": "JSON at 127.0.0.1",
        "ntfy": "ntfy at 127.0.0.1",
        "telegram": "Telegram by 127.0.0.1",
    }
    assert eventually(lambda: told_of(house) == expected, SECONDS)
    for name in expected:
        house.ask("notices.test", target=name)

    def last() -> list[str | None]:
        return [each["last_at"] for each in house.ask("status")["notifications"]["targets"]]

    assert eventually(lambda: all(last()), SECONDS)


def test_the_watchdog_is_fed_while_the_doorbell_is_waited_for(house: House) -> None:
    assert eventually(lambda: house.manager.names.count("WATCHDOG") >= 2, SECONDS)


def test_a_hang_up_reads_the_targets_anew(house: House) -> None:
    text = house.config.read_text()
    try:
        house.config.write_text(text.replace('tell = ["ring", "stranger", "camera"]', "per = 1"))
        house.notifier.signal(signal.SIGHUP)
        assert house.notifier.says("the targets stay as they were")
        house.config.write_text(text.replace('name = "json"', 'name = "renamed"'))
        for process in (house.daemon, house.notifier):
            process.signal(signal.SIGHUP)
        assert house.notifier.says("read the targets of notifications anew")
        assert eventually(lambda: told_of(house).get("renamed") == "JSON at 127.0.0.1", SECONDS)
    finally:
        house.config.write_text(text)
        for process in (house.daemon, house.notifier):
            process.signal(signal.SIGHUP)


def test_no_secret_is_in_a_log_or_a_report(house: House) -> None:
    house.receivers.ntfy.token, kept = "another", house.receivers.ntfy.token
    try:
        house.ask("ring")
        assert house.notifier.says("ntfy is not told: 127.0.0.1 refuses it (401)")
    finally:
        house.receivers.ntfy.token = kept
    said = f"{house.notifier.log}{house.daemon.log}{json.dumps(house.ask('status'))}"
    assert "DEBUG" in said
    for secret in SECRETS:
        assert secret not in said


def test_a_kill_beside_a_real_doorbell_loses_no_ring(house: House, tmp_path: Path) -> None:
    hook = house.receivers.hook
    before = pressed(hook)
    house.notifier.kill()
    for _ in range(2):
        house.ask("ring")
        time.sleep(0.1)
    with notifier_process(house.config, tmp_path / "log") as anew:
        assert eventually(lambda: pressed(hook) >= before + 2, SECONDS), anew.log
    assert pressed(hook) == before + 2
    assert len(set(hook.ids)) == len(hook.ids)


def has_all(receiver: Receiver, before: int, names: Sequence[str]) -> bool:
    return set(names) <= set(receiver.ids[before:])


def test_a_kill_at_any_moment_loses_nothing(receivers: Receivers, tmp_path: Path) -> None:
    chance = random.Random(int(os.environ.get("DOORBELL_SEED", "1")))  # noqa: S311 - not for secrets
    journal = Journal(wait_seconds=0.2)
    already = [len(each.ids) for each in receivers.all]
    socket = tmp_path / "doorbell.sock"
    config = configured(tmp_path / "doorbell.toml", tmp_path, receivers.targets, socket=socket)
    names: list[str] = []
    with ScriptedDoorbell(socket, journal.answers()):
        running = notifier_process(config, tmp_path / "log")
        for kill in range(KILLS):
            started = time.monotonic()
            # A process needs a second until it takes anything; it is killed soon after.
            until = chance.uniform(0.3, 2.0)
            while time.monotonic() - started < until:
                name = f"k{kill}n{len(names)}"
                names.append(name)
                told = notice(
                    name,
                    occurred_at=time.time(),
                    visit_id=name,
                    visitor=STRANGER,
                    answers=ANSWERS,
                )
                journal.tell(told, jpeg() if chance.random() < 0.5 else b"")
                time.sleep(chance.uniform(0.02, 0.25))
            running.kill()
            running = notifier_process(config, tmp_path / "log")
        # Only the last of them can bring it, once it has come up.
        names.append("last")
        journal.tell(notice("last", occurred_at=time.time()), b"")
        with running:
            for each, before in zip(receivers.all, already, strict=True):
                came = partial(has_all, each, before, names)
                assert eventually(came, 60.0), running.log
            assert running.terminate() == 0, running.log
    for each, before in zip(receivers.all, already, strict=True):
        doubled = len(each.ids[before:]) - len(set(each.ids[before:]))
        # Only what was on its way at a kill, by the same id.
        assert doubled <= KILLS
