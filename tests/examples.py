"""How many examples a property test takes, and from which seed; which tests only a long run takes.

Two Hypothesis profiles: ``commit``, the default, always tries the same examples, so that a run
passes or fails for what was changed; ``long`` tries new ones each time, and many more.
"""

import pytest
from hypothesis import settings

HYPOTHESIS_DEFAULT = 100
LONG_FACTOR = 25


def register_profiles() -> None:
    """Register both and load ``commit``; pytest's ``--hypothesis-profile`` loads the other."""
    settings.register_profile(
        "commit",
        max_examples=HYPOTHESIS_DEFAULT,
        derandomize=True,
        database=None,
        deadline=None,  # how long an example takes depends on what else the machine does
        print_blob=True,
    )
    settings.register_profile(
        "long",
        max_examples=HYPOTHESIS_DEFAULT * LONG_FACTOR,
        derandomize=False,
        deadline=None,
        print_blob=True,
    )
    settings.load_profile("commit")


def leave_out_long(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``long``, but with the profile of that name."""
    if settings().max_examples > HYPOTHESIS_DEFAULT:
        return
    config.hook.pytest_deselected(items=[i for i in items if i.get_closest_marker("long")])
    items[:] = [item for item in items if not item.get_closest_marker("long")]


def examples(number: int) -> int:
    """How many to try where ``commit`` tries this many, for ``settings(max_examples=...)``."""
    profile: int = settings().max_examples
    return number * profile // HYPOTHESIS_DEFAULT
