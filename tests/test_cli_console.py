"""``doorbell console`` as it is typed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from command_line import Cli

from doorbell.console.access import Access
from doorbell.console.routing import Role

PROGRAM = [sys.executable, "-c", "from doorbell.cli import main; main()"]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "console"


@pytest.fixture
def console(cli: Cli, state: Path) -> Cli:
    def call(*words: str, typed: str = "") -> object:
        return cli("console", *words, "--set", f"console.directory={state}", typed=typed)

    return call  # type: ignore[return-value]


def test_a_code_is_printed_that_lets_a_device_in(console: Cli, state: Path) -> None:
    told = json.loads(console("pair", "--role", "owner", "--name", "Anna's", "--json").stdout)

    assert told["url"] == f"http://localhost:8480/pair#{told['code']}"
    assert told["role"] == "owner"
    access = Access(state)
    paired = access.invitations.accept(told["code"], "another name")
    access.close()
    assert paired is not None
    assert (paired[0].name, paired[0].role) == ("Anna's", Role.OWNER)


def test_a_code_is_for_a_member_and_told_in_words(console: Cli) -> None:
    printed = console("pair").stdout

    assert "open http://localhost:8480/pair#" in printed
    assert "lets one device in as member, until " in printed
    assert "\x1b" not in printed


def test_a_terminal_shows_a_qr_code(state: Path) -> None:
    ours, theirs = os.openpty()
    words = ["console", "pair", "--set", f"console.directory={state}"]
    done = subprocess.run([*PROGRAM, *words], check=False, stdout=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # Linux says so of a terminal whose other end is closed
        while more := os.read(ours, 65536):
            shown += more
    os.close(ours)

    assert done.returncode == 0
    assert "▀" in shown.decode()
    assert b"/pair#" in shown


def test_devices_and_tokens_are_listed_and_revoked(console: Cli, state: Path) -> None:
    assert "no device has access" in console("devices").stdout
    made = json.loads(console("token", "Home Assistant", "--json").stdout)
    access = Access(state)
    access.devices.add("Ben's phone", Role.MEMBER)
    assert access.devices.find(made["token"]) is not None

    listed = json.loads(console("devices", "--json").stdout)
    assert [(each["name"], each["role"]) for each in listed] == [
        ("Home Assistant", "stream"),
        ("Ben's phone", "member"),
    ]
    assert made["stream"] == "http://localhost:8480/stream.mjpeg"
    assert made["token"] not in json.dumps(listed)
    assert "Ben's phone" in console("devices").stdout

    assert console("revoke", "1").stdout == "Home Assistant has no access any more\n"
    assert access.devices.find(made["token"]) is None
    assert [each.action for each in access.audit.newest()] == ["devices revoke", "devices token"]
    access.close()
    again = console("revoke", "1")
    assert again.exit_code == 2
    assert "there is no device 1" in again.output


@pytest.mark.parametrize(
    "words", [["token", " \u200b"], ["revoke", "0"], ["pair", "--role", "stream"]]
)
def test_what_is_no_request_is_refused(console: Cli, words: list[str]) -> None:
    assert console(*words).exit_code == 2


@pytest.mark.parametrize("words", [[], ["run"]])
def test_it_is_off_unless_the_configuration_says_otherwise(console: Cli, words: list[str]) -> None:
    refused = console(*words)

    assert refused.exit_code == 2
    assert "console.enabled" in refused.output


def test_a_state_that_is_out_of_reach_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")

    refused = cli("console", "devices", "--set", f"console.directory={tmp_path / 'file' / 'x'}")

    assert refused.exit_code == 3
    assert "set console.directory" in refused.output


def fetched(address: str, path: str, context: ssl.SSLContext | None = None) -> bytes:
    """What is at a path."""
    parts = urllib.parse.urlsplit(address)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=5, context=context)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=5)
    )
    with closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read()


@contextmanager
def running(state: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The console as a process of its own, and its address."""
    settings = [f"console.directory={state}", "console.enabled=true", *words]
    options = [word for setting in settings for word in ("--set", setting)]
    with subprocess.Popen(
        [*PROGRAM, "console", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield process, line.rpartition(" ")[2].strip()
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.system
def test_it_serves_until_it_is_stopped_and_ends_in_order(state: Path) -> None:
    with running(state, "console.listen=127.0.0.1:0") as (process, address):
        assert fetched(address, "/healthz") == b"ok"
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=10)

    assert process.returncode == 0
    assert "Traceback" not in logged
    assert [path.name for path in state.iterdir()] == ["access.sqlite"]


@pytest.mark.system
def test_it_speaks_https_to_the_house(state: Path) -> None:
    words = ("console.listen=0.0.0.0:0", 'console.names=["localhost"]')
    with running(state, *words) as (_, address):
        assert address.startswith("https://localhost:")
        trusting = ssl.create_default_context(cafile=str(state / "ca.crt"))
        assert fetched(address, "/ca.crt", trusting) == (state / "ca.crt").read_bytes()


@pytest.mark.system
def test_an_address_that_is_taken_is_named(state: Path) -> None:
    with running(state, "console.listen=127.0.0.1:0") as (_, address):
        port = address.rpartition(":")[2]
        with running(state, f"console.listen=127.0.0.1:{port}") as (second, _):
            _, said = second.communicate(timeout=10)

    assert second.returncode == 2
    assert "console.listen" in said


def test_the_pages_know_no_gallery_no_key_and_no_network() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, doorbell.console.server, doorbell.console.app\n"
            "print('\\n'.join(sorted(sys.modules)))",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    ours = {name.split(".")[1] for name in loaded if name.startswith("doorbell.")}
    assert ours <= {
        "clock", "config", "console", "control", "domain", "errors", "imaging", "status", "storage",
        "text",
    }  # fmt: skip
    assert "doorbell.storage.encryption" not in loaded
    others = {name.partition(".")[0] for name in loaded}
    assert others & {"openvino", "onnx", "paho", "tensorrt", "sqlite_utils", "multipart"} == set()
