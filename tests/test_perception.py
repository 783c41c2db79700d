import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from doorbell.config import InferenceSection, load_config
from doorbell.domain import Track, UInt8Array
from doorbell.errors import ModelError
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.inference import NetworkFiles, Runner, open_runner
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception, open_perception
from doorbell.recognition.veil import NO_VEIL


def portrait(name: str, models_directory: Path) -> UInt8Array:
    return decode_photo(read_photo(face_path(name, models_directory)), name)


@pytest.fixture(scope="module")
def obama(models_directory: Path) -> UInt8Array:
    return portrait("obama", models_directory)


def test_faces_of_one_person_are_alike_and_of_two_are_not(
    perception: Perception, models_directory: Path
) -> None:
    pictures = [portrait(name, models_directory) for name in ("obama", "obama2", "biden")]
    portraits = [
        perception.crop_face(pixels, perception.detect_still(pixels)[0]) for pixels in pictures
    ]
    samples = perception.embed(portraits)
    one, same, other = [sample.embedding for sample in samples if sample is not None]
    assert one @ same > 0.6
    assert max(one @ other, same @ other) < 0.4
    for sample, cut in zip(samples, portraits, strict=True):
        assert sample is not None
        assert sample.model_id == perception.model_id
        assert 0.6 < sample.quality <= 0.71
        assert cut.quality.veil < NO_VEIL
        assert cut.crop.shape == (112, 112, 3)


def test_what_shows_no_face_has_no_sample(perception: Perception, obama: UInt8Array) -> None:
    face = perception.detect_still(obama)[0]
    curtain = np.random.default_rng(1).integers(90, 110, obama.shape, np.uint8)
    shown, hidden = perception.embed(
        [perception.crop_face(obama, face), perception.crop_face(curtain, face)]
    )
    assert shown is not None
    assert hidden is None
    assert perception.embed([]) == []


def test_a_face_that_is_followed_is_found_where_it_is(
    perception: Perception, obama: UInt8Array
) -> None:
    still = perception.detect_still(obama)[0]
    track = Track(1, still, 0.0, 0.0, 3)
    found = perception.detect(obama, [track])[0]
    assert np.abs(found.box_xyxy - still.box_xyxy).max() < 0.15 * still.width_pixels


def test_faces_of_a_frame_on_a_gpu_are_the_same(obama: UInt8Array, models_directory: Path) -> None:
    """Run where there is no GPU, by the networks that cut the regions out themselves."""
    config = load_config(
        None, [f"inference.models_directory={models_directory}", "inference.backend=openvino"]
    )
    with (
        closing(open_perception(config)) as plain,
        closing(open_perception(config, frames_on_gpu=True)) as on_gpu,
    ):
        expected = plain.detect(obama, [])[0]
        found = on_gpu.detect(obama, [], device_address=obama.ctypes.data)[0]
    bound = 0.02 * expected.width_pixels
    np.testing.assert_allclose(found.box_xyxy, expected.box_xyxy, rtol=0, atol=bound)
    np.testing.assert_allclose(found.keypoints_xy, expected.keypoints_xy, rtol=0, atol=bound)


def test_missing_models_are_said_with_what_to_do(tmp_path: Path) -> None:
    config = load_config(None, [f"inference.models_directory={tmp_path}"])
    with pytest.raises(ModelError, match="run `doorbell models build`"):
        open_perception(config)


def test_networks_of_stills_are_opened_with_the_first_still(
    obama: UInt8Array, models_directory: Path
) -> None:
    config = load_config(
        None, [f"inference.models_directory={models_directory}", "inference.backend=openvino"]
    )
    opened: list[tuple[str, str]] = []

    def open_network(files: NetworkFiles, section: InferenceSection) -> Runner:
        opened.append((files.name, section.precision))
        return open_runner(files, section)

    with closing(open_perception(config, open_network=open_network)) as perception:
        stream = ["blazeface_short", "blazeface_full", "sface", "pedestrian_ssd"]
        assert opened == [(name, "auto") for name in stream]
        perception.detect_still(obama)
        perception.detect_still(obama)
    stills = ["blazeface_short", "blazeface_full", "blazeface_back", "yunet"]
    assert opened[4:] == [(name, "float32") for name in stills]


def test_networks_are_opened_by_the_thread_that_asks() -> None:
    # OpenVINO's bindings, used for the first time by two threads at once, may hang for ever.
    threads = []

    def open_network(files: NetworkFiles, section: InferenceSection) -> Runner:
        threads.append(threading.current_thread())
        return open_runner(files, section)

    with closing(open_perception(load_config(None), open_network=open_network)):
        assert threads == [threading.current_thread()] * 4
