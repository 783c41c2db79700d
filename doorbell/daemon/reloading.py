"""Taking over a configuration that was changed while the daemon runs.

What is safe to change under way is taken at once: sounds, when it rings, for how long things are
kept. Whatever a camera, a network or a connection was opened with needs a new start, and is named.
A file that is wrong changes nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence

from doorbell.config import Config
from doorbell.config.section import Section
from doorbell.errors import DoorbellError

log = logging.getLogger(__name__)

# Keys that are taken while the daemon runs; of a section alone, all of its keys.
RELOADED = frozenset(
    (
        "announcements",
        "chime",
        "notifications.targets",
        "replies",
        "talk.volume",
        "visits",
        "log",
        "relay.pulse_seconds",
        "relay.when_silent",
        "storage.strangers_days",
        "storage.visits_days",
    )
)
# But for these: a loudspeaker is opened once.
_OPENED_WITH = frozenset(("chime.device",))
_OF_A_DOOR = re.compile(r"^door\.([^.]+)\.")


class Reloader:
    """Reads the configuration anew and hands on what may change.

    Args:
        config: what runs.
        load: reads it anew, from where it came.
        followers: take what runs from now on. The first that refuses, by one of our errors and
            unchanged itself, refuses it for all: so only the first may.
    """

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        followers: Sequence[Callable[[Config], None]],
    ) -> None:
        self._running = config
        self._load = load
        self._followers = followers

    def reload(self) -> None:
        """Take over what may change, and say what was taken and what was not."""
        try:
            wanted = self._load()
            taken = [key for key in _differing(self._running, wanted) if _is_reloaded(key)]
            running = _with(self._running, wanted, taken)
            for follow in self._followers if taken else ():
                follow(running)
        except DoorbellError as exc:
            log.error("the configuration stays as it was: %s", exc)
            return
        self._running = running
        waiting = list(_differing(running, wanted))
        # Names only: a value may be an address with a password.
        if taken:
            log.info("read the configuration anew, and took %s", ", ".join(taken))
        if waiting:
            log.warning("these take a restart of the doorbell: %s", ", ".join(waiting))
        if not taken and not waiting:
            log.info("read the configuration anew: nothing has changed")


def _differing(one: Config, other: Config) -> Iterator[str]:
    """Which keys differ: ``section.key``, and ``door.id.section.key`` of one of several doors."""
    for section in Config.model_fields:
        if section != "door":
            for key in _keys_of(getattr(one, section), getattr(other, section)):
                yield f"{section}.{key}"
    if [each.id for each in one.door] != [each.id for each in other.door]:
        yield "door"
        return
    for before, after in zip(one.door, other.door, strict=True):
        for name in _keys_of(before, after):
            if not isinstance(getattr(before, name), dict):
                yield f"door.{before.id}.{name}"
                continue
            old, new = getattr(before, name), getattr(after, name)
            for key in sorted(old.keys() | new.keys()):
                if old.get(key) != new.get(key):
                    yield f"door.{before.id}.{name}.{key}"


def _keys_of(before: Section, after: Section) -> list[str]:
    """The keys of a section that differ."""
    return [key for key in type(before).model_fields if getattr(before, key) != getattr(after, key)]


def _is_reloaded(key: str) -> bool:
    key = _OF_A_DOOR.sub("", key)
    return key not in _OPENED_WITH and (key in RELOADED or key.partition(".")[0] in RELOADED)


def _with(running: Config, wanted: Config, keys: Sequence[str]) -> Config:
    """A configuration with these keys of another."""
    sections: dict[str, Section] = {}
    doors = {each.id: each for each in running.door}
    for whole in keys:
        section, _, name = _OF_A_DOOR.sub("", whole).partition(".")
        if (match := _OF_A_DOOR.match(whole)) is None:
            before = sections.get(section, getattr(running, section))
            update = {name: getattr(getattr(wanted, section), name)}
            sections[section] = before.model_copy(update=update)
            continue
        [door] = [each for each in wanted.door if each.id == match[1]]
        table = {k: v for k, v in getattr(doors[door.id], section).items() if k != name}
        table |= {k: v for k, v in getattr(door, section).items() if k == name}
        doors[door.id] = doors[door.id].model_copy(update={section: table})
    return running.model_copy(update={**sections, "door": tuple(doors.values())})
