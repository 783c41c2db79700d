"""Whether a track still shows the face that it began with."""

import numpy as np
import pytest
from visiting import looks

from doorbell.domain import Face, FaceSample, Float32Array
from doorbell.pipeline.continuity import ABRUPT, DOUBT_SECONDS, LATELY_SECONDS, Continuity
from doorbell.recognition.appearance import measure_appearance
from doorbell.recognition.decision import Evidence
from doorbell.visits.continuation import OWN_APPEARANCE
from doorbell.visits.open_visit import REJOIN_SIMILARITY

ANNA, BELA = looks(0), looks(1)
LOOK_ALIKE = REJOIN_SIMILARITY - 0.05
FRAME = 0.1
BETWEEN = (ABRUPT + OWN_APPEARANCE) / 2  # dressed much alike


def sample(identity: Float32Array) -> FaceSample:
    return FaceSample(identity, "test", 0.5)


class Film:
    """One track's frames, ten a second; Anna's face and clothes are all 1 at first."""

    def __init__(self) -> None:
        self.continuity = Continuity()
        self.now = 0.0

    def frame(
        self,
        appearance: float,
        face: Float32Array | None = None,
        *,
        decided: bool = True,
        signature: Float32Array | None = ANNA,
    ) -> tuple[int, bool]:
        """Show one; how many samples were taken, and whether the track is somebody else's."""
        self.now += FRAME
        self.continuity.look(looks(5, appearance), self.now)
        taken = 0
        if face is not None:
            self.continuity.note_embedding()
            seen = Evidence(0.0)
            if signature is not None:
                seen.add(sample(signature))
            samples = self.continuity.take(sample(face), seen, self.now, decided=decided)
            taken = len(samples)
        return taken, self.continuity.is_over(self.now)


def test_who_looks_as_before_is_without_doubt() -> None:
    film = Film()
    for _ in range(5):
        assert film.frame(1.0, ANNA) == (1, False)
        assert not film.continuity.in_doubt
        assert not film.continuity.is_changed


@pytest.mark.parametrize("likeness", [0.0, LOOK_ALIKE])
def test_another_face_after_a_change_is_no_sample_and_over_with_the_second_frame(
    likeness: float,
) -> None:
    film = Film()
    film.frame(1.0, ANNA)
    assert film.frame(0.3, looks(0, likeness)) == (0, False)
    assert film.continuity.in_doubt
    assert film.continuity.is_changed
    assert film.frame(0.3, looks(0, likeness)) == (0, True)


def test_one_very_unlike_frame_of_who_is_decided_is_looked_at_again_and_forgiven() -> None:
    film = Film()
    film.frame(1.0, ANNA)
    assert film.frame(1.0, looks(0, LOOK_ALIKE)) == (0, False)
    assert film.continuity.is_changed
    assert film.frame(1.0, ANNA) == (2, False)
    assert not film.continuity.in_doubt


def test_an_unlike_frame_before_a_decision_is_no_surprise() -> None:
    film = Film()
    film.frame(1.0, ANNA, decided=False)
    assert film.frame(1.0, looks(0, LOOK_ALIKE), decided=False) == (1, False)


def test_one_unlike_frame_without_a_change_and_none_to_compare_after_it_is_nobody_else() -> None:
    film = Film()
    film.frame(1.0, ANNA)
    film.frame(1.0, BELA)
    assert [film.frame(1.0)[1] for _ in range(4)] == [False] * 4
    assert not film.continuity.in_doubt


def test_the_own_face_ends_a_doubt_at_once() -> None:
    film = Film()
    film.frame(1.0, ANNA)
    assert film.frame(0.3, ANNA) == (1, False)
    assert not film.continuity.in_doubt


@pytest.mark.parametrize("appearance", [0.3, BETWEEN])
def test_who_cannot_be_compared_from_a_change_on_is_somebody_else_in_time(
    appearance: float,
) -> None:
    film = Film()
    film.frame(1.0, ANNA)
    over = [film.frame(appearance)[1] for _ in range(3)]
    assert over == [False, False, True]
    assert 2 * FRAME == DOUBT_SECONDS


def test_a_doubt_takes_several_frames_of_a_slow_camera() -> None:
    film = Film()
    film.frame(1.0, ANNA)
    over = []
    for _ in range(3):
        film.now += 0.9
        over.append(film.frame(0.3)[1])
    assert over == [False, False, True]


def test_who_was_not_compared_lately_moves_without_being_somebody_else() -> None:
    """In the dark, where no frame says more than how things look."""
    film = Film()
    film.frame(1.0, ANNA)
    for _ in range(round(LATELY_SECONDS / FRAME) + 1):
        film.frame(1.0)
    assert not any(film.frame(BETWEEN)[1] for _ in range(4))
    assert not film.continuity.in_doubt
    assert any(film.frame(0.0)[1] for _ in range(4))


def test_what_passes_before_the_camera_leaves_no_doubt() -> None:
    film = Film()
    film.frame(1.0, ANNA)
    film.frame(0.3)
    assert film.continuity.in_doubt
    assert film.frame(1.0) == (0, False)
    assert not film.continuity.in_doubt


def test_who_never_showed_a_face_is_known_by_the_first_that_can_be_compared() -> None:
    film = Film()
    film.frame(1.0)
    assert film.frame(0.3, ANNA, signature=None) == (1, False)
    assert not film.continuity.in_doubt


def test_a_slow_change_since_the_face_was_embedded_asks_for_it_without_a_doubt() -> None:
    film = Film()
    film.frame(1.0, ANNA)
    for appearance in (0.97, 0.9, 0.8, 0.7):
        film.frame(appearance)
        assert not film.continuity.in_doubt
    assert film.continuity.is_changed
    film.frame(0.7, ANNA)
    assert not film.continuity.is_changed


def test_appearance_is_of_what_surrounds_the_face_whatever_the_exposure() -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(20, 100, (12, 16, 3)).repeat(20, axis=0).repeat(20, axis=1)
    here, there = (
        Face(np.array([left, 80, left + 40, 120], np.float32), np.zeros((6, 2), np.float32), 0.9)
        for left in (60, 200)
    )
    before = measure_appearance(pixels.astype(np.uint8), here)
    brighter = measure_appearance((pixels * 2 + 30).astype(np.uint8), here)
    elsewhere = measure_appearance(pixels.astype(np.uint8), there)
    assert before.shape == (432,)
    assert float(before @ before) == pytest.approx(1.0, abs=1e-5)
    assert float(before @ brighter) > 0.99
    assert float(before @ elsewhere) < OWN_APPEARANCE


@pytest.mark.parametrize("left", [-100, 0, 300])
def test_appearance_at_the_border_and_of_one_colour(left: float) -> None:
    grey = np.full((240, 320, 3), 90, np.uint8)
    face = Face(np.array([left, 0, left + 80, 80], np.float32), np.zeros((6, 2), np.float32), 0.9)
    assert not measure_appearance(grey, face).any()


def test_a_good_frame_after_poor_ones_is_no_other_face() -> None:
    """Who comes in is cut by the border and smeared at first."""
    face = 0.35 * ANNA + np.sqrt(1 - 0.35**2) * np.eye(128, dtype=np.float32)[40]
    for quality, taken in ((0.4, 1), (0.65, 0)):
        seen = Evidence(0.0)
        seen.add(FaceSample(ANNA, "test", quality))
        good = FaceSample(np.asarray(face, np.float32), "test", 0.65)
        assert len(Continuity().take(good, seen, 1.0, decided=True)) == taken
