"""``[gallery]``: where people, strangers and visits are kept, and held ready."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from doorbell.config.section import Section
from doorbell.config.values import LocalPath


class GallerySection(Section):
    """``[gallery]``: a PostgreSQL server for several machines; without one, a file of this one.

    And how those who are known are held ready.
    """

    url: (
        Annotated[
            str,
            Field(
                max_length=1024,
                pattern=r"^postgres(ql)?://",
                description="an address such as postgresql://user@host/database",
            ),
        ]
        | None
    ) = None
    password_file: LocalPath | None = None
    tls_ca_file: LocalPath | None = None
    allow_unencrypted: bool = False
    vectors_in_memory: Annotated[int, Field(ge=2_000, le=999_999)] = 200_000

    @model_validator(mode="after")
    def _nothing_in_vain(self) -> GallerySection:
        for key in ("password_file", "tls_ca_file", "allow_unencrypted"):
            if getattr(self, key) and self.url is None:
                msg = f"{key} does nothing without url: set that too"
                raise ValueError(msg)
        return self
