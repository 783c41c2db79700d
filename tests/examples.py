"""How many examples a property test takes, and from which seed.

Two Hypothesis profiles: ``commit``, the default, always tries the same examples, so that a run
passes or fails for what was changed; ``long`` tries new ones each time, and many more.
"""

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


def examples(number: int) -> int:
    """How many to try where ``commit`` tries this many, for ``settings(max_examples=...)``."""
    profile: int = settings().max_examples
    return number * profile // HYPOTHESIS_DEFAULT
