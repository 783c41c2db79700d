"""``[storage]``: what is kept, for how long, and in which files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from doorbell.config.section import Section
from doorbell.config.values import LocalPath, WhosePictures


class StorageSection(Section):
    """``[storage]``: what is kept, and where."""

    directory: LocalPath = Path("~/.local/share/doorbell")
    pictures: WhosePictures = "all"
    pictures_days: Annotated[int, Field(ge=0, le=3650)] = 14
    pictures_megabytes: Annotated[int, Field(ge=0, le=100_000)] = 500
    free_megabytes: Annotated[int, Field(ge=0, le=100_000)] = 200
    strangers_days: Annotated[int, Field(ge=0, le=3650)] = 30
    visits_days: Annotated[int, Field(ge=0, le=3650)] = 90
    key_file: LocalPath | None = None

    @property
    def gallery_path(self) -> Path:
        """The gallery: one SQLite file."""
        return self.directory / "gallery.sqlite"

    @property
    def copy_path(self) -> Path:
        """What the door decides by where the gallery is on a server."""
        return self.directory / "copy.sqlite"

    @property
    def own_directory(self) -> Path:
        """Where the files are that each of several doors has for itself; else with the others."""
        return self.directory

    @property
    def outbox_path(self) -> Path:
        """Events that wait for the broker: one SQLite file."""
        return self.own_directory / "outbox.sqlite"

    @property
    def outbox_paths(self) -> tuple[Path, ...]:
        """Those of every door that has or had one."""
        folders = (self.directory, *sorted((self.directory / "doors").glob("*")))
        return tuple(folder / "outbox.sqlite" for folder in folders)

    @property
    def notices_path(self) -> Path:
        """What the notifier is to tell and does not have yet: one SQLite file."""
        return self.directory / "notices.sqlite"

    @property
    def settings_path(self) -> Path:
        """What people have changed at run time: a small JSON file."""
        return self.own_directory / "settings.json"

    @property
    def pictures_directory(self) -> Path:
        """Annotated pictures of visits, one JPEG a visit."""
        return self.directory / "pictures"

    @property
    def replies_directory(self) -> Path:
        """Where recorded replies are kept."""
        return self.directory / "replies"


class DoorStorageSection(StorageSection):
    """``[storage]`` for one of several doors: some files are each door's own.

    Attributes:
        door_id: whose.
    """

    door_id: str

    @property
    def own_directory(self) -> Path:
        """Where this door's own files are."""
        return self.directory / "doors" / self.door_id
