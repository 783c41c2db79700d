"""Points in time as people say them, by the house's clock and in the reader's language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from babel.core import Locale
from babel.dates import format_date, format_skeleton, format_time

Gettext = Callable[..., str]


def parse(text: str) -> datetime:
    """The time of an ISO 8601 string, in the zone of the house: that of this machine."""
    # Python 3.10 does not read the Z.
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone()


def clock(moment: datetime, locale: Locale) -> str:
    """Hours and minutes, such as 14:03."""
    return format_time(moment.time(), "HH:mm", locale=locale)


def day(moment: datetime, now: datetime, locale: Locale, gettext: Gettext) -> str:
    """Such as "today", "yesterday", "Monday", "3 Nov" or "3 Nov 2025"."""
    days = (now.date() - moment.date()).days
    if days == 0:
        return gettext("today")
    if days == 1:
        return gettext("yesterday")
    if 1 < days < 7:
        return format_date(moment.date(), "EEEE", locale=locale)
    if moment.year == now.year:
        return format_skeleton("MMMd", moment, tzinfo=moment.tzinfo, locale=locale)
    return format_skeleton("yMMMd", moment, tzinfo=moment.tzinfo, locale=locale)


def when(moment: datetime, now: datetime, locale: Locale, gettext: Gettext) -> str:
    """Day and time, such as "today 14:03"."""
    return f"{day(moment, now, locale, gettext)} {clock(moment, locale)}"
