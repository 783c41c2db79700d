"""Pictures in which several people are to be seen: kept clean, drawn with the names of now, and
without whoever was forgotten, whose visit it ever was."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from doorbell.cli import main
from doorbell.clock import SECONDS_PER_DAY
from doorbell.config import Config, load_config
from doorbell.domain import (
    FaceSample,
    Left,
    PicturedFace,
    UInt8Array,
    Visit,
    Visitor,
    VisitPicture,
    picture_of,
)
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.encryption import change_key
from doorbell.household.forgetting import forget_older, forget_person, forget_stranger
from doorbell.household.personal_data import export_personal_data
from doorbell.household.visit_files import forget_in_files
from doorbell.household.visit_pictures import place_of_face, write_drawn_picture
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.visit_picture import decode_jpeg, draw_picture, told_by
from doorbell.outputs.picture_files import (
    faces_path,
    picture_path,
    read_visit_picture,
    write_visit_picture,
)
from doorbell.outputs.pictures import Pictures
from doorbell.status import ClockState
from doorbell.storage.encryption import NO_CIPHER, open_cipher, write_new_key

NOW = 1_700_000_000.0
GREEN, AMBER = (64, 200, 140), (245, 170, 20)  # of boxes: of a person, of a stranger
COLOURS = {"ida": (200, 30, 30), "otto": (30, 30, 200), "stranger": (150, 30, 150)}
PLACES = {"ida": 100, "otto": 300, "stranger": 500}  # column of the face's middle

Forget = Callable[[Gallery, Config], object]


def sample(seed: int) -> FaceSample:
    values = np.random.default_rng(seed).normal(size=128)
    return FaceSample((values / np.linalg.norm(values)).astype(np.float32), "any", 0.5)


def face(who: str, visit_id: str | None, *, certain: bool = True) -> PicturedFace:
    x = PLACES[who]
    return PicturedFace((x - 40, 60, x + 40, 160), ((x, 150),) * 6, visit_id, is_certain=certain)


def scene(*who: str) -> bytes:
    pixels = np.full((240, 640, 3), 235, np.uint8)
    for each in who:
        pixels[60:160, PLACES[each] - 40 : PLACES[each] + 40] = COLOURS[each]
    return encode_jpeg(pixels)


def shown(pixels: UInt8Array | None) -> set[str]:
    """Whose faces can be seen."""
    assert pixels is not None
    return {
        who
        for who, x in PLACES.items()
        if np.abs(pixels[100, x].astype(int) - COLOURS[who]).max() < 30
    }


def boxes(jpeg: bytes | None, colour: tuple[int, int, int]) -> set[str]:
    """Around whose faces something of that colour is drawn."""
    pixels = decode_jpeg(jpeg or b"")
    assert pixels is not None
    near = np.abs(pixels.astype(int) - colour).max(axis=2) < 30
    return {who for who, x in PLACES.items() if near[:, x - 60 : x + 60].sum() > 200}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    settings = ("strangers_days=30", "visits_days=60", "free_megabytes=0")
    directory = f"storage.directory={tmp_path / 'state'}"
    return load_config(None, [directory, *(f"storage.{each}" for each in settings)])


@pytest.fixture
def gallery(config: Config) -> Iterator[Gallery]:
    """Ida, Otto and a stranger, at the door together; and Otto once more, alone."""
    with Gallery.of(config.storage) as gallery:
        ida = gallery.people.enroll("Ida", [EnrolledSample(sample(1))]).person
        otto = gallery.people.enroll("Otto", [EnrolledSample(sample(2))]).person
        stranger = gallery.strangers.add([sample(3)], NOW)
        came: list[tuple[str, Visitor, float]] = [
            ("of-ida", ida, NOW),
            ("of-otto", otto, NOW + 3),
            ("of-stranger", stranger, NOW + 6),
            ("later", otto, NOW + 60),
        ]
        for number, (visit_id, visitor, at) in enumerate(came):
            visit = Visit(visit_id, at, at + 10, at + 12, visitor, 0.7, 4, 0.5)
            gallery.visits.save(visit, [sample(10 + number)])
        yield gallery


def keep(config: Config, visit_id: str, *faces: PicturedFace, who: tuple[str, ...] = ()) -> Path:
    """Leave a picture as the daemon does."""
    who = who or ("ida", "otto", "stranger")
    path = picture_path(config.storage.pictures_directory, visit_id)
    picture = VisitPicture(scene(*who), faces)
    write_visit_picture(path, picture, open_cipher(config.storage.key_file))
    return path


def all_three(config: Config, visit_id: str = "of-otto") -> Path:
    return keep(
        config,
        visit_id,
        face("otto", "of-otto"),
        face("ida", "of-ida"),
        face("stranger", "of-stranger"),
    )


def kept(path: Path) -> set[str]:
    """Whose faces are in the picture on the disk."""
    return shown(decode_jpeg(path.read_bytes()))


def person(gallery: Gallery, config: Config) -> object:
    beside = partial(forget_in_files, gallery, config)
    return forget_person(gallery, "Ida", config.storage, beside)


def stranger(gallery: Gallery, config: Config) -> object:
    beside = partial(forget_in_files, gallery, config)
    return forget_stranger(gallery, 1, config.storage, beside)


def old_strangers(gallery: Gallery, config: Config) -> object:
    beside = partial(forget_in_files, gallery, config)
    return forget_older(gallery, NOW + 31 * SECONDS_PER_DAY, config.storage, beside)


def old_visits(gallery: Gallery, config: Config) -> object:
    """Only the first is old enough."""
    storage = config.storage.model_copy(update={"strangers_days": 0})
    beside = partial(forget_in_files, gallery, config)
    return forget_older(gallery, NOW + 11 + 60 * SECONDS_PER_DAY, storage, beside)


def by_the_daemon(gallery: Gallery, config: Config) -> object:
    with closing(Pictures(config.storage)) as pictures:
        return forget_person(gallery, "Ida", config.storage, pictures.handle)


@pytest.mark.parametrize(
    ("forget", "gone"),
    [
        (person, "ida"),
        (stranger, "stranger"),
        (old_strangers, "stranger"),
        (old_visits, "ida"),
        (by_the_daemon, "ida"),
    ],
)
def test_whoever_is_forgotten_is_painted_over_in_pictures_of_others(
    gallery: Gallery, config: Config, forget: Forget, gone: str
) -> None:
    picture, own = all_three(config), all_three(config, f"of-{gone}")
    later = keep(config, "later", face("otto", "later"), who=("otto",))
    os.utime(picture, (NOW, NOW))
    before = later.read_bytes()
    assert kept(picture) == set(PLACES)
    forget(gallery, config)
    assert kept(picture) == set(PLACES) - {gone}
    assert picture.stat().st_mtime == NOW  # as old as it was
    left = read_visit_picture(picture, NO_CIPHER).faces
    assert left is not None
    assert {each.visit_id for each in left} == {f"of-{each}" for each in set(PLACES) - {gone}}
    assert not own.exists()
    assert not faces_path(own).exists()
    assert later.read_bytes() == before
    assert f"of-{gone}".encode() not in faces_path(picture).read_bytes()


def test_a_face_that_nobody_can_tell_goes_with_whoever_was_there(
    gallery: Gallery, config: Config
) -> None:
    """A track that is in no visit yet, or has gone over to somebody else: it may be Ida."""
    beside = keep(
        config,
        "of-otto",
        face("otto", "of-otto"),
        face("ida", None, certain=False),
        face("stranger", "of-stranger", certain=False),
    )
    later = keep(config, "later", face("otto", "later"), face("ida", None, certain=False))
    person(gallery, config)
    assert kept(beside) == {"otto"}
    assert kept(later) == set(PLACES)  # she was not there then


@pytest.mark.parametrize("faces", [None, b"", b"{", b'{"picture": 1}', b"[]", b'"' + b"[" * 9999])
def test_a_picture_without_faces_beside_it_goes_if_the_visits_overlap(
    gallery: Gallery, config: Config, faces: bytes | None
) -> None:
    for visit_id in ("of-otto", "later"):
        path = all_three(config, visit_id)
        if faces is None:
            faces_path(path).unlink()
        else:
            faces_path(path).write_bytes(faces)
        assert read_visit_picture(path, NO_CIPHER).faces is None
    person(gallery, config)
    left = {each.stem for each in config.storage.pictures_directory.iterdir()}
    assert left == {"later"}


def test_faces_of_another_moment_are_not_believed(gallery: Gallery, config: Config) -> None:
    """A power cut between the picture and its faces: those there are of the one before."""
    path = keep(config, "of-otto", face("otto", "of-otto"), who=("otto",))
    path.write_bytes(scene("otto", "ida"))
    assert read_visit_picture(path, NO_CIPHER).faces is None
    person(gallery, config)
    assert not path.exists()


def test_a_visit_that_goes_on_is_of_the_time_of_all_that_follow(
    gallery: Gallery, config: Config
) -> None:
    otto = gallery.people.get("Otto")
    gallery.visits.save(Visit("open", NOW - 900, NOW - 890, None, otto, 0.7, 4, 0.5))
    path = keep(config, "open", face("otto", "open"), face("ida", "of-ida"))
    person(gallery, config)
    assert kept(path) == {"otto", "stranger"}


def test_names_are_those_of_now(gallery: Gallery, config: Config, tmp_path: Path) -> None:
    path = all_three(config)
    before = path.read_bytes()

    def drawn() -> bytes:
        output = tmp_path / "drawn.jpg"
        write_drawn_picture(gallery, "of-otto", output, config.storage)
        jpeg = output.read_bytes()
        output.unlink()
        return jpeg

    first = drawn()
    assert (boxes(first, GREEN), boxes(first, AMBER)) == ({"ida", "otto"}, {"stranger"})
    gallery.people.rename("Ida", "Ida Maria")
    renamed = drawn()
    assert renamed != first
    gallery.strangers.name(1, "Kurt")
    assert boxes(drawn(), GREEN) == {"ida", "otto", "stranger"}
    gallery.corrections.to_stranger("of-ida", None)
    assert boxes(drawn(), AMBER) == {"ida"}
    gallery.corrections.undo()
    gallery.people.merge("Kurt", "Otto")
    assert boxes(drawn(), GREEN) == {"ida", "otto", "stranger"}
    assert path.read_bytes() == before


def test_where_only_people_are_shown_a_correction_hides_who_is_none(
    gallery: Gallery, config: Config, tmp_path: Path
) -> None:
    storage = config.storage.model_copy(update={"pictures": "people"})
    keep(config, "of-otto", face("otto", "of-otto"), face("ida", "of-ida"), who=("otto", "ida"))
    gallery.corrections.to_stranger("of-ida", None)
    write_drawn_picture(gallery, "of-otto", tmp_path / "one.jpg", storage)
    assert shown(decode_jpeg((tmp_path / "one.jpg").read_bytes())) == {"otto"}
    gallery.corrections.undo()
    write_drawn_picture(gallery, "of-otto", tmp_path / "two.jpg", storage)
    assert shown(decode_jpeg((tmp_path / "two.jpg").read_bytes())) == {"otto", "ida"}


def test_what_a_person_gets_shows_them_and_nobody_else(
    gallery: Gallery, config: Config, tmp_path: Path
) -> None:
    all_three(config)
    all_three(config, "of-ida")
    keep(config, "of-stranger", face("stranger", "of-stranger"), who=("stranger",))
    keep(config, "later", face("otto", "later"), who=("otto",))
    done = export_personal_data(gallery, "Ida", tmp_path / "ida.zip", config.storage)
    assert (done.visits, done.pictures) == (1, 2)
    with ZipFile(tmp_path / "ida.zip") as archive:
        names = ["pictures/of-ida.jpg", "pictures/of-otto.jpg"]
        assert archive.namelist() == ["person.json", *names]
        for name in names:
            jpeg = archive.read(name)
            assert shown(decode_jpeg(jpeg)) == {"ida"}
            assert (boxes(jpeg, GREEN), boxes(jpeg, AMBER)) == ({"ida"}, set())
        assert "Otto" not in archive.read("person.json").decode()


def test_who_is_in_a_picture_is_encrypted_as_it_is(config: Config, tmp_path: Path) -> None:
    key = tmp_path / "gallery.key"
    write_new_key(key)
    cipher = open_cipher(key)
    Gallery.of(config.storage).close()
    path = all_three(config)
    assert b"of-ida" in faces_path(path).read_bytes()
    change_key(config.storage, NO_CIPHER, cipher)
    assert b"of-ida" not in faces_path(path).read_bytes()
    known = read_visit_picture(path, cipher)
    assert known.faces is not None
    assert [each.visit_id for each in known.faces] == ["of-otto", "of-ida", "of-stranger"]
    assert read_visit_picture(path, cipher).jpeg == scene("ida", "otto", "stranger")
    storage = config.storage.model_copy(update={"key_file": key})
    with Gallery.of(storage) as gallery:
        changed = config.model_copy(update={"storage": storage})
        ida = gallery.people.enroll("Ida", [EnrolledSample(sample(1))]).person
        otto = gallery.people.enroll("Otto", [EnrolledSample(sample(2))]).person
        gallery.visits.save(Visit("of-ida", NOW, NOW + 5, NOW + 5, ida))
        gallery.visits.save(Visit("of-otto", NOW, NOW + 5, NOW + 5, otto))
        person(gallery, changed)
    left = read_visit_picture(path, cipher)
    assert shown(decode_jpeg(left.jpeg)) == {"otto", "stranger"}
    assert not path.read_bytes().startswith(b"\xff\xd8")


def test_the_daemon_keeps_pictures_clean_and_who_is_in_them_beside(config: Config) -> None:
    visit = Visit("of-otto", NOW, NOW + 5)
    faces = (replace(face("otto", "of-otto")), replace(face("ida", None), is_drawn=False))
    event = Left("e", NOW, visit, scene("otto", "ida"), picture_faces=faces)
    with closing(Pictures(config.storage)) as pictures:
        pictures.handle(event)
    path = picture_path(config.storage.pictures_directory, "of-otto")
    assert path.read_bytes() == event.picture_jpeg
    picture = read_visit_picture(path, NO_CIPHER)
    assert picture == picture_of(event)
    assert faces_path(path).stat().st_mode & 0o777 == 0o600
    assert faces_path(path).parent.stat().st_mode & 0o777 == 0o700
    document = json.loads(faces_path(path).read_bytes())
    assert document["version"] == 1
    # And away with the picture, or where there is none.
    orphan = faces_path(path).with_name("gone.json")
    orphan.write_bytes(b"{}")
    with closing(Pictures(config.storage)) as pictures:
        os.utime(path, (NOW, NOW))
        pictures.handle(ClockState(0.0, NOW + 15 * SECONDS_PER_DAY))
    assert not path.exists()
    assert list(orphan.parent.iterdir()) == []


def test_what_waits_for_a_disk_shows_nobody_who_was_forgotten(
    gallery: Gallery, config: Config
) -> None:
    directory = config.storage.pictures_directory
    directory.write_text("a file where the folder should be")
    faces = (face("otto", "of-otto"), face("ida", "of-ida"))
    with closing(Pictures(config.storage)) as pictures:
        pictures.handle(
            Left("e", NOW, Visit("of-otto", NOW, NOW), scene("otto", "ida"), picture_faces=faces)
        )
        pictures.handle(Left("f", NOW, Visit("of-stranger", NOW, NOW), scene("ida")))
        forget_person(gallery, "Ida", config.storage, pictures.handle)
        directory.unlink()
        pictures.handle(ClockState(0.0, None))
    assert {path.stem for path in directory.iterdir()} == {"of-otto"}
    assert kept(picture_path(directory, "of-otto")) == {"otto"}


def test_the_picture_for_home_automation_is_drawn_in_its_own_size() -> None:
    visit = Visit("of-otto", NOW, NOW + 5)
    pixels = cv2.resize(decode_jpeg(scene("otto", "ida")), (1920, 720))  # type: ignore[arg-type]
    large = tuple(
        replace(
            each,
            box_xyxy=(3 * left, 3 * top, 3 * right, 3 * bottom),
            keypoints_xy=tuple((3 * x, 3 * y) for x, y in each.keypoints_xy),
        )
        for each in (face("otto", "of-otto"), face("ida", None))
        for left, top, right, bottom in [each.box_xyxy]
    )
    picture = VisitPicture(encode_jpeg(np.asarray(pixels, np.uint8)), large)
    drawn = decode_jpeg(draw_picture(picture, width=640, quality=70))
    assert drawn is not None
    assert drawn.shape == (240, 640, 3)
    assert shown(drawn) == {"otto", "ida"}
    assert len(draw_picture(picture, width=640, quality=30)) < len(draw_picture(picture, width=640))
    unchanged = VisitPicture(scene("otto"), ())
    assert draw_picture(unchanged, width=640) == unchanged.jpeg  # nothing to draw, small enough
    assert told_by(large[0], visit).visitor is None


def test_a_picture_that_is_not_there_is_said(
    gallery: Gallery, config: Config, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"no picture of the visit later is kept; storage\."):
        write_drawn_picture(gallery, "later", tmp_path / "x.jpg", config.storage)
    all_three(config, "later")
    (tmp_path / "x.jpg").write_text("mine")
    with pytest.raises(UsageError, match=r"x\.jpg: File exists; give the path of a new file"):
        write_drawn_picture(gallery, "later", tmp_path / "x.jpg", config.storage)


def test_no_identifier_leads_out_of_the_folder_of_pictures(config: Config) -> None:
    directory = config.storage.pictures_directory
    for visit_id in ("../../x", "/etc/passwd", "..", "a\0b", ""):
        with pytest.raises(GalleryError, match="is no identifier of a visit"):
            picture_path(directory, visit_id)


def test_the_place_of_what_is_no_face_is_told_as_a_zone_to_ignore(config: Config) -> None:
    all_three(config)
    zone = place_of_face("of-otto", config.storage)
    assert zone == ((0.41, 0.25), (0.53, 0.25), (0.53, 0.67), (0.41, 0.67))
    settings = load_config(None, [f"detection.ignore={[list(map(list, zone))]}"])
    assert settings.detection.ignore == (zone,)
    assert place_of_face("of-ida", config.storage) is None  # there is no such picture
    keep(config, "of-ida", face("ida", "of-ida", certain=False))
    assert place_of_face("of-ida", config.storage) is None  # nobody can tell


def test_the_command_tells_the_place(config: Config, gallery: Gallery) -> None:
    all_three(config)
    assert gallery.visits.find("of-otto")
    told = CliRunner().invoke(
        main,
        [
            "visits",
            "not-a-face",
            "of-otto",
            "--set",
            f"storage.directory={config.storage.directory}",
        ],
    )
    assert told.exit_code == 0, told.stderr
    assert "add [[0.41, 0.25], [0.53, 0.25], [0.53, 0.67], [0.41, 0.67]]" in told.stdout
