"""What a similarity is worth: cosines and frames in, log-odds out.

The arithmetic of the decision, pure and without a gallery.

A track's cosine with a person is modelled as the face's own part plus noise of the frames::

    cosine ~ Normal(mean, spread^2 + FRAME_SPREAD^2 / frames)

with one mean and spread for pictures of the person and another for pictures of anybody else. The
logarithm of the ratio of both densities is the evidence for the person. The frames' noise is the
same under both, so the mean of the frames is a sufficient statistic and this is the likelihood
ratio of the whole sequence; by Ville's inequality (1939; Wald's bound of the sequential test) it
exceeds 1 / risk for a stranger with a probability of at most ``risk``, however often one looks.
With n people enrolled a stranger has n chances, and 1 / risk becomes n / risk.
"""

from __future__ import annotations

import math

import numpy as np

from doorbell.domain import Float32Array

# Of other people. Photographs of 145 people against 2000 strangers (measured 2026-11-22: one
# stranger in four reaches 0.363 with somebody, one in a thousand 0.488) fit a mean of 0.11 and a
# total spread of 0.086; five people before one camera have a mean of 0.22, because pose, light and
# lens are shared. The mean stands between both.
OTHERS_MEAN, OTHERS_SPREAD = 0.17, 0.07

# Of the person: one photograph enrolled and one seen 0.68 with a spread of 0.09, five enrolled
# 0.78, one camera 0.77 to 0.97 (measured 2026-11-22 on 34 people with 271 pictures and on ten
# clips). The hardest case, and a little more room for those who look unlike their photograph.
PERSON_MEAN, PERSON_SPREAD = 0.65, 0.12

# From frame to frame of one face: 0.038 at a mean quality of 0.48 (measured 2026-11-22 on ten
# clips), which is this much at a quality of 1.
FRAME_SPREAD = 0.025


def log_odds(similarities: Float32Array, frames: float) -> Float32Array:
    """The evidence for each person.

    Args:
        similarities: (p,) float32, cosines of a track's mean embedding with people.
        frames: how many independent frames of good quality the mean is worth; above 0.

    Returns:
        (p,) float32: natural logarithm of the likelihood ratio, above 0 for the person.
    """
    noise = FRAME_SPREAD**2 / max(frames, 1e-3)
    person = _log_density(similarities, PERSON_MEAN, PERSON_SPREAD**2 + noise)
    others = _log_density(similarities, OTHERS_MEAN, OTHERS_SPREAD**2 + noise)
    return np.asarray(person - others, np.float32)


def _log_density(values: Float32Array, mean: float, variance: float) -> Float32Array:
    density = -0.5 * (values - mean) ** 2 / variance - 0.5 * math.log(2 * math.pi * variance)
    return np.asarray(density, np.float32)


def needed_log_odds(people: int, risk: float) -> float:
    """How much evidence a name takes.

    Args:
        people: number of people enrolled, each of whom a stranger could be taken for.
        risk: largest part of strangers' visits that may end with a name.
    """
    return math.log(max(people, 1) / risk)


def needed_similarity(people: int, frames: float, risk: float) -> float:
    """The cosine from which on a name is given, were there no second-best person.

    Args:
        people: as in ``needed_log_odds``.
        frames: as in ``log_odds``.
        risk: as in ``needed_log_odds``.

    Returns:
        0 to 1.
    """
    candidates = np.linspace(0, 1, 1001, dtype=np.float32)  # (1001,)
    enough = log_odds(candidates, frames) >= needed_log_odds(people, risk)
    return float(candidates[int(np.argmax(enough))]) if enough.any() else 1.0
