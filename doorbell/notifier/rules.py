"""Who is told of what, and when: decided without a clock and without a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from doorbell.clock import is_between
from doorbell.config.notifications import TargetSection
from doorbell.domain import AT_THE_DOOR
from doorbell.gallery.names import name_key
from doorbell.notifier.notices import Notice


class Refusal(Enum):
    """Why a target is not told."""

    KIND = "it is told of other things"
    PEOPLE = "it is told of other people"
    NOT_ABOUT = "it is told nothing of this person"
    QUIET = "it has quiet hours"
    ANNOUNCED = "it was told of this visit"
    LIMIT = "it was told as often as it may be within an hour"


@dataclass(frozen=True, slots=True)
class Past:
    """What a target was told before.

    Attributes:
        within_hour: how many notifications of the last hour.
        announced: whom it was told of in this visit; see ``announced_as``.
    """

    within_hour: int = 0
    announced: frozenset[str] = frozenset()


def refusal(target: TargetSection, notice: Notice, past: Past, local: datetime) -> Refusal | None:
    """Why a target is not told of a notice; None where it is.

    Args:
        target: whom to tell.
        notice: of what.
        past: what it was told before.
        local: when it happened, by the clock of the house.
    """
    if notice.kind == "test":
        return None if notice.target == target.name else Refusal.KIND
    reasons = {
        Refusal.KIND: notice.kind not in target.tell,
        Refusal.NOT_ABOUT: _is_not_for(target, notice),
        Refusal.PEOPLE: notice.kind == "person"
        and bool(target.people)
        and not _is_one_of(target.people, notice),
        Refusal.QUIET: quiet_seconds(target, local) > 0,
        Refusal.ANNOUNCED: not notice.pressed and _is_known(announced_as(notice), past.announced),
        Refusal.LIMIT: past.within_hour >= target.per_hour,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def announced_as(notice: Notice) -> str:
    """Whom a notice announces: a person, or somebody; nothing where it announces nobody."""
    if notice.kind not in AT_THE_DOOR or notice.visit_id is None:
        return ""
    visitor = notice.visitor
    if visitor is not None and visitor.kind == "person":
        return f"person {visitor.person_id if visitor.person_id is not None else visitor.name}"
    return "somebody"


def quiet_seconds(target: TargetSection, local: datetime) -> float:
    """For how long a target has quiet hours yet; 0 where it has none now.

    Args:
        target: whose hours.
        local: now, by the clock of the house.
    """
    end = target.quiet_to
    if end is None or not is_between(local.time(), target.quiet_from, end):
        return 0.0
    ends = local.replace(
        hour=end.hour, minute=end.minute, second=end.second, microsecond=end.microsecond
    )
    if ends <= local:
        ends += timedelta(days=1)
    return (ends - local).total_seconds()


def _is_known(announced: str, before: frozenset[str]) -> bool:
    """Whether this was told of the visit; that it is somebody, once anybody was told of."""
    return bool(announced) and (announced in before or (announced == "somebody" and bool(before)))


def _is_not_for(target: TargetSection, notice: Notice) -> bool:
    return target.not_about is not None and _is_one_of((target.not_about,), notice)


def _is_one_of(names: tuple[str, ...], notice: Notice) -> bool:
    visitor = notice.visitor
    if visitor is None or visitor.kind != "person" or visitor.name is None:
        return False
    return name_key(visitor.name) in {name_key(name) for name in names}
