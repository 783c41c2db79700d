"""Taking over a configuration that was changed while the daemon runs.

What is safe to change under way is taken at once: sounds, when it rings, for how long things are
kept. Whatever a camera, a network or a connection was opened with needs a new start, and is named.
A file that is wrong changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Reload:
    """Somebody asks to read the configuration anew; ``work`` does it, on the main thread."""

    work: Callable[[], None]


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
    """Which keys differ, ``section.key`` each."""
    for section in Config.model_fields:
        before, after = getattr(one, section), getattr(other, section)
        for key in type(before).model_fields:
            if getattr(before, key) != getattr(after, key):
                yield f"{section}.{key}"


def _is_reloaded(key: str) -> bool:
    return key not in _OPENED_WITH and (key in RELOADED or key.partition(".")[0] in RELOADED)


def _with(running: Config, wanted: Config, keys: Sequence[str]) -> Config:
    """A configuration with these keys of another."""
    sections: dict[str, Section] = {}
    for key in keys:
        section, _, name = key.partition(".")
        before = sections.get(section, getattr(running, section))
        sections[section] = before.model_copy(
            update={name: getattr(getattr(wanted, section), name)}
        )
    return running.model_copy(update=sections)
