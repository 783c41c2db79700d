import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from doorbell.domain import UInt8Array
from doorbell.recognition.veil import NO_VEIL, unveil

Linear = NDArray[np.float64]


def face(seed: int = 1, darkest: float = 0.005) -> UInt8Array:
    """Values as a face has them, in linear light from ``darkest`` to 0.6."""
    light = np.random.default_rng(seed).uniform(darkest, 0.6, (112, 112, 3))
    return encoded(light)


def encoded(light: Linear) -> UInt8Array:
    return np.asarray(np.round(255 * np.clip(light, 0, 1) ** (1 / 2.2)), np.uint8)


def linear(crop: UInt8Array) -> Linear:
    return np.asarray((crop / 255) ** 2.2)


def test_a_face_with_dark_and_light_in_it_stays_the_very_same() -> None:
    crop = face()
    found = unveil(crop)
    assert found.crop is crop
    assert found.veil < NO_VEIL


@pytest.mark.parametrize("veil", [0.1, 0.3])
def test_scattered_light_is_taken_off_again(veil: float) -> None:
    clear = face()
    scattered = encoded(linear(clear) + veil)
    found = unveil(scattered)
    assert found.veil > 0.1
    before, after, true = (linear(c) for c in (scattered, found.crop, clear))
    # What is left is the face in another exposure.
    assert np.corrcoef(after.ravel(), true.ravel())[0, 1] > 0.99
    assert after.min() < 0.02 < before.min()
    assert after.std() > before.std()


def test_hair_and_background_tell_nothing_of_the_veil() -> None:
    scattered = encoded(linear(face()) + 0.2)
    framed = scattered.copy()
    framed[:16] = framed[104:] = framed[:, :16] = framed[:, 96:] = 0
    assert unveil(framed).veil == unveil(scattered).veil


@pytest.mark.parametrize("grey", [0, 1, 128, 255])
def test_a_plain_crop_goes_through(grey: int) -> None:
    crop = np.full((112, 112, 3), grey, np.uint8)
    np.testing.assert_array_equal(unveil(crop).crop, crop)


@given(st.integers(0, 1000), st.floats(0, 0.5))
def test_what_is_lighter_stays_lighter(seed: int, veil: float) -> None:
    crop = encoded(linear(face(seed)) + veil)
    found = unveil(crop)
    order = np.argsort(crop.ravel(), kind="stable")
    assert (np.diff(found.crop.ravel()[order].astype(int)) >= 0).all()
    assert 0 <= found.veil <= 1
