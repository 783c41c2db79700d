"""Taking back what the household has said: the newest correction, or the newest naming or merge."""

from __future__ import annotations

from dataclasses import dataclass

from doorbell.domain import Visit
from doorbell.errors import UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.household.naming import undo_naming


@dataclass(frozen=True, slots=True)
class UndoneChange:
    """What was taken back.

    Attributes:
        summary: words for people.
        visits: those whose visitor is another now, as far as anybody shows them.
    """

    summary: str
    visits: tuple[Visit, ...]


def newest_change(gallery: Gallery) -> int | None:
    """The number of the newest correction, naming or merge; None where there is none."""
    return max(
        filter(None, (gallery.corrections.last_number(), gallery.namings.last_number())),
        default=None,
    )


def undo_change(gallery: Gallery, number: int) -> UndoneChange:
    """Take a correction, naming or merge back.

    Args:
        gallery: where it is.
        number: as ``newest_change`` has told it after it was made.

    Raises:
        UsageError: something newer stands in its way, or it was taken back already.
    """
    if number == gallery.namings.last_number():
        renaming = undo_naming(gallery)
        who = renaming.now
        visits = tuple(visit for visit in gallery.visits.newest(1) if visit.visitor == who)
        return UndoneChange(f"{who.label} is no longer {renaming.before.label}", visits)
    if number == gallery.corrections.last_number():
        undone = gallery.corrections.undo()
        visit = undone.visit
        if visit is None:
            return UndoneChange("the correction is taken back; its visit was deleted since", ())
        label = "nobody known" if visit.visitor is None else visit.visitor.label
        return UndoneChange(f"the visit is of {label} again", (visit,))
    raise UsageError(
        "it cannot be taken back: something was corrected or named after it, or it was taken back "
        "already; say who it was once more instead"
    )
