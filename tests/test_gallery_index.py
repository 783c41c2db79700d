"""The templates of an open gallery follow it, and each change costs what it changes."""

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from all_samples import read_samples
from galleries import Place

from doorbell.domain import FaceSample, Float32Array, Stranger, Visit, Visitor
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.recognition.candidates import Candidates, Source
from doorbell.recognition.nearest import MANY
from doorbell.recognition.templates import Templates

MODEL = "sface-test"


def axis(place: int) -> Float32Array:
    return np.asarray(np.eye(128, dtype=np.float32)[place])


def sample(place: int, model_id: str = MODEL) -> FaceSample:
    return FaceSample(axis(place), model_id, 0.5)


def photo(place: int) -> EnrolledSample:
    return EnrolledSample(sample(place), f"{place:064x}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def in_file(path: Path) -> Iterator[Gallery]:
    with Gallery.open(path) as opened:
        yield opened


def fill(path: Path, strangers: int, samples: int = 1) -> Float32Array:
    """Strangers numbered from 1; all samples of one are the same."""
    vectors = np.random.default_rng(2).standard_normal((strangers, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO strangers (id, first_seen_at, last_seen_at, visits) VALUES (?, 0, 0, 1)",
            ((1 + place,) for place in range(strangers)),
        )
        connection.executemany(
            "INSERT INTO samples (stranger_id, model_id, embedding, quality) VALUES (?, ?, ?, 1)",
            (
                (1 + place, MODEL, vector.tobytes())
                for place, vector in enumerate(vectors)
                for _ in range(samples)
            ),
        )
    return vectors


@contextmanager
def counting_steps(path: Path) -> Iterator[list[None]]:
    """Note every step of SQLite's machine in the connection to a file that this process has."""
    connections = [each for each in gc.get_objects() if isinstance(each, sqlite3.Connection)]
    [connection] = [each for each in connections if is_of(each, path)]
    steps: list[None] = []
    connection.set_progress_handler(lambda: steps.append(None), 1)
    try:
        yield steps
    finally:
        connection.set_progress_handler(None, 1)


def is_of(connection: sqlite3.Connection, path: Path) -> bool:
    try:
        [(_, _, name)] = connection.execute("PRAGMA database_list").fetchall()
    except sqlite3.ProgrammingError:  # closed
        return False
    return Path(name) == path


def found(templates: Templates, place: int) -> tuple[list[str], str | None]:
    """Who has a cosine above 0 with an axis: people, and the stranger."""
    candidates = templates.candidates(axis(place))
    people = [each.person.name for each in candidates.people if each.similarity > 0.1]
    stranger = candidates.stranger if candidates.stranger_similarity > 0.1 else None
    return people, None if stranger is None else stranger.label


def test_people_and_strangers_are_found_by_one_embedder(gallery: Gallery) -> None:
    gallery.people.enroll("Anna", [photo(0), photo(1)])
    gallery.people.enroll("Anna", [EnrolledSample(sample(2, "another"))])
    gallery.strangers.add([sample(3)], 1.0)
    templates = gallery.templates(MODEL)
    expected = [(["Anna"], None), (["Anna"], None), ([], None), ([], "stranger-1")]
    assert [found(templates, place) for place in range(4)] == expected
    assert found(gallery.templates("another"), 2) == (["Anna"], None)


def test_nobody_is_found_in_an_empty_gallery(gallery: Gallery) -> None:
    assert gallery.templates(MODEL).candidates(axis(0)) == Candidates()


def test_a_source_of_samples_is_told_apart(gallery: Gallery, place: Place) -> None:
    gallery.people.enroll("Anna", [photo(0)])
    gallery.people.enroll("Ben", [EnrolledSample(sample(1))])
    gallery.people.enroll("Cleo", [photo(2), EnrolledSample(sample(3))])

    def sources(templates: Templates, place: int) -> dict[Source, float]:
        [cleo, *_] = templates.candidates(axis(place)).people
        return {source: round(cosine, 3) for source, cosine in cleo.similarity_by_source.items()}

    with place.open() as again:
        for templates in (gallery.templates(MODEL), again.templates(MODEL)):  # one by one, and all
            assert sources(templates, 0) == {Source.PHOTOGRAPH: 1.0}
            assert sources(templates, 1) == {Source.CAMERA: 1.0}
            assert sources(templates, 2) == {Source.PHOTOGRAPH: 1.0, Source.CAMERA: 0.0}
            assert templates.candidates(axis(2)).people[0].similarity == pytest.approx(0.5**0.5)


def with_variants(place: int, **drawn: int) -> EnrolledSample:
    variants = {name: sample(at) for name, at in drawn.items()}
    return EnrolledSample(sample(place), f"{place:064x}", variants)


def test_variants_are_templates_of_their_own(gallery: Gallery, place: Place) -> None:
    gallery.people.enroll("Anna", [with_variants(0, hood=1, hat=2, grey=3), photo(4)])
    gallery.people.enroll("Ben", [photo(5)])
    gallery.people.enroll("Cleo", [with_variants(6, unheard=7)])  # a later version's
    half = pytest.approx(0.5**0.5)
    with place.open() as again:
        for templates in (gallery.templates(MODEL), again.templates(MODEL)):  # one by one, and all
            hooded = templates.candidates(axis(1))
            [anna] = [each for each in hooded.people if each.person.name == "Anna"]
            assert anna.similarity_by_source == {
                Source.PHOTOGRAPH: 0,
                Source.HOODED: half,
                Source.GREY: 0,
            }
            assert anna.similarity == hooded.nearest_similarity == 0
            [first, _] = templates.candidates(axis(0)).people
            assert first.person.name == "Anna"
            assert first.similarity == half
            [cleo, _] = templates.candidates(axis(6)).people
            assert cleo.similarity_by_source == {Source.PHOTOGRAPH: 1}
    assert [each.samples for each in gallery.people.summaries()] == [2, 1, 1]
    assert len(gallery.people.samples("Anna", MODEL)) == 2


def test_variants_go_where_their_sample_goes(gallery: Gallery, place: Place) -> None:
    followed = Followed(gallery, place)
    variants = "SELECT * FROM variants"

    def hooded() -> list[str]:
        followed.check()
        people = followed.templates.candidates(axis(1)).people
        sources = [(each.person.name, each.similarity_by_source) for each in people]
        return [name for name, cosines in sources if cosines.get(Source.HOODED, 0) > 0.9]

    gallery.people.enroll("Ann", [with_variants(0, hood=1)])
    gallery.people.enroll("Anna", [photo(2)])
    assert hooded() == ["Ann"]
    gallery.people.merge("Ann", "Anna")
    assert hooded() == ["Anna"]
    gallery.people.enroll("Ben", [photo(3)])
    gallery.people.enroll("Ben", [with_variants(3, hood=1)])  # the same photo again
    assert sorted(hooded()) == ["Anna", "Ben"]
    for name, left in (("Anna", 1), ("Ben", 0)):
        forgotten = gallery.people.forget(name)
        assert forgotten.samples == (2 if name == "Anna" else 1)
        assert len(gallery.file.rows(variants)) == left
    assert hooded() == []


def test_variants_of_a_sample_that_a_correction_hides_are_hidden(
    gallery: Gallery, place: Place
) -> None:
    anna = gallery.people.enroll("Anna", [with_variants(0, hood=1), photo(2)]).person
    gallery.visits.save(Visit("v1", 1.0, 2.0, 2.0, anna), [sample(0)])
    followed = Followed(gallery, place)

    def sources() -> set[Source]:
        followed.check()
        return set(followed.templates.candidates(axis(2)).people[0].similarity_by_source)

    assert sources() == {Source.PHOTOGRAPH, Source.HOODED}
    gallery.corrections.to_stranger("v1", None)
    assert sources() == {Source.PHOTOGRAPH}
    assert not gallery.people.summaries()[0].has_variants
    gallery.corrections.undo()
    assert sources() == {Source.PHOTOGRAPH, Source.HOODED}


def test_a_damaged_variant_is_left_out_and_named(
    in_file: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    in_file.people.enroll("Anna", [with_variants(0, hood=1, grey=2)])
    with in_file.file.writing():
        in_file.file.execute("UPDATE variants SET embedding = x'00' WHERE drawing = 'hood'")
    [anna] = in_file.templates(MODEL).candidates(axis(0)).people
    assert set(anna.similarity_by_source) == {Source.PHOTOGRAPH, Source.GREY}
    assert "1 samples of Anna cannot be read" in caplog.text


class Followed:
    """Templates that follow a gallery, and are compared with what is read anew."""

    def __init__(self, gallery: Gallery, place: Place) -> None:
        self.gallery = gallery
        self.place = place
        self.templates = gallery.templates(MODEL)

    def check(self) -> None:
        assert self.gallery.templates(MODEL) is self.templates
        with self.place.open() as fresh:
            anew = fresh.templates(MODEL)
        assert self.templates.people == anew.people
        assert by_id(self.templates) == by_id(anew)
        for place in range(10):
            one, other = self.templates.candidates(axis(place)), anew.candidates(axis(place))
            assert one.stranger == other.stranger
            assert one.stranger_similarity == pytest.approx(other.stranger_similarity)
            assert one.non_face_similarity == pytest.approx(other.non_face_similarity)
            assert [each.person for each in one.people] == [each.person for each in other.people]
            for mine, its in zip(one.people, other.people, strict=True):
                assert mine.similarity == pytest.approx(its.similarity, abs=1e-6)
                assert mine.similarity_by_source == pytest.approx(
                    its.similarity_by_source, abs=1e-6
                )
            self.check_alike(place)

    def check_alike(self, place: int) -> None:
        """Of whoever is most like a face, what is compared once is the same."""
        alike = self.gallery.templates_like(MODEL, axis(place), people=2, strangers=1)
        assert found(alike, place)[1] == found(self.templates, place)[1]
        one, other = (
            [(person, cosine) for person, cosine in each.people_like(axis(place), 2) if cosine > 0]
            for each in (alike, self.templates)
        )
        assert [person for person, _ in one] == [person for person, _ in other]
        assert [cosine for _, cosine in one] == pytest.approx([cosine for _, cosine in other])


def by_id(templates: Templates) -> list[Stranger]:
    return sorted(templates.strangers, key=lambda each: each.stranger_id)


@pytest.mark.parametrize("own", [True, False])
def test_every_change_is_taken_over(place: Place, own: bool) -> None:
    """Whoever makes it: what follows equals what is read anew."""
    with place.open() as daemon, place.open() as command_line:
        gallery, followed = daemon if own else command_line, Followed(daemon, place)

        def visit(name: str, visitor: Visitor, place: int) -> None:
            gallery.visits.save(Visit(name, 1.0, 2.0, visitor=visitor), [sample(place)])

        gallery.people.enroll("Anna", [photo(0), EnrolledSample(sample(1))])
        followed.check()
        gallery.people.enroll("Ben", [photo(2)])
        stranger = gallery.strangers.add([sample(3)], 1.0)
        other = gallery.strangers.add([sample(4)], 2.0)
        followed.check()
        visit("one", stranger, 3)
        gallery.strangers.note_visit(2, 3.0, [sample(5)])
        visit("two", other, 5)
        visit("three", gallery.people.get("Ben"), 6)
        for change in (
            lambda: gallery.corrections.to_person("one", "Anna", learn=True),
            lambda: gallery.corrections.to_no_face("two"),
            gallery.corrections.undo,
            gallery.corrections.undo,
            lambda: gallery.corrections.to_stranger("three", None),
            lambda: gallery.people.rename("Ben", "Benno"),
            lambda: gallery.strangers.merge(1, 3),
            lambda: gallery.strangers.name(1, "Cleo"),
            lambda: gallery.people.merge("Cleo", "Anna"),
            lambda: gallery.people.forget("Benno"),
            lambda: gallery.strangers.forget_before(10.0),
        ):
            before = followed.templates.revision
            change()
            followed.check()
            assert followed.templates.revision != before
        assert [each.name for each in followed.templates.people] == ["Anna"]
        assert not followed.templates.strangers


def test_a_large_change_of_another_process_is_taken_over_in_steps(place: Place) -> None:
    with place.open() as daemon, place.open() as command_line:
        templates = daemon.templates(MODEL)
        for axis_of in range(20):
            command_line.strangers.add([sample(axis_of)], 1.0)
        known = []
        for _ in range(4):
            before = templates.revision
            daemon.templates(MODEL, at_most=8)
            known.append(len(templates.strangers))
            assert (templates.revision != before) == (len(known) < 4)
        assert known == [8, 16, 20, 20]


def test_many_strangers_are_read_and_one_more_is_found(path: Path, in_file: Gallery) -> None:
    vectors = fill(path, MANY + 10, samples=2)
    templates = in_file.templates(MODEL)
    assert len(templates.strangers) == MANY + 10
    newcomer = in_file.strangers.add([sample(7)], 1.0)
    assert in_file.templates(MODEL).gone == 0
    in_file.strangers.forget(5)
    templates = in_file.templates(MODEL)
    assert templates.gone == 1
    assert templates.candidates(axis(7)).stranger == newcomer
    assert templates.candidates(vectors[99]).stranger == in_file.strangers.get(100)
    assert templates.candidates(vectors[4]).stranger_similarity < 0.9


def test_once_open_a_gallery_is_read_without_writing_a_byte(path: Path, in_file: Gallery) -> None:
    """A disk that is full, or another process that writes, must not keep the bell from starting."""
    in_file.wait_at_most(0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert in_file.templates(MODEL).people == ()
        other.execute("ROLLBACK")


def test_a_trigger_that_went_with_its_table_is_made_again(path: Path, in_file: Gallery) -> None:
    in_file.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER people_insert_changes_templates")
    with Gallery.open(path) as again, Gallery.open(path) as other:
        again.templates(MODEL)
        other.people.enroll("Anna", [photo(1)])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO people (name, name_key) VALUES ('Ben', 'ben')")
        assert [each.name for each in again.templates(MODEL).people] == ["Anna", "Ben"]


def test_the_log_of_changes_is_kept_once(path: Path, in_file: Gallery) -> None:
    in_file.templates(MODEL)
    in_file.strangers.add([sample(1)], 1.0)
    for seen_at in range(10):
        in_file.strangers.note_visit(1, seen_at, [sample(seen_at)])
    with closing(sqlite3.connect(path)) as connection:
        log = connection.execute("SELECT kind, visitor_id FROM template_changes").fetchall()
    assert log == [("stranger", 1)]
    with Gallery.open(path) as again:
        assert found(again.templates(MODEL), 9) == ([], "stranger-1")


@pytest.mark.parametrize("deed", ["new", "again", "read", "visit", "correction", "undo"])
def test_a_visit_costs_the_same_however_many_strangers_there_are(tmp_path: Path, deed: str) -> None:
    """Counted in steps of SQLite's machine, which no other program can slow down."""
    steps = {}
    for strangers in (10, 1_000):
        path = tmp_path / f"{strangers}.sqlite"
        with Gallery.open(path) as gallery:
            fill(path, strangers)
            gallery.people.enroll("Anna", [photo(0)])
            visitor = gallery.strangers.get(3)
            gallery.visits.save(Visit("before", 1.0, 2.0, visitor=visitor), [sample(1)])
            gallery.templates(MODEL)
            if deed == "undo":
                gallery.corrections.to_person("before", "Anna", learn=True)
            deeds = {
                "new": lambda gallery: gallery.strangers.add([sample(2)], 3.0),
                "again": lambda gallery: gallery.strangers.note_visit(3, 3.0, [sample(2)]),
                "read": lambda gallery: gallery.visits.get("before"),
                "visit": lambda gallery: gallery.visits.save(
                    Visit("now", 3.0, 4.0, visitor=gallery.strangers.get(3)), [sample(1)]
                ),
                "correction": lambda gallery: gallery.corrections.to_person(
                    "before", "Anna", learn=True
                ),
                "undo": lambda gallery: gallery.corrections.undo(),
            }
            with counting_steps(path) as count:
                deeds[deed](gallery)
                gallery.templates(MODEL)
            steps[strangers] = len(count)
    assert steps[1_000] <= 1.2 * steps[10]


def test_what_can_be_read_is_known_though_something_is_damaged(
    path: Path, in_file: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    fill(path, 10)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE samples SET embedding = x'00' WHERE stranger_id = 9")
    templates = in_file.templates(MODEL)
    assert len(templates.strangers) == 10
    assert "1 samples of stranger-9 cannot be read and are left out" in caplog.text
    assert "has 1 bytes instead of 512" in caplog.text
    assert len(read_samples(in_file.file, MODEL).stranger_embeddings) == 9
