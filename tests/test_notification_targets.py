"""What each kind of target gets, at receivers on this machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import ssl
import subprocess
import tempfile
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from notice_journal import ANNA, ANSWERS, Clock, Journal, jpeg, notice
from notification_receivers import (
    JsonReceiver,
    NtfyServer,
    Receiver,
    Reply,
    TelegramServer,
    WebhookReceiver,
)

from doorbell.config.notifications import TargetSection
from doorbell.errors import ConfigError
from doorbell.notifier.by_apprise import plugin_of
from doorbell.notifier.http import TIMEOUT_SECONDS
from doorbell.notifier.notices import Answer
from doorbell.notifier.sending import Message, NotSentError, Sender
from doorbell.notifier.store import NotifierStore
from doorbell.notifier.targets import open_sender
from doorbell.notifier.telegram import Chat
from doorbell.notifier.telegram_answers import IDLE_SECONDS, TelegramAnswers, TelegramBots
from doorbell.notifier.webhook import Webhook

CONSOLE = "https://door.example.org"
TOKEN = "123456:AAabcdef-ghijkl_mnopqrstuvwxyz01234"  # noqa: S105 - nobody's
CHAT = 4242


@pytest.fixture
def bots(tmp_path: Path) -> Iterator[TelegramBots]:
    with closing(NotifierStore(tmp_path / "store")) as store:
        bots = TelegramBots(Journal(), store, poll_seconds=1)
        bots.close()  # who presses what is another test's
        yield bots


def addressed(tmp_path: Path, address: str, **keys: Any) -> TargetSection:
    file = tmp_path / "address"
    file.write_text(f"{address}\n")
    file.chmod(0o600)
    return TargetSection.model_validate({"name": "anna", "address_file": file, **keys})


def message(*, picture: bool = False, answers: tuple[Answer, ...] = ()) -> Message:
    told = notice(
        "n1",
        occurred_at=1_764_400_000.5,
        visit_id="v1",
        visitor=ANNA,
        pressed=True,
        link="/visits/v1",
    )
    return Message(
        told,
        told.message,
        link=f"{CONSOLE}/visits/v1",
        picture=jpeg() if picture else None,
        answers=answers,
    )


def sender_to(address: str, tmp_path: Path, bots: TelegramBots) -> Sender:
    return open_sender(addressed(tmp_path, address), CONSOLE, bots)


def test_a_webhook_gets_signed_json(tmp_path: Path, bots: TelegramBots) -> None:
    secret = tmp_path / "secret"
    secret.write_text("Grüße\n")
    secret.chmod(0o600)
    with WebhookReceiver() as receiver:
        section = TargetSection(name="home", webhook=f"{receiver.url}/in?x=1", secret_file=secret)
        sender = open_sender(section, CONSOLE, bots)
        sender.send(message(picture=True))
    [received] = receiver.taken

    assert sender.to == "webhook at 127.0.0.1"
    assert received.path == "/in?x=1"
    signed = received.headers["Doorbell-Timestamp"].encode() + b"." + received.body
    expected = hmac.new("Grüße".encode(), signed, hashlib.sha256).hexdigest()
    assert received.headers["Doorbell-Signature"] == f"sha256={expected}"
    assert received.headers["Doorbell-Id"] == "n1"
    told = received.document
    assert b64decode(told.pop("picture")) == jpeg()
    assert told == {
        "id": "n1",
        "kind": "ring",
        "occurred_at": "2025-11-29T07:06:40.500+00:00",
        "late": False,
        "title": "Grüße von der Tür",
        "message": "n1 ist an der Tür",
        "pressed": True,
        "visit_id": "v1",
        "visitor": {"kind": "person", "label": "Anna", "name": "Anna"},
        "link": f"{CONSOLE}/visits/v1",
    }


def test_apprise_s_json_gets_words_link_and_picture(tmp_path: Path, bots: TelegramBots) -> None:
    with JsonReceiver() as receiver:
        sender = sender_to(f"json://user:pw@127.0.0.1:{receiver.port}/a", tmp_path, bots)
        assert sender.to == "JSON at 127.0.0.1"
        sender.send(message())
        sender.send(message(picture=True))
    without, pictured = (each.document for each in receiver.taken)

    assert without["title"] == "Grüße von der Tür"
    assert without["message"] == f"n1 ist an der Tür\n{CONSOLE}/visits/v1"
    assert without["attachments"] == []
    [attachment] = pictured["attachments"]
    assert b64decode(attachment["base64"]) == jpeg()
    assert attachment["mimetype"] == "image/jpeg"
    assert attachment["filename"] == "visit.jpg"


@pytest.mark.parametrize("picture", [False, True])
def test_ntfy_gets_buttons_that_post_to_the_console(
    tmp_path: Path, bots: TelegramBots, *, picture: bool
) -> None:
    answers = (*ANSWERS, Answer("Grüße", "token-rx"), Answer("one too many", "token-i"))
    with NtfyServer("tk_secret") as server:
        sender = sender_to(f"ntfy://tk_secret@127.0.0.1:{server.port}/door", tmp_path, bots)
        sender.send(message(picture=picture, answers=answers))
        [told] = [server.message(each) for each in server.taken]

    assert sender.to == "ntfy at 127.0.0.1"
    assert told["topic"] == "door"
    assert told["title"] == "Grüße von der Tür"
    assert told["message"] == "n1 ist an der Tür"
    assert told["sequence_id"] == "n1"
    assert told["click"] == f"{CONSOLE}/visits/v1"
    assert told.get("attachment") == (jpeg() if picture else None)
    assert told["actions"] == [
        {
            "action": "http",
            "label": answer.label,
            "url": f"{CONSOLE}/act?token={answer.token}",
            "method": "POST",
            "clear": True,
        }
        for answer in answers[:3]
    ]


def test_ntfy_has_no_buttons_where_no_phone_reaches_the_console(
    tmp_path: Path, bots: TelegramBots
) -> None:
    with NtfyServer() as server:
        section = addressed(tmp_path, f"ntfy://127.0.0.1:{server.port}/door")
        sender = open_sender(section, None, bots)
        assert not sender.takes_answers
        sender.send(message(answers=ANSWERS))
        [told] = [server.message(each) for each in server.taken]

    assert "actions" not in told


def test_ntfy_in_the_cloud_is_said_by_its_name(tmp_path: Path, bots: TelegramBots) -> None:
    for address in ("ntfys://door-topic", "ntfys://ntfy.sh/door-topic"):
        assert sender_to(address, tmp_path, bots).to == "ntfy at ntfy.sh"


def test_telegram_gets_buttons_below_text_and_picture(tmp_path: Path, bots: TelegramBots) -> None:
    with TelegramServer(TOKEN) as server:
        sender = sender_to(f"tgram://{TOKEN}/{CHAT}?api={server.url}", tmp_path, bots)
        sender.send(message(answers=ANSWERS))
        sender.send(message(answers=ANSWERS, picture=True))
        text, photo = server.calls("sendMessage", "sendPhoto")
    words = f"Grüße von der Tür\nn1 ist an der Tür\n{CONSOLE}/visits/v1"
    keyboard = {
        "inline_keyboard": [
            [{"text": "It's Anna", "callback_data": "token-p1"}],
            [{"text": "Nobody I know", "callback_data": "token-n"}],
        ]
    }

    assert sender.to == "Telegram by 127.0.0.1"
    assert (text["chat_id"], text["text"]) == (str(CHAT), words)
    assert text["reply_markup"] == keyboard
    assert (photo["chat_id"], photo["caption"]) == (str(CHAT), words)
    assert json.loads(photo["reply_markup"]) == keyboard
    assert photo["photo"] == jpeg()


def receivers(tmp_path: Path, bots: TelegramBots) -> Iterator[tuple[Receiver, Sender]]:
    """One of each kind, and what reaches it."""
    secret = tmp_path / "secret"
    secret.write_text("hush-hush")
    secret.chmod(0o600)
    with WebhookReceiver() as receiver:
        section = TargetSection(name="home", webhook=receiver.url, secret_file=secret)
        yield receiver, open_sender(section, CONSOLE, bots)
    with JsonReceiver() as receiver:
        yield receiver, sender_to(f"json://u:hush-hush@127.0.0.1:{receiver.port}", tmp_path, bots)
    with NtfyServer("tk_hush-hush") as server:
        address = f"ntfy://tk_hush-hush@127.0.0.1:{server.port}/door"
        yield server, sender_to(address, tmp_path, bots)
    with TelegramServer(TOKEN) as telegram:
        yield telegram, sender_to(f"tgram://{TOKEN}/7?api={telegram.url}", tmp_path, bots)


def test_what_is_refused_is_said_without_a_secret(
    tmp_path: Path, bots: TelegramBots, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="")
    telling = Reply(403, b'{"description": "bot was blocked, token 123456:AAabcdef"}')
    for receiver, sender in receivers(tmp_path, bots):
        receiver.outage = telling
        with pytest.raises(NotSentError, match="403") as raised:
            sender.send(message(picture=True, answers=ANSWERS))
        assert not raised.value.of_message
        receiver.outage = Reply(0)
        with pytest.raises(NotSentError) as cut_off:
            sender.send(message(answers=ANSWERS))
        receiver.close()
        with pytest.raises(NotSentError) as unreachable:
            sender.send(message())
        said = f"{raised.value} {cut_off.value} {unreachable.value} {caplog.text} {sender.to}"
        for secret in ("hush-hush", "AAabcdef-ghijkl_mnopqrstuvwxyz01234", "token-p1"):
            assert secret not in said
        assert raised.value.__context__ is None or "hush" not in str(raised.value.__context__)
        receiver.close = lambda: None  # type: ignore[method-assign]  # it is closed


def test_nobody_is_followed_elsewhere(tmp_path: Path, bots: TelegramBots) -> None:
    with WebhookReceiver() as elsewhere:
        for receiver, sender in receivers(tmp_path, bots):
            receiver.outage = Reply(307, b"", {"Location": f"{elsewhere.url}/stolen"})
            with pytest.raises(NotSentError):
                sender.send(message(picture=True))
            assert len(receiver.requests) == 1
        assert elsewhere.requests == []


def test_an_apprise_address_that_wants_to_be_sent_elsewhere_is_not(
    tmp_path: Path, bots: TelegramBots
) -> None:
    with JsonReceiver() as receiver, WebhookReceiver() as elsewhere:
        receiver.outage = Reply(307, b"", {"Location": f"{elsewhere.url}/stolen"})
        sender = sender_to(f"json://127.0.0.1:{receiver.port}/?redirect=yes", tmp_path, bots)
        with pytest.raises(NotSentError, match="it answers 307"):
            sender.send(message())
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("reply", "of_message", "seconds"),
    [
        (Reply(413), True, 0.0),
        (Reply(400), True, 0.0),
        (Reply(500), False, 0.0),
        (Reply(429, b"{}", {"Retry-After": "17"}), False, 17.0),
    ],
)
def test_what_a_refusal_means(
    tmp_path: Path, bots: TelegramBots, reply: Reply, seconds: float, *, of_message: bool
) -> None:
    with NtfyServer() as server:
        server.outage = reply
        sender = sender_to(f"ntfy://127.0.0.1:{server.port}/door", tmp_path, bots)
        with pytest.raises(NotSentError) as refused:
            sender.send(message())

    assert refused.value.of_message is of_message
    assert refused.value.retry_seconds == seconds


def test_telegram_says_for_how_long_to_leave_it_alone(tmp_path: Path, bots: TelegramBots) -> None:
    with TelegramServer(TOKEN) as server:
        server.outage = Reply(
            429, b'{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5",'
            b'"parameters":{"retry_after":5}}'
        )  # fmt: skip
        sender = sender_to(f"tgram://{TOKEN}/{CHAT}?api={server.url}", tmp_path, bots)
        with pytest.raises(NotSentError, match="Too Many Requests") as refused:
            sender.send(message())

    assert refused.value.retry_seconds == 5.0


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, bots: TelegramBots
) -> None:
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with NtfyServer() as server:
        server.encrypt(context)
        address = f"ntfys://127.0.0.1:{server.port}/door"
        with pytest.raises(NotSentError, match="cannot be trusted"):
            sender_to(address, tmp_path, bots).send(message())
        sender_to(f"{address}?verify=no", tmp_path, bots).send(message())

    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense-hush", "none that Apprise understands"),
        ("ntfy://host-hush:99999999/a/b", "none that Apprise understands|2 topics"),
        ("ntfy://tk_hush@host/one/two", "2 topics"),
        (f"tgram://{TOKEN}/1/2", "not of the form"),
        ("tgram://hush", "not of the form"),
        (f"tgram://{TOKEN}/1?api=ftp://hush/", "api= in the Telegram address"),
        (f"tgram://{TOKEN}/1?api=http://[hush", "api= in the Telegram address"),
        ("", "holds no password or address"),
    ],
)
def test_a_wrong_address_is_said_without_it(
    tmp_path: Path, bots: TelegramBots, address: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as wrong:
        sender_to(address, tmp_path, bots)

    assert "hush" not in str(wrong.value)
    assert TOKEN not in str(wrong.value)


@pytest.mark.parametrize("url", ["http://u:hush@h/", "http://h:99999/", "http://[h/", "http:///x"])
def test_a_web_address_that_leads_nowhere_is_said_without_it(
    tmp_path: Path, bots: TelegramBots, url: str
) -> None:
    section = TargetSection(name="home", webhook=url, secret_file=tmp_path / "secret")
    with pytest.raises(ConfigError, match="needs a host") as wrong:
        open_sender(section, CONSOLE, bots)

    assert "hush" not in str(wrong.value)


def test_a_credential_of_systemd_is_read(
    tmp_path: Path, bots: TelegramBots, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "anna").write_text("ntfys://ntfy.example.org/door")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    section = TargetSection(name="anna", address_file=Path("$CREDENTIALS_DIRECTORY/anna"))

    assert open_sender(section, CONSOLE, bots).to == "ntfy at ntfy.example.org"


class Presses:
    """A Telegram bot whose buttons are pressed, and the doorbell that hears of it."""

    def __init__(self, folder: Path, server: TelegramServer, clock: Clock) -> None:
        self.journal = Journal()
        self.server = server
        self.store = NotifierStore(folder / "store")
        self.bots = TelegramBots(self.journal, self.store, poll_seconds=1, now=clock)
        section = addressed(folder, f"tgram://{TOKEN}/{CHAT}?api={server.url}")
        self.sender = open_sender(section, CONSOLE, self.bots)

    def close(self) -> None:
        self.bots.close()
        self.bots.join()
        self.store.close()


@pytest.fixture
def server() -> Iterator[TelegramServer]:
    with TelegramServer(TOKEN) as server:
        yield server


def wait_until(condition: Any, seconds: float = 30.0) -> None:
    ticks = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        ticks.wait(0.02)
    raise AssertionError("it does not come")


def test_a_button_in_telegram_is_done_and_said_and_gone(
    tmp_path: Path, server: TelegramServer
) -> None:
    with closing(Presses(tmp_path, server, Clock())) as telegram:
        telegram.sender.send(message(answers=ANSWERS))
        server.press(CHAT, "token-p1")
        wait_until(lambda: server.calls("editMessageReplyMarkup"))
        server.press(CHAT, "token-p1")
        server.press(CHAT, "forged")
        wait_until(lambda: len(server.calls("answerCallbackQuery")) == 3)

    assert telegram.journal.acted == ["token-p1"]
    said = [each["text"] for each in server.calls("answerCallbackQuery")]
    assert said == [
        "done as you say",
        "this answer was given already",
        "that is no answer that this doorbell has asked for",
    ]
    gone = server.calls("editMessageReplyMarkup")[0]
    assert (gone["chat_id"], gone["message_id"]) == (CHAT, 5)
    assert "reply_markup" not in gone
    assert all(each["allowed_updates"] == ["callback_query"] for each in server.calls("getUpdates"))


def test_a_button_in_another_chat_does_nothing(
    tmp_path: Path, server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Presses(tmp_path, server, Clock())) as telegram:
        telegram.sender.send(message(answers=ANSWERS))
        server.press(CHAT + 1, "token-p1")
        server.press(CHAT, "token-n")
        wait_until(lambda: server.calls("answerCallbackQuery"))

    assert telegram.journal.acted == ["token-n"]
    assert "in a chat that is not told" in caplog.text


def test_telegram_is_asked_only_while_a_button_is_open(
    tmp_path: Path, server: TelegramServer
) -> None:
    clock, chat = Clock(), Chat.read("anna", f"tgram://{TOKEN}/{CHAT}?api={server.url}")
    with closing(NotifierStore(tmp_path)) as store:
        answers = TelegramAnswers(chat, Journal(), store, now=clock, poll_seconds=0)
        assert answers.step() == IDLE_SECONDS
        answers.open_buttons()
        assert answers.step() == 0.0
        clock.now += 86399.0
        assert answers.step() == 0.0
        clock.now += 2.0
        assert answers.step() == IDLE_SECONDS

    assert len(server.calls("getUpdates")) == 2


def test_a_press_while_the_notifier_was_away_is_done_once(
    tmp_path: Path, server: TelegramServer
) -> None:
    with closing(Presses(tmp_path, server, Clock())) as telegram:
        telegram.sender.send(message(answers=ANSWERS))
        server.press(CHAT, "token-p1")
        wait_until(lambda: server.calls("answerCallbackQuery"))
    server.press(CHAT, "token-n")
    with closing(Presses(tmp_path, server, Clock())) as anew:
        wait_until(lambda: len(server.calls("answerCallbackQuery")) == 2)

    assert anew.journal.acted == ["token-n"]


def test_a_press_waits_for_a_doorbell_that_does_not_run(
    tmp_path: Path, server: TelegramServer
) -> None:
    with closing(Presses(tmp_path, server, Clock())) as telegram:
        telegram.journal.running = False
        telegram.sender.send(message(answers=ANSWERS))
        server.press(CHAT, "token-p1")
        wait_until(lambda: server.calls("getUpdates"))
        assert server.calls("answerCallbackQuery") == []
    with closing(Presses(tmp_path, server, Clock())) as anew:
        wait_until(lambda: server.calls("answerCallbackQuery"))

    assert anew.journal.acted == ["token-p1"]


def test_rubbish_from_telegram_s_server_ends_nothing(
    tmp_path: Path, server: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.rubbish = [Reply(200, b'{"ok": true, "result": {}}'), Reply(200, b"[" * 5000)]
    with closing(Presses(tmp_path, server, Clock())) as telegram:
        telegram.sender.send(message(answers=ANSWERS))
        wait_until(lambda: "not what Telegram answers" in caplog.text)
        telegram.sender.send(message(answers=ANSWERS))  # it is asked again at once
        wait_until(lambda: not server.rubbish)
        server.press(CHAT, "token-p1")
        telegram.sender.send(message(answers=ANSWERS))
        wait_until(lambda: telegram.journal.acted == ["token-p1"])


def test_a_message_that_is_late_says_when_it_was(tmp_path: Path, bots: TelegramBots) -> None:
    late = replace(message(), text="n1 ist an der Tür Das war um 08:06 Uhr.", is_late=True)
    secret = tmp_path / "secret"
    secret.write_text("s")
    with WebhookReceiver() as receiver:
        section = TargetSection(name="home", webhook=receiver.url, secret_file=secret)
        open_sender(section, CONSOLE, bots).send(late)

    assert receiver.taken[0].document["late"] is True
    assert "08:06" in receiver.taken[0].document["message"]


def test_the_documented_receiver_takes_a_request_once_and_no_altered_or_old_one(
    tmp_path: Path, bots: TelegramBots
) -> None:
    page = (Path(__file__).parent.parent / "docs" / "notifier.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    receiver: dict[str, Any] = {}
    exec(example, receiver)  # noqa: S102 - our own page
    takes = receiver["is_new_and_genuine"]
    secret = tmp_path / "secret"
    secret.write_text("hush")
    old = Clock()
    old.now -= 301.0
    with WebhookReceiver() as server:
        section = TargetSection(name="home", webhook=server.url, secret_file=secret)
        Webhook("home", server.url, secret, now=old).send(message())
        open_sender(section, CONSOLE, bots).send(message())
    late, received = server.taken
    headers, body = received.headers, received.body

    assert not takes(b"hush", late.headers, late.body)
    assert not takes(b"another", headers, body)
    assert not takes(b"hush", headers, body + b" ")
    later = {**headers, "Doorbell-Timestamp": str(int(headers["Doorbell-Timestamp"]) + 1)}
    assert not takes(b"hush", later, body)
    assert takes(b"hush", headers, body)
    assert not takes(b"hush", headers, body), "replayed"
    renamed = {**headers, "Doorbell-Id": "another"}
    assert not takes(b"hush", renamed, body), "replayed by another name"


def test_a_chat_is_known_by_its_name_in_any_case(tmp_path: Path, server: TelegramServer) -> None:
    chat = {"id": -7, "type": "supergroup", "username": "ourdoor"}
    query = {"id": "q", "data": "token-n", "message": {"message_id": 5, "date": 0, "chat": chat}}
    server.updates.append({"update_id": 1, "callback_query": query})
    journal = Journal()
    named = Chat.read("anna", f"tgram://{TOKEN}/OurDoor?api={server.url}")
    with closing(NotifierStore(tmp_path)) as store:
        answers = TelegramAnswers(named, journal, store, poll_seconds=0)
        answers.open_buttons()
        answers.step()

    assert journal.acted == ["token-n"]


def test_a_server_that_takes_a_minute_is_waited_for() -> None:
    for address in ("json://h/", "json://h/?rto=2", "signal://h:8080/+4930123456/+4930123457"):
        connecting, answering = plugin_of("anna", address).request_timeout
        assert connecting <= 20.0
        assert answering > 60.0
    assert TIMEOUT_SECONDS > 60.0


def test_no_picture_is_written_to_the_disk_to_be_sent(
    tmp_path: Path, bots: TelegramBots, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir(mode=0o500)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    changed_at = folder.stat().st_mtime_ns
    with JsonReceiver() as receiver:
        sender = sender_to(f"json://127.0.0.1:{receiver.port}/", tmp_path, bots)
        sender.send(message(picture=True))

    assert folder.stat().st_mtime_ns == changed_at
