"""Machines that share a gallery on a server, for tests: each has a copy."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from command_line import sample

from doorbell.config import GallerySection
from doorbell.domain import FaceSample, Stranger, Visit
from doorbell.gallery.gallery import open_server
from doorbell.gallery.link.copy import GalleryCopy
from doorbell.gallery.link.exchange import Exchange

MODEL = sample(0).model_id
NOON = 1.8e9


class Machine:
    """One that watches a door: its copy, and the link while it is on."""

    def __init__(self, folder: Path, section: GallerySection, door: str) -> None:
        self.path = folder / f"{door}.sqlite"
        self.section = section
        self.door = door
        self.gallery = GalleryCopy.open(self.path)

        self.forgotten: list[str] = []

    @contextmanager
    def linked(self) -> Iterator[Exchange]:
        with closing(open_server(self.section)) as server:
            exchange = Exchange(
                self.gallery.file,
                server,
                (self.door,),
                lambda gone: self.forgotten.extend(gone.visit_ids),
            )
            exchange.begin()
            yield exchange

    def exchange(self) -> None:
        with self.linked() as exchange:
            exchange.follow()

    def meet(self, face: FaceSample, at: float = NOON) -> Visit:
        """A new stranger comes."""
        stranger = self.gallery.strangers.add([face], at)
        return self.visit(stranger, face, at)

    def visit(self, stranger: Stranger, face: FaceSample, at: float) -> Visit:
        visit = Visit(
            secrets.token_hex(16), at, at + 5, at + 9, stranger, 0.9, 4, 0.5, door_id=self.door
        )
        self.gallery.visits.save(visit, [face], rang_at=at)
        return visit
