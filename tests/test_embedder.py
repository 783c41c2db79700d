from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import UInt8Array
from doorbell.inference import Input
from doorbell.inference.tensors import host_array
from doorbell.recognition.embedder import Embedder


class MeanNetwork:
    """Answers each picture with its mean colour and 125 noughts; keeps what it was shown."""

    def __init__(self) -> None:
        self.images: list[NDArray[np.float32]] = []

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        image = host_array(inputs["image"])
        self.images.append(image)
        vectors = np.zeros((len(image), 128), np.float32)
        vectors[:, :3] = image.mean(axis=(2, 3))
        return {"embedding": vectors}

    def close(self) -> None:
        pass


def colour(red: int, green: int, blue: int) -> UInt8Array:
    return np.full((112, 112, 3), (red, green, blue), np.uint8)


def test_faces_are_embedded_in_one_batch_in_their_order_with_unit_length() -> None:
    network = MeanNetwork()
    found = Embedder(network, "test").embed([colour(30, 0, 40), colour(0, 200, 0)])
    assert len(network.images) == 1
    assert found.vectors.shape == (2, 128)
    assert found.vectors.dtype == found.lengths.dtype == np.float32
    expected = np.array([[0.6, 0, 0.8], [0, 1, 0]], np.float32)
    np.testing.assert_allclose(found.vectors[:, :3], expected, atol=1e-6)
    np.testing.assert_allclose(found.lengths, [50, 200], rtol=1e-6)


def test_the_network_is_shown_red_green_blue_from_0_to_255() -> None:
    network = MeanNetwork()
    crop = colour(255, 7, 0)
    crop[3, 5] = (1, 2, 3)
    Embedder(network, "test").embed([crop])
    (image,) = network.images
    assert image.shape == (1, 3, 112, 112)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert image[0, :, 0, 0].tolist() == [255, 7, 0]
    assert image[0, :, 3, 5].tolist() == [1, 2, 3]


def test_a_picture_that_says_nothing_gives_a_vector_like_nobody() -> None:
    found = Embedder(MeanNetwork(), "test").embed([colour(0, 0, 0)])
    assert not found.vectors.any()
    assert found.lengths.tolist() == [0]


def test_no_faces_do_not_reach_the_network() -> None:
    network = MeanNetwork()
    found = Embedder(network, "test").embed([])
    assert found.vectors.shape == (0, 128)
    assert found.lengths.shape == (0,)
    assert network.images == []
