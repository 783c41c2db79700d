"""``[notifications]``: who hears of the door without home automation, of what, and when."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from doorbell.config.section import Section
from doorbell.config.values import LocalPath, LocalTime, texts

Kind: TypeAlias = Literal["ring", "stranger", "person", "camera", "storage"]
KINDS: tuple[Kind, ...] = ("ring", "stranger", "person", "camera", "storage")

_NAMES = 'names of enrolled people, as in ["Anna"]'
PeopleNames: TypeAlias = Annotated[
    tuple[str, ...],
    texts(_NAMES, lambda name: 0 < len(name.strip()) <= 200),
    Field(max_length=100, description=f"a list of at most 100 {_NAMES}"),
]
PersonName: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


class TargetSection(Section):
    """One of ``[[notifications.targets]]``: where notifications go, and which.

    An address is one of Apprise's (``ntfy://``, ``tgram://``, ``mailto://`` and more). It holds a
    password most often, so it stands in a file; a ``webhook`` is an address and a file with the
    secret that its requests are signed with.
    """

    name: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="a short name, as in anna")
    ]
    address_file: LocalPath | None = None
    webhook: (
        Annotated[
            str,
            Field(max_length=2000, pattern=r"^https?://[!-~]+$", description="an http(s) address"),
        ]
        | None
    ) = None
    secret_file: LocalPath | None = None
    tell: Annotated[
        tuple[Kind, ...],
        texts("kinds: " + ", ".join(KINDS), KINDS.__contains__),
        Field(min_length=1, max_length=len(KINDS), description=f"a list of {', '.join(KINDS)}"),
    ] = ("ring",)
    people: PeopleNames = ()
    not_about: PersonName | None = None
    picture: bool = False
    actions: bool = False
    quiet_from: LocalTime | None = None
    quiet_to: LocalTime | None = None
    per_hour: Annotated[int, Field(ge=1, le=1000)] = 20

    @model_validator(mode="after")
    def _fits_together(self) -> TargetSection:
        if (self.address_file is None) == (self.webhook is None):
            msg = "give either address_file or webhook"
            raise ValueError(msg)
        if (self.webhook is None) != (self.secret_file is None):
            msg = "webhook and secret_file belong together: set both or neither"
            raise ValueError(msg)
        if (self.quiet_from is None) != (self.quiet_to is None):
            msg = "quiet_from and quiet_to belong together: set both or neither"
            raise ValueError(msg)
        if self.people and "person" not in self.tell:
            msg = 'people does nothing without "person" in tell: add it'
            raise ValueError(msg)
        return self


class NotificationsSection(Section):
    """``[notifications]``: a process of its own tells phones and other systems."""

    enabled: bool = False
    directory: LocalPath | None = None
    targets: Annotated[
        tuple[TargetSection, ...],
        Field(max_length=32, description="tables [[notifications.targets]], 32 at most"),
    ] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> NotificationsSection:
        names = [target.name for target in self.targets]
        if len(set(names)) != len(names):
            msg = f"each target has a name of its own; these were given: {', '.join(names)}"
            raise ValueError(msg)
        return self
