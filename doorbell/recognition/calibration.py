"""What a similarity is worth: a cosine and the quality of the frames behind it in, a decision out.

The arithmetic of the decision, pure and without a gallery.

The cosine of a track's mean face with a person's template is modelled as normal::

    cosine ~ Normal(mean, spread^2 + FRAME_SPREAD^2 / looks)

with one mean and spread for pictures of the person and another for pictures of anybody else. Both
means depend on the quality, the likeness that the frames are expected to have with a portrait of
the same person; the second part is what changes from frame to frame. A name takes a cosine that
anybody else reaches with a probability of at most ``risk``, shared among all people enrolled, and
more where more is to be expected of the person.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from doorbell.recognition.candidates import Source

# Of other people, five photographs enrolled of each. Fitted 2026-11-28 on 34 people and 240
# strangers in the 25 conditions of ``quality.LENGTHS``: the mean is 0.07 for the worst faces and
# 0.11 for the best, the spread 0.084 to 0.095, and one pair in 5000 reaches 0.39 to 0.43.
OTHERS_MEAN, OTHERS_MEAN_PER_QUALITY, OTHERS_SPREAD = 0.06, 0.06, 0.085

# Templates of frames share a lens, light and background with every visitor: five people before one
# camera have a mean of 0.25 by day and 0.13 to 0.2 in the dark, at most 0.42.
CAMERA_MEAN_PER_QUALITY = 0.17

# Drawn variants: whoever wears what is drawn is a little like everybody it is drawn over. Fitted
# 2026-11-28 on the same people and strangers, in the condition that is most like each: of hooded
# strangers the mean is 0.15 and the spread 0.103, of those by infrared 0.10 and 0.095, in
# sunglasses 0.15 and 0.099.
HOODED_MEAN_PER_QUALITY, HOODED_SPREAD = 0.14, 0.095
GREY_MEAN_PER_QUALITY, GREY_SPREAD = 0.11, 0.09
SUNGLASSES_MEAN_PER_QUALITY, SUNGLASSES_SPREAD = 0.12, 0.095

# The mean per quality and the spread of other people's cosines, by the source of the template.
_OTHERS: Mapping[Source, tuple[float, float]] = {
    Source.PHOTOGRAPH: (OTHERS_MEAN_PER_QUALITY, OTHERS_SPREAD),
    Source.CAMERA: (OTHERS_MEAN_PER_QUALITY + CAMERA_MEAN_PER_QUALITY, OTHERS_SPREAD),
    Source.HOODED: (HOODED_MEAN_PER_QUALITY, HOODED_SPREAD),
    Source.GREY: (GREY_MEAN_PER_QUALITY, GREY_SPREAD),
    Source.SUNGLASSES: (SUNGLASSES_MEAN_PER_QUALITY, SUNGLASSES_SPREAD),
}

# A drawn variant may name a stranger half as often as a photograph: it is of the same face, so that
# whoever reaches it mostly reaches the photograph too, and together they stay within the risk.
DRAWN_CHANCES = 2.0

# Of the person, around the quality: 0.09 to 0.11, 0.14 for the worst faces.
PERSON_SPREAD = 0.11

# From frame to frame of one face.
FRAME_SPREAD = 0.03

# Whoever is looked at in every frame of a visit exceeds a bound somewhere so many times as often as
# in one look (simulated, thirty frames).
REPEATED_LOOKS = 1.5

# Where the person may be expected to be more alike than a name takes, it takes this part of the
# room more: that costs hardly a name, and relatives are more alike than other people.
SPARE_ROOM = 0.1


def others_mean(quality: float, source: Source = Source.PHOTOGRAPH) -> float:
    """The mean cosine of faces of a quality with templates of somebody else."""
    per_quality, _ = _OTHERS[source]
    return OTHERS_MEAN + per_quality * quality


def others_reach(quality: float, risk: float, looks: float = math.inf) -> float:
    """The cosine with a person's photographs that somebody else's face reaches so rarely.

    Args:
        quality: of the face, 0 to 1.
        risk: the part of other people who reach it.
        looks: as in ``log_odds``; without end where only what stays of a face counts.
    """
    return others_mean(quality) + _tail(risk, looks, Source.PHOTOGRAPH)


def _tail(risk: float, looks: float, source: Source) -> float:
    """How far above the mean of other people one in 1 / risk of them is."""
    _, others_spread = _OTHERS[source]
    spread = math.sqrt(others_spread**2 + FRAME_SPREAD**2 / max(looks, 1e-3))
    return NormalDist().inv_cdf(1 - risk) * spread


def log_odds(
    similarity: float, quality: float, looks: float, source: Source = Source.PHOTOGRAPH
) -> float:
    """The evidence for a person: the logarithm of how much likelier it is than anybody else.

    Args:
        similarity: cosine of a track's mean face with the person's template.
        quality: of the frames behind it, 0 to 1.
        looks: how many independent frames they are worth; above 0.
        source: of the template.

    Returns:
        Natural logarithm of the likelihood ratio, above 0 for the person.
    """
    noise = FRAME_SPREAD**2 / max(looks, 1e-3)
    person = NormalDist(quality, math.sqrt(PERSON_SPREAD**2 + noise))
    _, others_spread = _OTHERS[source]
    others = NormalDist(others_mean(quality, source), math.sqrt(others_spread**2 + noise))
    # More alike than expected is no evidence against a person.
    return _log_density(person, min(similarity, quality)) - _log_density(others, similarity)


def _log_density(distribution: NormalDist, value: float) -> float:
    return -0.5 * distribution.zscore(value) ** 2 - math.log(distribution.stdev)


def needed_similarity(
    people: int,
    quality: float,
    looks: float,
    risk: float,
    source: Source = Source.PHOTOGRAPH,
) -> float:
    """The cosine from which on a name is given, were there no second-best person.

    Args:
        people: number of people enrolled, each of whom a stranger could be taken for.
        quality: as in ``log_odds``.
        looks: as in ``log_odds``.
        risk: largest part of strangers' visits that may end with a name.
        source: as in ``log_odds``.

    Returns:
        0 to 1.
    """
    chances = REPEATED_LOOKS * max(people, 1) * (DRAWN_CHANCES if source.is_drawn else 1)
    reached = others_mean(quality, source) + _tail(risk / chances, looks, source)
    return min(reached + SPARE_ROOM * max(quality - reached, 0.0), 1.0)


def needed_lead(risk: float) -> float:
    """By how much the evidence for a person must exceed that for the second: log-odds."""
    return math.log(1 / risk)
