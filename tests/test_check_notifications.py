"""What ``doorbell check`` says of notifications, of a configuration and a running doorbell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console_documents import target
from scripted_doorbell import ScriptedDoorbell

from doorbell.config import Config, ControlSection, StorageSection
from doorbell.config.notifications import NotificationsSection, TargetSection
from doorbell.diagnostics.notifications import check_notifications
from doorbell.errors import OutputError

TARGETS = (
    TargetSection(name="anna", address_file=Path("/etc/doorbell-notifier/anna")),
    TargetSection(
        name="office",
        webhook="https://office.example.org/door?key=secret",
        secret_file=Path("/etc/doorbell-notifier/secret"),
        picture=True,
    ),
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        notifications=NotificationsSection(enabled=True, targets=TARGETS),
        control=ControlSection(socket=tmp_path / "doorbell.sock"),
    )


@pytest.fixture
def told(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """How a running doorbell's notifications are; to be changed."""
    told: dict[str, Any] = {
        "enabled": True,
        "silent_seconds": 4,
        "reported_seconds": 2,
        "targets": [target("anna"), target("office", to="webhook at office.example.org")],
    }
    answers = {"status": lambda _: {"notifications": told}}
    with ScriptedDoorbell(tmp_path / "doorbell.sock", answers):
        yield told


def test_where_pictures_go_is_said_in_words_without_a_secret(config: Config) -> None:
    words, _ = check_notifications(config)
    assert words.startswith(
        "told: anna (the address in /etc/doorbell-notifier/anna), office (webhook at "
        "office.example.org); pictures go to office (webhook at office.example.org)"
    )
    assert "the doorbell does not run" in words
    assert "secret" not in words
    assert "sent anywhere" in check_notifications(Config())[0]
    nobody = config.model_copy(update={"notifications": NotificationsSection(enabled=True)})
    assert check_notifications(nobody)[0] == "nobody is told"
    one = NotificationsSection(enabled=True, targets=TARGETS[:1])
    words, _ = check_notifications(config.model_copy(update={"notifications": one}))
    assert "pictures go nowhere" in words


def test_a_notifier_that_is_silent_and_targets_that_fail_are_found(
    config: Config, told: dict[str, Any]
) -> None:
    words, advice = check_notifications(config)
    assert "anna (ntfy at ntfy.example.org)" in words
    assert advice == []
    told["targets"][1]["problem"] = "no route to host"
    with pytest.raises(OutputError, match="did not arrive: office: no route to host"):
        check_notifications(config)
    told["silent_seconds"] = 600
    with pytest.raises(OutputError, match="not asked for 10 min: start it with systemctl"):
        check_notifications(config)


def test_a_name_by_which_nobody_is_enrolled_is_found(config: Config, storage: Path) -> None:
    targets = (
        TARGETS[0].model_copy(update={"not_about": " anna "}),
        TARGETS[1].model_copy(update={"tell": ("person",), "people": ("李小龍", "Annna")}),
    )
    section = NotificationsSection(enabled=True, targets=targets)
    kept = StorageSection(directory=storage)
    named = config.model_copy(update={"notifications": section, "storage": kept})
    [advice] = check_notifications(named)[1]
    assert "Nobody is enrolled as Annna, whom the target office names" in advice
    (storage / "gallery.sqlite").write_bytes(b"damaged" * 1000)
    assert check_notifications(named)[1] == []


@pytest.mark.parametrize("url", ["http://[x", "http://:80/"])
def test_an_address_that_leads_nowhere_ends_no_check(config: Config, url: str) -> None:
    wrong = TargetSection(name="wrong", webhook=url, secret_file=Path("/s"))
    section = NotificationsSection(enabled=True, targets=(wrong,))
    words, _ = check_notifications(config.model_copy(update={"notifications": section}))

    assert "told: wrong (webhook at no host)" in words
