"""The product beside a peer that is a real process: what is compared is real, never how fast."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from doorbell.config import Config, load_config
from doorbell.errors import UsageError
from doorbell.measure.speed.peer_environment import environment_python
from doorbell.measure.speed.peers import Peer, PeerName, SharedPicture, open_peers
from doorbell.measure.speed.product import DOORBELL, SystemUnderTest, open_system
from doorbell.measure.speed.scene import Size, View, draw, play, standing
from doorbell.measure.speed.stages import (
    EMBED,
    Bench,
    Stage,
    measure_stages,
)
from doorbell.measure.speed.timing import MIN_ROUNDS

SMALL = Size(640, 360)
SFACE_MULTIPLY_ADDS = 574_138_880


@pytest.fixture
def config(models_directory: Path) -> Config:
    return load_config(None, [f"inference.models_directory={models_directory}"])


@pytest.fixture
def picture() -> Iterator[SharedPicture]:
    with closing(SharedPicture()) as shared:
        yield shared


@contextmanager
def started(*names: PeerName, config: Config, picture: SharedPicture) -> Iterator[list[Peer]]:
    warned: list[str] = []
    with open_peers(
        names,
        config.inference,
        picture,
        threads=2,
        say=lambda _: None,
        warn=warned.append,
    ) as peers:
        assert warned == []
        yield peers


def views(models_directory: Path, count: int = 1) -> Iterator[View]:
    return draw(standing(count, models_directory / "faces"), SMALL)


def test_what_is_written_is_read(picture: SharedPicture) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    picture.write(pixels)
    assert np.array_equal(picture.read(), pixels)


def test_peers_find_the_face_where_it_is_and_agree_on_its_vector(
    config: Config, models_directory: Path, picture: SharedPicture
) -> None:
    view = next(views(models_directory))
    assert view.face_xyxy is not None
    middle = (view.face_xyxy[:2] + view.face_xyxy[2:]) / 2
    with (
        started("naive", "opencv", config=config, picture=picture) as peers,
        open_system(config) as product,
    ):
        picture.write(view.frame.pixels)
        for peer in peers:
            [box] = peer.ask("faces").boxes_xyxy
            assert (box[:2] < middle).all()
            assert (middle < box[2:]).all()
        picture.write(product.portrait.crop)
        ours = product.embed()
        for peer in peers:
            theirs = peer.ask("embed").vector
            assert theirs is not None
            assert ours @ theirs / np.linalg.norm(theirs) > 0.99
            assert peer.versions


def test_a_peer_that_cannot_be_had_is_left_out_with_the_reason(
    tmp_path: Path, picture: SharedPicture
) -> None:
    nowhere = load_config(None, [f"inference.models_directory={tmp_path}"])
    warned: list[str] = []
    with open_peers(
        ["naive"],
        nowhere.inference,
        picture,
        threads=1,
        say=lambda _: None,
        warn=warned.append,
    ) as peers:
        assert peers == []
    assert "without naive: model blazeface_short is not in" in warned[0]


def test_a_peer_that_ends_is_named_with_its_last_words(picture: SharedPicture) -> None:
    with pytest.raises(UsageError, match=r"(?s)the peer naive has ended.*KeyError: 'blazeface'"):
        Peer("naive", Path(sys.executable), picture, {})


@pytest.mark.long
def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(UsageError, match="leave this peer out of --against"):
        environment_python(f"{tmp_path / 'nothing'}", "no size", said.append, tmp_path / "cache")
    assert "is done once" in said[0]


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    said: list[str] = []
    package = tmp_path / "package"
    package.mkdir()
    made = tmp_path / "cache" / "package-1.0"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "python").touch()
    (made / "complete").touch()
    found = environment_python("package==1.0", "no size", said.append, tmp_path / "cache")
    assert found == made / "bin" / "python"
    assert said == []


@pytest.mark.long
def test_stages_are_measured_beside_a_peer(
    config: Config, models_directory: Path, picture: SharedPicture
) -> None:
    stage = Stage("frame to faces", "faces", SMALL, 30.0, SystemUnderTest.watcher)
    with started("naive", config=config, picture=picture) as peers:
        bench = Bench(config, 2, 0.0, peers, picture, lambda _: None)
        report = measure_stages(
            [stage], bench, lambda _size, _rate: views(models_directory), {"here": "this"}
        )
    assert [(result.name, result.backend) for result in report.results] == [
        ("frame to faces", DOORBELL),
        ("frame to faces", "naive, ONNX Runtime"),
        (EMBED, DOORBELL),
        (EMBED, "ONNX Runtime SFace"),
    ]
    watched, naive, embedded, _ = report.results
    assert watched.figures["found"] == naive.figures["found"] == 1
    assert watched.timing.rounds == naive.timing.rounds == MIN_ROUNDS
    assert [result.threads for result in report.results] == [1, 1, 2, 2]
    assert embedded.figures["multiply_adds"] == SFACE_MULTIPLY_ADDS
    expected = naive.timing.p50_ms / watched.timing.p50_ms
    assert report.ratios["frame to faces: naive, ONNX Runtime / doorbell"] == expected
    assert report.machine["here"] == "this"
    assert {"onnxruntime", "peak"} <= report.machine.keys()


def test_a_video_is_played_again_and_again_between_black(tmp_path: Path) -> None:
    import cv2

    video = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for level in (60, 180):
        writer.write(np.full((64, 64, 3), level, np.uint8))
    writer.release()
    played = list(islice(play(video, Size(128, 64)), 5))
    levels = [int(view.frame.pixels[32, 64].mean()) for view in played]
    assert np.allclose(levels, [60, 180, 60, 180, 60], atol=4)
    assert not played[0].frame.pixels[:, :30].any()
    assert [view.frame.index for view in played] == [0, 1, 2, 3, 4]
