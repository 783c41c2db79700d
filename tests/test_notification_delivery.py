"""From the doorbell's journal to receivers: outages, repeats and refusals, by a test's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from notice_journal import ANNA, ANSWERS, STRANGER, Clock, Journal, jpeg, notice
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
from doorbell.notifier.backoff import FIRST_SECONDS, LONGEST_SECONDS, Backoff
from doorbell.notifier.courier import Clocks, Courier, House
from doorbell.notifier.file import FILE_NAME, NotifierFileError
from doorbell.notifier.intake import Intake
from doorbell.notifier.notices import Notice
from doorbell.notifier.sending import Message, NotSentError, Sender
from doorbell.notifier.store import NotifierStore
from doorbell.notifier.targets import open_sender
from doorbell.notifier.telegram_answers import TelegramBots

TOKEN = "123456:AAabcdef"  # noqa: S105 - nobody's


class Told:
    """A ``Sender`` that keeps what it is told, and refuses what a test says."""

    takes_pictures = True
    takes_answers = True
    to = "a list"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refusals: list[NotSentError] = []
        self.poison: NotSentError | None = None  # what a notice of that name is refused with
        self.tried_at: list[float] = []
        self.now: Callable[[], float] = lambda: 0.0

    def send(self, message: Message) -> None:
        self.tried_at.append(self.now())
        if self.poison is not None and message.notice.notice_id == "poison":
            raise self.poison
        if self.refusals:
            raise self.refusals.pop(0)
        self.messages.append(message)

    @property
    def ids(self) -> list[str]:
        return [each.notice.notice_id for each in self.messages]


@dataclass
class Line:
    """Doorbell, file and one target, moved by hand."""

    journal: Journal
    store: NotifierStore
    intake: Intake
    courier: Courier
    clock: Clock

    def run(self, seconds: float = 0.0) -> None:
        """Let that much time pass, and everything happen that happens then."""
        end = self.clock.now + seconds
        while True:
            self.intake.step()
            while (pause := self.courier.step()) == 0.0:
                pass
            if self.clock.now >= end:
                return
            self.clock.now = min(end, self.clock.now + min(pause, 60.0))

    def tell(self, told: Notice, picture: bytes = b"") -> None:
        self.journal.tell(replace(told, occurred_at=self.clock.now), picture)


def section(**keys: Any) -> TargetSection:
    given: dict[str, Any] = {"name": "anna", "webhook": "http://h/", "secret_file": "/s"}
    return TargetSection.model_validate(given | keys)


def line(
    folder: Path,
    target: TargetSection,
    sender: Callable[[TargetSection], Sender],
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
    store: NotifierStore | None = None,
) -> Line:
    clock = clock or Clock(datetime(2026, 11, 29, 12).astimezone().timestamp())
    journal = journal or Journal()
    store = store or NotifierStore(folder / "store")
    intake = Intake(
        journal, store, lambda: {target.name: target}, kept=lambda _: None, now=clock.moment
    )
    courier = Courier(
        target,
        sender,
        store,
        house=House("de", "https://door.example.org"),
        clocks=Clocks(clock.moment, clock),
        backoff=lambda: Backoff(lambda: 0.5),
    )
    return Line(journal, store, intake, courier, clock)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def one(tmp_path: Path, told: Told) -> Iterator[Line]:
    target = section(tell=["ring", "stranger", "person"], picture=True, actions=True)
    made = line(tmp_path, target, lambda _: told)
    told.now = made.clock
    with closing(made.store):
        yield made


RECEIVERS = ("webhook", "json", "ntfy", "telegram")


@pytest.fixture(params=RECEIVERS)
def reached(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Receiver, TargetSection]]:
    secret = tmp_path / "secret"
    keys: dict[str, Any] = {"name": "anna", "picture": True, "actions": True, "per_hour": 1000}
    with _receiver(request.param) as receiver:
        if request.param == "webhook":
            secret.write_text("hush")
            keys |= {"webhook": receiver.url, "secret_file": secret}
        else:
            addresses = {
                "json": f"json://127.0.0.1:{receiver.port}/",
                "ntfy": f"ntfy://127.0.0.1:{receiver.port}/door",
                "telegram": f"tgram://{TOKEN}/42?api={receiver.url}",
            }
            secret.write_text(addresses[request.param])
            keys |= {"address_file": secret}
        secret.chmod(0o600)
        yield receiver, TargetSection.model_validate(keys)


def _receiver(kind: str) -> Receiver:
    match kind:
        case "webhook":
            return WebhookReceiver()
        case "json":
            return JsonReceiver()
        case "ntfy":
            return NtfyServer()
        case _:
            return TelegramServer(TOKEN)


@pytest.mark.parametrize("outage", [Reply(503), Reply(0)], ids=["refuses", "hangs up"])
def test_an_hour_s_outage_loses_nothing_and_doubles_nothing(
    tmp_path: Path, reached: tuple[Receiver, TargetSection], outage: Reply
) -> None:
    receiver, target = reached
    with closing(NotifierStore(tmp_path / "bots")) as bots_store:
        bots = TelegramBots(Journal(), bots_store, poll_seconds=1)
        bots.close()
        made = line(tmp_path, target, lambda each: open_sender(each, "https://door", bots))
        with closing(made.store):
            made.tell(notice("before", answers=ANSWERS), jpeg())
            made.run()
            assert receiver.ids == ["before"]
            receiver.outage = outage
            for minute in range(0, 60, 10):
                made.tell(notice(f"n{minute}", answers=ANSWERS), jpeg() if minute % 20 else b"")
                made.run(600.0)
            assert receiver.ids == ["before"]
            tried = len(receiver.requests)
            assert 8 < tried < 60, "neither given up nor hammered"
            receiver.outage = None
            made.run(LONGEST_SECONDS)
            expected = ["before", "n0", "n10", "n20", "n30", "n40", "n50"]
            assert receiver.ids == expected
            made.run(7200.0)
            assert receiver.ids == expected
            assert made.courier.state().waiting == 0
            assert made.courier.state().problem is None


def test_a_receiver_that_is_away_is_waited_for(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    with WebhookReceiver() as receiver:
        port = receiver.port
    target = section(webhook=f"http://127.0.0.1:{port}/", secret_file=secret)
    store = NotifierStore(tmp_path / "store")
    bots = TelegramBots(Journal(), store)
    made = line(tmp_path, target, lambda each: open_sender(each, None, bots), store=store)
    with closing(store):
        made.tell(notice("a"))
        made.run(1800.0)
        assert "cannot be reached" in (made.courier.state().problem or "")
        with WebhookReceiver(port) as receiver:
            made.run(LONGEST_SECONDS)
            assert receiver.ids == ["a"]


def test_waits_grow_to_five_minutes_and_differ() -> None:
    for chance in (0.0, 0.5, 0.999):
        backoff = Backoff(partial(float, chance))
        waits = [backoff.failed() for _ in range(12)]
        assert waits[0] <= FIRST_SECONDS
        assert waits == sorted(waits)
        assert LONGEST_SECONDS / 2 <= waits[-1] <= LONGEST_SECONDS
        backoff.succeeded()
        assert backoff.failed() == waits[0]
    assert len({Backoff().failed() for _ in range(5)}) > 1


def test_who_asks_to_be_left_alone_is(one: Line, told: Told) -> None:
    told.refusals = [NotSentError("too many", retry_seconds=1000.0)]
    one.tell(notice("a"))
    one.run(999.0)
    assert told.ids == []
    one.run(2.0)
    assert told.ids == ["a"]


def test_what_is_late_says_when_it_was(one: Line, told: Told) -> None:
    one.tell(notice("now"))
    one.run()
    told.refusals = [NotSentError("away")] * 6
    one.tell(notice("late"))
    one.run(600.0)

    assert [each.is_late for each in told.messages] == [False, True]
    assert told.messages[0].text == "now ist an der Tür"
    assert told.messages[1].text == "late ist an der Tür Das war um 12:00 Uhr."


def test_what_has_waited_for_a_day_is_dropped_with_a_word(
    one: Line, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told.refusals = [NotSentError("away")] * 10_000
    one.tell(notice("old"))
    one.run(43_200.0)
    one.tell(notice("new"))
    one.run(43_300.0)
    told.refusals.clear()
    one.run(LONGEST_SECONDS)

    assert told.ids == ["new"]
    assert "it has waited for a day" in caplog.text


def test_a_clock_that_is_set_by_years_drops_nothing(tmp_path: Path, told: Told) -> None:
    clock = Clock(1000.0)  # as a machine without a battery starts
    with closing(NotifierStore(tmp_path)) as store:
        made = line(tmp_path, section(), lambda _: told, clock=clock, store=store)
        told.refusals = [NotSentError("away")]
        made.tell(notice("a"))
        made.run()
        jumped = Clock(clock.now)
        jumped.wall = 1_800_000_000.0
        line(tmp_path, section(), lambda _: told, clock=jumped, store=store).run()

    assert told.ids == ["a"]


# What may happen, one after the other, at a target that refuses while it is away.
events = st.lists(
    st.sampled_from(["tell", "tell", "press", "away", "back", "restart", "minute", "hour", "lost"]),
    max_size=25,
)


@given(events)
@settings(max_examples=examples(20))
def test_whatever_happens_everything_is_told_once_and_in_order(happening: list[str]) -> None:
    with TemporaryDirectory() as folder:
        told, journal, names = Told(), Journal(), list[str]()
        made = line(Path(folder), section(per_hour=1000), lambda _: told, journal=journal)
        for event in [*happening, "back"]:
            match event:
                case "tell" | "press":
                    names.append(f"n{len(names)}")
                    made.tell(notice(names[-1], visit_id=names[-1], pressed=event == "press"))
                case "away":
                    told.refusals = [NotSentError("away")] * 10_000
                case "back":
                    told.refusals.clear()
                case "restart":
                    made.intake.step()
                    made.store.close()
                    made = line(
                        Path(folder),
                        section(per_hour=1000),
                        lambda _: told,
                        clock=made.clock,
                        journal=journal,
                    )
                case "lost":  # the doorbell has lost its journal, once all of it was taken
                    made.run()
                    journal.journal_id, journal.last = f"{journal.journal_id}j", 0
                    journal.waiting.clear()
                case _:
                    made.run(60.0 if event == "minute" else 3600.0)
        made.run(LONGEST_SECONDS)
        made.store.close()

    assert told.ids == [name for name in names if name in told.ids], "nothing twice, in order"
    if happening.count("hour") < 24:
        assert told.ids == names, "nothing is lost"


def test_what_is_refused_for_its_picture_goes_without_and_holds_up_nothing(
    one: Line, told: Told
) -> None:
    told.refusals = [NotSentError("too large", of_message=True)]
    one.tell(notice("a"), jpeg())
    one.tell(notice("b"), jpeg())
    one.run()

    assert [(each.notice.notice_id, each.picture is not None) for each in told.messages] == [
        ("a", False),
        ("b", True),
    ]


def test_what_is_refused_again_and_again_is_dropped_and_holds_up_nothing(
    one: Line, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told.poison = NotSentError("it is poison", of_message=True)
    one.tell(notice("poison"))
    one.tell(notice("a"))
    one.run()
    assert told.ids == ["a"]
    assert one.courier.state().waiting == 1
    one.run(1000.0)

    assert one.courier.state().waiting == 0
    assert "it is poison" in caplog.text


def test_quiet_hours_that_begin_meanwhile_are_kept(tmp_path: Path, told: Told) -> None:
    target = section(quiet_from="13:00:00", quiet_to="15:00:00")
    made = line(tmp_path, target, lambda _: told)
    with closing(made.store):
        told.refusals = [NotSentError("away", retry_seconds=3700.0)]
        made.tell(notice("a"))
        made.run(3600.0)
        made.tell(notice("quiet"))
        made.run(7100.0)
        assert told.ids == []
        made.run(200.0)
        assert told.ids == ["a"]


def test_one_announcement_is_told_once_and_a_press_anew(one: Line, told: Told) -> None:
    one.tell(notice("ring", visit_id="v", visitor=STRANGER))
    one.tell(notice("stranger", "stranger", visit_id="v", visitor=STRANGER))
    one.tell(notice("pressed", visit_id="v", visitor=STRANGER, pressed=True))
    one.tell(notice("named", "person", visit_id="v", visitor=ANNA))
    one.tell(notice("again", visit_id="v", visitor=ANNA))
    one.tell(notice("other", "stranger", visit_id="w", visitor=STRANGER))
    one.run()

    assert told.ids == ["ring", "pressed", "named", "other"]


def test_no_more_than_so_many_within_an_hour(
    tmp_path: Path, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    made = line(tmp_path, section(per_hour=3), lambda _: told)
    with closing(made.store):
        for number in range(8):
            made.tell(notice(f"n{number}", pressed=True))
            made.run(60.0)
        assert told.ids == ["n0", "n1", "n2"]
        assert caplog.text.count("3 notifications within an hour") == 1
        made.run(3600.0)
        made.tell(notice("later"))
        made.run()
        assert told.ids[-1] == "later"


def test_a_picture_goes_only_to_who_wants_it(tmp_path: Path, told: Told) -> None:
    made = line(tmp_path, section(), lambda _: told)
    with closing(made.store):
        made.tell(notice("a", answers=ANSWERS), jpeg())
        made.run()
        kept = (tmp_path / "store" / FILE_NAME).read_bytes()

    assert told.messages[0].picture is None
    assert told.messages[0].answers == ()
    assert jpeg()[:60] not in kept


def test_what_is_forgotten_while_it_waits_is_not_told(one: Line, told: Told) -> None:
    told.refusals = [NotSentError("away")]
    one.tell(notice("a", visit_id="v"), jpeg())
    one.tell(notice("b", visit_id="w"), jpeg())
    one.run()
    one.tell(notice("gone", "forgotten", visits=("v",), beside=("w",)))
    one.run(10.0)

    assert told.ids == ["b"]
    assert told.messages[0].picture is None


def test_a_journal_that_begins_anew_is_followed(one: Line, told: Told) -> None:
    one.tell(notice("a"))
    one.tell(notice("b"))
    one.run()
    one.journal.journal_id, one.journal.last = "j2", 0
    one.journal.waiting.clear()
    one.tell(notice("b"))
    one.tell(notice("c"))
    one.run()

    assert told.ids == ["a", "b", "c"]
    assert one.store.progress() == ("j2", 2)


def test_what_is_kept_is_deleted_at_the_doorbell_and_not_before(one: Line) -> None:
    one.tell(notice("a"))
    one.intake.step()
    assert one.journal.waiting
    one.intake.step()
    assert not one.journal.waiting


def test_a_doorbell_that_does_not_run_is_asked_again(
    one: Line, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one.journal.running = False
    assert 0.0 < one.intake.step() <= 5.0
    assert one.intake.step() > 0.0
    one.journal.running = True
    one.tell(notice("a"))
    one.run()

    assert told.ids == ["a"]
    assert caplog.text.count("nothing can be taken") == 1


def test_a_secret_that_is_missing_is_said_and_waited_for(
    tmp_path: Path, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    missing = [True]

    def opened(_: TargetSection) -> Sender:
        if missing:
            raise ConfigError("address_file: cannot read /etc/doorbell-notifier/anna")
        return told

    made = line(tmp_path, section(), opened)
    with closing(made.store):
        made.tell(notice("a"))
        made.run(100.0)
        assert "cannot read" in (made.courier.state().problem or "")
        assert caplog.text.count("cannot read") == 1
        missing.clear()
        made.run(LONGEST_SECONDS)
        assert told.ids == ["a"]


class Full(NotifierStore):
    """A file on a disk that is full for a while."""

    full = False

    def done(self, target: str, notice_id: str, *, last_at: float | None = None) -> None:
        if self.full:
            raise NotifierFileError("the disk is full")
        super().done(target, notice_id, last_at=last_at)


def test_what_was_sent_is_not_sent_again_while_the_file_cannot_be_written(
    tmp_path: Path, told: Told
) -> None:
    with closing(Full(tmp_path)) as store:
        made = line(tmp_path, section(), lambda _: told, store=store)
        made.tell(notice("a"))
        made.tell(notice("b"))
        store.full = True
        made.run(600.0)
        assert told.ids == ["a"]
        store.full = False
        made.run(LONGEST_SECONDS)

    assert told.ids == ["a", "b"]


def test_a_slow_target_holds_up_no_other(tmp_path: Path) -> None:
    begun, release, arrived = threading.Event(), threading.Event(), threading.Event()

    class Slow(Told):
        def send(self, message: Message) -> None:
            begun.set()
            release.wait(30.0)
            super().send(message)

    class Quick(Told):
        def send(self, message: Message) -> None:
            super().send(message)
            arrived.set()

    slow, quick = Slow(), Quick()
    sections = {name: section(name=name) for name in ("slow", "quick")}
    journal = Journal(wait_seconds=0.05)
    with closing(NotifierStore(tmp_path)) as store:
        couriers = {
            name: Courier(
                each,
                lambda each: slow if each.name == "slow" else quick,
                store,
                house=House(),
            )
            for name, each in sections.items()
        }

        def wake(names: list[str]) -> None:
            for name in names:
                couriers[name].wake()

        intake = Intake(journal, store, lambda: sections, kept=wake)
        running: list[Intake | Courier] = [intake, *couriers.values()]
        threads = [threading.Thread(target=each.run) for each in running]
        for thread in threads:
            thread.start()
        journal.tell(notice("a"))
        assert begun.wait(30.0)
        assert arrived.wait(30.0)
        assert slow.ids == []
        release.set()
        for each in running:
            each.stop()
        for thread in threads:
            thread.join()

    assert slow.ids == quick.ids == ["a"]


def test_what_comes_late_takes_nothing_from_what_happens_now(tmp_path: Path, told: Told) -> None:
    made = line(tmp_path, section(per_hour=3), lambda _: told)
    with closing(made.store):
        for number in range(3):  # while the notifier was away
            made.tell(notice(f"n{number}", pressed=True))
        made.clock.now += 5 * 3600.0
        made.tell(notice("now", pressed=True))
        made.run()

    assert told.ids == ["n0", "n1", "n2", "now"]
