"""``[control]``: the socket at which the running doorbell is asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorbell.config.section import Section
from doorbell.config.values import LocalPath, UserNames


class ControlSection(Section):
    """``[control]``: the socket at which the command line and the console ask the doorbell."""

    enabled: bool = True
    socket: LocalPath | None = None
    group: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    users: UserNames = ()
