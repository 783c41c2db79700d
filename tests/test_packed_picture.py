"""Pictures that wait with who is in them, and the note of who is in the one at the broker."""

from pathlib import Path

import pytest

from doorbell.domain import Person, PicturedFace, Stranger, VisitPicture
from doorbell.outputs.mqtt.image_record import ImageRecord, ShownPicture
from doorbell.outputs.mqtt.packed_picture import pack_picture, unpack_picture
from doorbell.status import VisitsForgotten
from doorbell.storage.encryption import NO_CIPHER, AesSivCipher

BOX, KEYPOINTS = (1.0, 2.0, 30.5, 40.0), ((3.0, 4.5),) * 6
FACES = (
    PicturedFace(BOX, KEYPOINTS, "v1", True, Person(3, "Zo\xeb"), 0.5),
    PicturedFace(BOX, KEYPOINTS, "v2", True, Stranger(7, 0.0, 0.0, 1)),
    PicturedFace(BOX, KEYPOINTS, None, is_drawn=False),
)
JPEG = b"\xff\xd8 some picture \xff\xd9"


@pytest.mark.parametrize("faces", [None, (), FACES])
def test_a_picture_comes_back_as_it_was(faces: tuple[PicturedFace, ...] | None) -> None:
    packed = pack_picture(VisitPicture(JPEG, faces))
    assert unpack_picture(packed) == VisitPicture(JPEG, faces)
    assert packed.startswith(JPEG)  # which an earlier doorbell shows


@pytest.mark.parametrize("damage", range(1, 60, 7))
def test_a_damaged_one_is_one_of_which_nobody_knows(damage: int) -> None:
    packed = bytearray(pack_picture(VisitPicture(JPEG, FACES)))
    packed[-damage] ^= 0xFF
    assert unpack_picture(bytes(packed)).faces in (None, FACES)
    assert unpack_picture(bytes(packed[-damage:])).faces is None
    assert unpack_picture(b"DoBeFace") == VisitPicture(b"DoBeFace")


def test_who_is_in_the_picture_at_the_broker_is_known_to_the_next_run(tmp_path: Path) -> None:
    record = ImageRecord.beside(tmp_path / "outbox.sqlite", NO_CIPHER)
    assert record.read() is None
    shown = [ShownPicture.of(VisitPicture(JPEG, faces), "v1") for faces in (FACES, FACES[:2])]
    assert [each.has_others for each in shown] == [True, False]
    record.write(shown)
    assert record.read() == tuple(shown)
    (note,) = tmp_path.iterdir()
    assert note.stat().st_mode & 0o777 == 0o600

    cipher = AesSivCipher(bytes(range(64)))
    record.reseal(cipher)
    assert b"v2" not in note.read_bytes()
    assert record.read() is None
    sealed = ImageRecord.beside(tmp_path / "outbox.sqlite", cipher)
    assert sealed.read() == tuple(shown)
    sealed.forget(VisitsForgotten(("v9",), ("v8",)))  # neither of whom is in it
    assert sealed.read() == tuple(shown)
    sealed.forget(VisitsForgotten(("v9",), ("v1",)))  # of the same time: may be whoever is not told
    assert sealed.read() == ()
    for content in (b"", b"[]", b"{", b'{"shown": [1]}', b"[" * 9999):
        note.write_bytes(content)
        assert sealed.read() is None


@pytest.mark.parametrize(
    ("forgotten", "may_show"),
    [
        (VisitsForgotten(("v1",)), True),
        (VisitsForgotten(("v2",)), True),
        (VisitsForgotten(("v3",), ("v2",)), False),
        (VisitsForgotten(("v3",), ("v1",)), True),
    ],
)
def test_whom_a_picture_may_show(forgotten: VisitsForgotten, *, may_show: bool) -> None:
    assert ShownPicture("v1", ("v1", "v2"), has_others=True).may_show(forgotten) is may_show
    told = ShownPicture("v1", ("v1", "v2"), has_others=False).may_show(forgotten)
    assert told is bool({"v1", "v2"} & set(forgotten.visit_ids))
