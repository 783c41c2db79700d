"""Who is told of the door elsewhere, where pictures go, and whether what is told arrives."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from doorbell.config import Config, control_socket
from doorbell.config.notifications import TargetSection
from doorbell.control.client import Client
from doorbell.control.requests.notifications import SILENT_SECONDS
from doorbell.errors import ControlError, DoorbellError, NotRunningError, OutputError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import name_key


def check_notifications(config: Config) -> tuple[str, list[str]]:
    """Say who is told and where pictures go, and ask the running doorbell how that goes.

    Args:
        config: what is to be checked.

    Raises:
        OutputError: the notifier does not run, or something did not arrive.

    Returns:
        What is so, and advice about names that do nothing.
    """
    section = config.notifications
    if not section.enabled:
        return "switched off (notifications.enabled): nothing of the door is sent anywhere", []
    if not section.targets:
        return "nobody is told", ["Add somebody under [[notifications.targets]]."]
    status = _status(config)
    advice = _advice_of_names(config)
    told = {each["name"]: each for each in status["targets"]} if status else {}
    where = {each.name: _where(each, told.get(each.name)) for each in section.targets}
    pictures = [where[each.name] for each in section.targets if each.picture]
    words = f"told: {', '.join(where.values())}"
    words += f"; pictures go to {', '.join(pictures)}" if pictures else "; pictures go nowhere"
    if status is None:
        return f"{words}; the doorbell does not run, so nobody knows whether that works", advice
    _require_working(words, status)
    return words, advice


def _advice_of_names(config: Config) -> list[str]:
    """About names in ``people`` and ``not_about`` by which nobody is enrolled: they do nothing."""
    named = [
        (target.name, name)
        for target in config.notifications.targets
        for name in (*target.people, target.not_about)
        if name is not None
    ]
    if not named:
        return []
    try:
        with Gallery.of(config.storage, config.gallery) as gallery:
            enrolled = {name_key(person.name) for person in gallery.people.all()}
    except DoorbellError:  # the gallery's own check says it
        return []
    return [
        f"Nobody is enrolled as {name}, whom the target {target} names: correct that in "
        "[[notifications.targets]], or enroll them."
        for target, name in named
        if name_key(name) not in enrolled
    ]


def _require_working(words: str, status: dict[str, Any]) -> None:
    """Refuse a notifier that does not ask, and targets that fail.

    Raises:
        OutputError: so it is.
    """
    silent = status["silent_seconds"]
    if silent is not None and silent > SILENT_SECONDS:
        raise OutputError(
            f"{words}; but the notifier has not asked for {silent / 60:.0f} min: start it with "
            "systemctl start doorbell-notifier, and look at journalctl -u doorbell-notifier"
        )
    failing = [
        f"{each['name']}: {each['problem']}" for each in status["targets"] if each["problem"]
    ]
    if failing:
        raise OutputError(f"{words}; but what was told last did not arrive: {'; '.join(failing)}")


def _status(config: Config) -> dict[str, Any] | None:
    """What the running doorbell says of its notifications; None where none runs."""
    try:
        with Client.connect(control_socket(config)) as client:
            told: dict[str, Any] = client.ask("status").document["notifications"]
    except NotRunningError:
        return None
    except ControlError as exc:
        raise OutputError(f"the running doorbell does not say how it goes: {exc}") from exc
    return told


def _where(target: TargetSection, told: dict[str, Any] | None) -> str:
    """A target in words, without a secret; as the notifier says it, which has its address."""
    if told is not None and told["to"]:
        return f"{target.name} ({told['to']})"
    if target.webhook is not None:
        return f"{target.name} (webhook at {_host(target.webhook)})"
    return f"{target.name} (the address in {target.address_file})"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:  # the notifier says what is wrong with it
        return "no host"
