"""Who comes to which door when: a morning's rush, and strangers who come to two doors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from housing.door import Coming

# One visitor in so many is a stranger.
STRANGERS = 10


def write_rush(
    doors: Sequence[str],
    residents: int,
    strangers: int,
    *,
    part: int,
    visits: int,
    seconds: float,
    seed: int,
) -> list[Coming]:
    """Visitors over all doors, the first first.

    Args:
        doors: of the building.
        residents: how many faces are theirs.
        strangers: how many faces follow these.
        visits: in all.
        seconds: in which they come.
        part: of the script.
        seed: of chance.
    """
    chance = np.random.default_rng((seed, part))
    moments = np.sort(chance.uniform(0.0, seconds, visits))
    return [
        Coming(
            part,
            float(at),
            doors[int(chance.integers(len(doors)))],
            residents + int(chance.integers(strangers))
            if chance.integers(STRANGERS) == 0
            else int(chance.integers(residents)),
        )
        for at in moments
    ]


def meet_twice(
    pairs: Sequence[tuple[str, str]], first_face: int, part: int, seconds: float
) -> list[Coming]:
    """Somebody new at both doors of each pair, one after the other, in a part of the script."""
    comings = []
    for number, (door, other) in enumerate(pairs):
        at = 0.7 * seconds * number / max(len(pairs), 1)
        comings += [
            Coming(part, at, door, first_face + number),
            Coming(part, at + 0.2 * seconds, other, first_face + number),
        ]
    return comings
