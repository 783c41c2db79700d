import base64
import json
import math
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from all_samples import read_samples
from click.testing import CliRunner
from galleries import OnServer, on_postgres

from doorbell.cli import main
from doorbell.config import StorageSection
from doorbell.domain import FaceSample
from doorbell.errors import UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.chimes import is_chime as chime_of_a_machine
from doorbell.household.exchange_export import export_file
from doorbell.household.exchange_import import import_file

MODEL = "sface-test"
SHA256 = "ab" * 32


def face(seed: int) -> FaceSample:
    values = np.random.default_rng(seed).normal(size=128)
    return FaceSample((values / np.linalg.norm(values)).astype(np.float32), MODEL, 0.5)


def storage(folder: Path) -> StorageSection:
    return StorageSection(directory=folder)


def is_chime(name: str) -> bool:
    return name == "gong"


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    here = storage(tmp_path / "here")
    with Gallery.of(here) as gallery:
        gallery.people.enroll("Änne 🌻", [EnrolledSample(face(1), SHA256), EnrolledSample(face(2))])
        gallery.people.set_chime("Änne 🌻", "gong")
        gallery.people.set_preferences("Änne 🌻", {"tv": ["news"]})
        gallery.people.enroll("Ben", [EnrolledSample(face(3), f"{SHA256}-17")])  # of a video
        gallery.people.set_chime("Ben", "/srv/ben.wav")
        gallery.strangers.add([face(4), face(5)], 10.0)
    path = tmp_path / "household.jsonl"
    assert export_file(here, path, MODEL) == 5
    return path


def contents(section: StorageSection) -> list[Any]:
    with Gallery.of(section) as gallery:
        templates = read_samples(gallery.file, MODEL)
        return [
            [(p.name, p.chime, p.preferences) for p in templates.people],
            templates.person_index.tolist(),
            templates.person_embeddings.tolist(),
            [(s.first_seen_at, s.last_seen_at, s.visits) for s in templates.strangers],
            templates.stranger_embeddings.tolist(),
        ]


def test_what_is_exported_comes_back_and_a_second_time_adds_nothing(
    exported: Path, tmp_path: Path
) -> None:
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    there = storage(tmp_path / "there")
    imported = import_file(there, exported, MODEL, is_chime)
    assert (imported.people, imported.samples, imported.strangers) == (["Änne 🌻", "Ben"], 3, 1)
    assert imported.conflicts == ["Ben gets no chime: /srv/ben.wav is none here"]
    with Gallery.of(storage(tmp_path / "here")) as gallery:
        gallery.people.set_chime("Ben", None)
    assert contents(there) == contents(storage(tmp_path / "here"))
    before = contents(there)
    again = import_file(there, exported, MODEL, is_chime)
    assert (again.people, again.samples, again.strangers) == ([], 0, 0)
    assert again.merged == ["Änne 🌻", "Ben"]
    assert contents(there) == before


@on_postgres
def test_it_comes_to_a_server_and_back_again(exported: Path, tmp_path: Path) -> None:
    section = OnServer().account("household", "kitchen", is_household=True)
    here, again = storage(tmp_path / "here"), tmp_path / "again.jsonl"
    for added in (5, 0):
        done = import_file(storage(tmp_path / "unused"), exported, MODEL, is_chime, section)
        assert done.samples + done.strangers == added - bool(added)
    assert export_file(storage(tmp_path / "unused"), again, MODEL, section) == 5
    assert not (tmp_path / "unused" / "gallery.sqlite").exists()
    back = storage(tmp_path / "back")
    import_file(back, again, MODEL, is_chime)
    first, second = contents(here), contents(back)
    first[0] = [(name, chime if chime == "gong" else None, more) for name, chime, more in first[0]]
    assert second == first


def test_variants_are_exported_with_their_sample(exported: Path, tmp_path: Path) -> None:
    assert json.loads(exported.read_text().splitlines()[0])["version"] == 1
    assert "variants" not in exported.read_text()
    here, there = storage(tmp_path / "here"), storage(tmp_path / "there")
    with Gallery.of(here) as gallery:
        gallery.people.enroll("Dora", [EnrolledSample(face(6), "cd" * 32, {"hood": face(7)})])
    path = tmp_path / "again.jsonl"
    export_file(here, path, MODEL)
    assert json.loads(path.read_text().splitlines()[0])["version"] == 2
    import_file(there, path, MODEL, is_chime)
    import_file(there, path, MODEL, is_chime)
    for section in (here, there):
        with Gallery.of(section) as gallery:
            (variant,) = gallery.file.rows("SELECT * FROM variants")
            assert variant["embedding"] == face(7).embedding.tobytes()
            assert (variant["drawing"], variant["quality"]) == ("hood", 0.5)
            assert [each.has_variants for each in gallery.people.summaries()] == [
                False,
                False,
                True,
            ]


def test_who_is_ignored_is_so_on_the_other_machine_too(exported: Path, tmp_path: Path) -> None:
    assert "ignored" not in exported.read_text()  # which an earlier doorbell reads
    here, there = storage(tmp_path / "here"), storage(tmp_path / "there")
    with Gallery.of(here) as gallery:
        for name in ("Änne 🌻", "Ben"):
            gallery.people.ignore(name, ignored=True)
        gallery.strangers.ignore(1, ignored=True)
    with Gallery.of(there) as gallery:
        gallery.people.enroll("Ben", [EnrolledSample(face(3))])
    path = tmp_path / "again.jsonl"
    export_file(here, path, MODEL)
    assert json.loads(path.read_text().splitlines()[0])["version"] == 3
    imported = import_file(there, path, MODEL, is_chime)
    assert "Ben is not ignored here" in imported.conflicts
    with Gallery.of(there) as gallery:
        assert [(each.name, each.ignored) for each in gallery.people.all()] == [
            ("Ben", False),
            ("Änne 🌻", True),
        ]
        assert [each.ignored for each in gallery.strangers.all()] == [True]
        gallery.people.ignore("Änne 🌻", ignored=False)
    import_file(there, path, MODEL, is_chime)
    with Gallery.of(there) as gallery:
        assert not gallery.people.get("Änne 🌻").ignored


def test_a_stranger_named_since_does_not_come_back(exported: Path, tmp_path: Path) -> None:
    there = storage(tmp_path / "there")
    import_file(there, exported, MODEL, is_chime)
    with Gallery.of(there) as gallery:
        gallery.strangers.name(gallery.strangers.all()[0].stranger_id, "Cleo")
    import_file(there, exported, MODEL, is_chime)
    with Gallery.of(there) as gallery:
        assert gallery.strangers.all() == []


def test_what_a_person_has_here_stays(exported: Path, tmp_path: Path) -> None:
    there = storage(tmp_path / "there")
    with Gallery.of(there) as gallery:
        gallery.people.enroll("ÄNNE 🌻", [EnrolledSample(face(1), SHA256)])
        gallery.people.set_chime("Änne 🌻", "horn")
        gallery.people.set_preferences("Änne 🌻", {"tv": ["films"], "light": 1})
    imported = import_file(there, exported, MODEL, is_chime)
    assert (imported.people, imported.merged, imported.samples) == (["Ben"], ["ÄNNE 🌻"], 2)
    assert imported.conflicts[:2] == [
        "ÄNNE 🌻 keeps the chime horn",
        "ÄNNE 🌻 keeps the preferences of here",
    ]
    with Gallery.of(there) as gallery:
        person = gallery.people.get("Änne 🌻")
        assert (person.chime, person.preferences) == ("horn", {"tv": ["films"], "light": 1})


def test_two_people_of_one_name_do_not_become_one(exported: Path, tmp_path: Path) -> None:
    there = storage(tmp_path / "there")
    with Gallery.of(there) as gallery:
        gallery.people.enroll("Ben", [EnrolledSample(face(9))])
    before = contents(there)
    with pytest.raises(UsageError, match="line 3: 'Ben' of the file does not look like 'Ben'"):
        import_file(there, exported, MODEL, is_chime)
    assert contents(there) == before


def number(value: float) -> str:
    return base64.b64encode(np.full(128, value, "<f4").tobytes()).decode()


def changed(index: int, **values: object) -> Callable[[list[Any]], None]:
    def change(lines: list[Any]) -> None:
        lines[index].update(values)

    return change


def sample(**values: object) -> Callable[[list[Any]], None]:
    def change(lines: list[Any]) -> None:
        lines[2]["samples"][0].update(values)

    return change


def without_end(lines: list[Any]) -> None:
    del lines[-1]


def without_somebody(lines: list[Any]) -> None:
    del lines[2]


def something_after_the_end(lines: list[Any]) -> None:
    lines.append(lines[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(0, version=4), "version 4; this doorbell reads version 1 to 3"),
        (changed(0, kind="recipes"), "no export of a gallery"),
        (changed(0, model_id="facenet"), "made by 'facenet'"),
        (changed(1, birthday="1 May"), "line 2: person.birthday"),
        (changed(1, kind="pet"), "line 2"),
        (changed(1, name="a\nb"), "line 2: .*control character"),
        (changed(1, name=7), "line 2: person.name"),
        (changed(1, preferences=[]), "line 2: person.preferences"),
        (changed(1, preferences={"x": math.nan}), "line 2: the preferences"),
        (changed(3, visits=0), "line 4: stranger.visits"),
        (changed(3, samples=[]), "line 4: stranger.samples"),
        (changed(3, first_seen_at=math.inf), "line 4: stranger.first_seen_at"),
        (changed(3, first_seen_at=1e13), "line 4: stranger.first_seen_at"),
        (changed(3, last_seen_at=-1.0), "line 4: stranger.last_seen_at"),
        (changed(1, consent_at=1e300), "line 2: person.consent_at"),
        (sample(quality=1.5), r"line 3: person\.samples\.0\.quality"),
        (sample(quality=math.nan), r"line 3: person\.samples\.0\.quality"),
        (sample(embedding="AAAA"), "line 3: an embedding has 3 bytes"),
        (sample(embedding="?"), "line 3: an embedding is not Base64"),
        (sample(embedding=number(1.0)), "line 3: an embedding has the length 11.3"),
        (sample(embedding=number(math.nan)), "line 3: an embedding has the length nan"),
        (sample(source_sha256="../etc"), r"line 3: person\.samples\.0\.source_sha256"),
        (without_end, "was cut off or changed"),
        (without_somebody, "was cut off or changed"),
        (something_after_the_end, "something after the end"),
    ],
)
def test_what_is_not_understood_is_refused_whole(
    exported: Path, tmp_path: Path, change: Callable[[list[Any]], None], message: str
) -> None:
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    embedding = lines[1]["samples"][0]["embedding"]
    change(lines)
    exported.write_text("\n".join(json.dumps(line) for line in lines))
    there = storage(tmp_path / "there")
    with pytest.raises(UsageError, match=message) as caught:
        import_file(there, exported, MODEL, is_chime)
    assert "nothing was added" in str(caught.value)
    assert embedding[:20] not in str(caught.value)
    with Gallery.of(there) as gallery:
        assert (gallery.people.all(), gallery.strangers.all()) == ([], [])


def test_the_latest_time_that_is_taken_can_be_shown(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    changed(3, last_seen_at=253_370_764_800.0)(lines)
    exported.write_text("\n".join(json.dumps(line) for line in lines))
    import_file(storage(tmp_path), exported, MODEL, is_chime)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead, as far as any is
    time.tzset()
    try:
        setting = ["--set", f"storage.directory={tmp_path}"]
        for options in ([], ["--json"]):
            result = CliRunner().invoke(main, ["strangers", "list", *setting, *options])
            assert result.exit_code == 0, result.output
            assert "9999-01-01" in result.output
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"{", b"[" * 100_000, b"null\n", b'"\\ud800"\n', b"\0" * 4096]
)
def test_no_export_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="no export of a gallery"):
        import_file(storage(tmp_path / "there"), path, MODEL, is_chime)


def test_a_line_nested_too_deep_is_refused(exported: Path, tmp_path: Path) -> None:
    lines = exported.read_bytes().splitlines()
    lines[1] = lines[1].replace(b'["news"]', b"[" * 50_000 + b"]" * 50_000)
    exported.write_bytes(b"\n".join(lines))
    with pytest.raises(UsageError, match="line 2"):
        import_file(storage(tmp_path / "there"), exported, MODEL, is_chime)


def test_a_file_that_is_there_is_not_overwritten(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        export_file(storage(tmp_path / "here"), exported, MODEL)
    with pytest.raises(UsageError, match="there is no gallery"):
        export_file(storage(tmp_path / "none"), tmp_path / "new", MODEL)
    with pytest.raises(UsageError, match="is not a file"):
        import_file(storage(tmp_path / "here"), tmp_path, MODEL, is_chime)


def person_line(**changes: object) -> bytes:
    line: dict[str, object] = {
        "kind": "person",
        "name": "Eve",
        "chime": None,
        "preferences": {},
        "consent": None,
        "consent_at": None,
        "samples": [],
    }
    return json.dumps({**line, **changes}).encode()


def file_of(path: Path, *lines: bytes) -> Path:
    head = {"kind": "doorbell-gallery", "version": 1, "model_id": MODEL}
    end = {"kind": "end", "people": len(lines), "strangers": 0}
    path.write_bytes(b"\n".join([json.dumps(head).encode(), *lines, json.dumps(end).encode()]))
    return path


def test_a_chime_that_is_no_file_is_left_out_and_waited_for_by_nobody(tmp_path: Path) -> None:
    pipe, large = tmp_path / "pipe.wav", tmp_path / "large.wav"
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(200_000_000)
    chimes = ["a\0.wav", str(pipe), str(large), "/dev/zero.wav", str(tmp_path), "~x/a.wav"]
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    chimes.append(str(tmp_path / "device.wav"))
    lines = [person_line(name=f"Eve {i}", chime=chime) for i, chime in enumerate(chimes)]
    imported = import_file(
        storage(tmp_path / "there"), file_of(tmp_path / "file", *lines), MODEL, chime_of_a_machine
    )
    assert len(imported.people) == len(imported.conflicts) == len(chimes)
    with Gallery.of(storage(tmp_path / "there")) as gallery:
        assert {person.chime for person in gallery.people.all()} == {None}


def test_others_write_while_a_chime_is_looked_at(exported: Path, tmp_path: Path) -> None:
    there = storage(tmp_path / "there")

    def looks_long(_name: str) -> bool:
        with Gallery.of(there) as gallery:
            gallery.wait_at_most(0.1)
            gallery.people.enroll("Cleo", [EnrolledSample(face(9))])
        return True

    import_file(there, exported, MODEL, looks_long)
    with Gallery.of(there) as gallery:
        assert [person.name for person in gallery.people.all()] == ["Cleo", "Änne 🌻", "Ben"]


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize(
    "preferences",
    [{"a": "x" * 20_000}, {str(i): i for i in range(3000)}, {"ö": "ö" * 9000}, "deep"],
)
def test_preferences_that_no_event_should_carry_are_refused(
    tmp_path: Path, preferences: object
) -> None:
    if preferences == "deep":
        preferences = json.loads('{"a":' * 40 + "0" + "}" * 40)
    there = storage(tmp_path / "there")
    file = file_of(tmp_path / "file", person_line(preferences=preferences))
    with pytest.raises(UsageError, match=r"line 2.*go out with each event, so at most 16,384"):
        import_file(there, file, MODEL, is_chime)
    with Gallery.of(storage(tmp_path / "here")) as gallery:
        before = gallery.people.get("Ben")
        with pytest.raises(UsageError, match="at most 16,384 bytes and 32 levels") as refused:
            gallery.people.set_preferences("Ben", preferences)  # type: ignore[arg-type]
        assert len(str(refused.value)) < 300
        assert gallery.people.get("Ben") == before
        half = {f"key {i}": i for i in range(600)}
        gallery.people.set_preferences("Ben", {f"b{key}": each for key, each in half.items()})
        gallery.people.set_preferences("Änne 🌻", half)
        with pytest.raises(UsageError, match="at most"):
            gallery.people.merge("Ben", "Änne 🌻")
        assert gallery.people.get("Ben").preferences


def test_a_consent_that_is_no_line_of_text_is_refused(tmp_path: Path) -> None:
    file = file_of(tmp_path / "file", person_line(consent="yes\x1b[2J", consent_at=1.0))
    with pytest.raises(UsageError, match="line 2: the consent"):
        import_file(storage(tmp_path / "there"), file, MODEL, is_chime)


def test_a_pipe_is_not_imported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is not a file that can be read"):
        import_file(storage(tmp_path / "there"), tmp_path / "pipe", MODEL, is_chime)
