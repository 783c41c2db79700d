"""A smart doorbell: a frame enters at the camera and leaves as an event.

What is listed in ``__all__`` is the library; docs/library.md shows it at work and says what is
promised to stay. A name is imported when it is first asked for, so that ``import doorbell`` costs
nothing. Importing any of them changes nothing else in the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doorbell.config import load_config as load_config
    from doorbell.domain import Event as Event
    from doorbell.domain import Face as Face
    from doorbell.domain import Frame as Frame
    from doorbell.domain import Person as Person
    from doorbell.domain import Stranger as Stranger
    from doorbell.domain import Visit as Visit
    from doorbell.errors import DoorbellError as DoorbellError
    from doorbell.gallery.gallery import Gallery as Gallery
    from doorbell.household.enrollment import Enroller as Enroller
    from doorbell.pipeline.perception import open_perception as open_perception
    from doorbell.pipeline.pipeline import Pipeline as Pipeline

    __version__: str

__all__ = [
    "DoorbellError",
    "Enroller",
    "Event",
    "Face",
    "Frame",
    "Gallery",
    "Person",
    "Pipeline",
    "Stranger",
    "Visit",
    "__version__",
    "load_config",
    "open_perception",
]

# Where each is at home; the imports above say the same to type checkers.
_HOMES = {
    "DoorbellError": "doorbell.errors",
    "Enroller": "doorbell.household.enrollment",
    "Event": "doorbell.domain",
    "Face": "doorbell.domain",
    "Frame": "doorbell.domain",
    "Gallery": "doorbell.gallery.gallery",
    "Person": "doorbell.domain",
    "Pipeline": "doorbell.pipeline.pipeline",
    "Stranger": "doorbell.domain",
    "Visit": "doorbell.domain",
    "load_config": "doorbell.config",
    "open_perception": "doorbell.pipeline.perception",
}

if not TYPE_CHECKING:  # a type checker is to know every name, and no other

    def __getattr__(name: str) -> object:
        """Import a name of the library when it is first asked for."""
        if name == "__version__":
            from importlib.metadata import version

            value = version("doorbell")
        elif name in _HOMES:
            from importlib import import_module

            value = getattr(import_module(_HOMES[name]), name)
        else:
            raise AttributeError(f"module 'doorbell' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """The library's names, whether they were imported or not."""
        return sorted({*globals(), *__all__})
