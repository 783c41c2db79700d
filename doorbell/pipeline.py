"""One frame in, events out: detection, tracking, recognition, decision and visits in their order.

No threads, no clock of its own, no outputs. Everything it remembers between frames is here or in
the parts it was given.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from doorbell.config import Config
from doorbell.domain import (
    Event,
    FaceSample,
    Frame,
    Left,
    Person,
    Recognized,
    Stranger,
    Track,
    Unrecognized,
    Visit,
)
from doorbell.errors import EnrollmentError
from doorbell.latency import Latency, Stage, Stopwatch
from doorbell.open_visit import Observation
from doorbell.perception import Perception, Portrait
from doorbell.recognition.gallery import Gallery
from doorbell.recognition.gallery_names import name_key
from doorbell.recognition.gallery_records import EnrolledSample, EnrollmentOutcome
from doorbell.recognition.strangers import merge_alike
from doorbell.recognition.templates import Templates
from doorbell.recognizer import Recognizer
from doorbell.tracking import Tracker
from doorbell.visit_book import VisitBook
from doorbell.visit_pictures import VisitPictures
from doorbell.visits import Visits

log = logging.getLogger(__name__)


class Pipeline:
    """Watches one door.

    Args:
        perception: finds and embeds faces.
        gallery: who is known.
        config: its sections on everything between faces and events.
        stopwatch: times the stages of each frame; None to time nothing.

    Raises:
        GalleryError: the gallery does not answer at the start; what it does later stops nothing.
    """

    def __init__(
        self,
        perception: Perception,
        gallery: Gallery,
        config: Config,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._perception = perception
        self._stopwatch = stopwatch or Stopwatch(Latency(), lambda: 0.0)
        self._gallery = gallery
        self._section = config.recognition
        self._book = VisitBook(gallery, perception.model_id)
        self._pictures = VisitPictures(config.storage.pictures)
        self._tracker = Tracker(config.tracking)
        self._recognizer = Recognizer(
            perception, self._tracker, config, self._book.templates, self._stopwatch
        )
        self._size: tuple[int, int] | None = None
        self._visits = Visits(
            config.visits,
            self._introduce,
            ring_after_seconds=config.attention.ring_after_seconds,
        )
        self._samples: dict[int, tuple[str, tuple[FaceSample, ...]]] = {}  # visit's, by track
        self._unconfirmed_strangers: dict[str, Stranger] = {}
        self._heeded: int | None = None  # the revision of the templates

    @property
    def open_visits(self) -> tuple[Visit, ...]:
        """Visits going on now."""
        return self._visits.open_visits

    @property
    def in_sight(self) -> tuple[tuple[Track, Visit | None], ...]:
        """Every live track with the open visit it belongs to, if to any yet."""
        return tuple(
            (track, self._visits.visit_of(track.track_id)) for track in self._tracker.tracks
        )

    @property
    def household(self) -> Templates:
        """Who is known, as the gallery said when it could last be read."""
        return self._book.templates()

    @property
    def problem(self) -> str | None:
        """Why visits are kept in memory only; None where they are stored."""
        return self._book.problem

    def step(self, frame: Frame) -> list[Event]:
        """Take in one frame.

        Args:
            frame: the next one of the camera; time never runs backwards.

        Returns:
            What happened, in order, with pictures.
        """
        self._stopwatch.start()
        self._follow_size(frame)
        faces = self._perception.detect(
            frame.pixels, self._tracker.tracks, device_address=frame.device_address
        )
        self._stopwatch.lap(Stage.DETECT)
        tracks = self._tracker.update(faces, frame.time_seconds)
        portraits = self._recognizer.step(frame, tracks, faces)
        self._heed_corrections()
        confirmed = [
            track
            for track in tracks
            if self._tracker.is_confirmed(track) and not self._recognizer.is_no_face(track)
        ]
        observations = [self._recognizer.observation(track) for track in confirmed]
        events = self._visits.update(observations, frame.time_seconds, frame.captured_at)
        self._keep_samples(observations)
        self._picture(frame, tracks, confirmed, portraits)
        completed = self._complete(events)
        self._stopwatch.lap(Stage.DECIDE)
        self._stopwatch.finish()
        return completed

    def _follow_size(self, frame: Frame) -> None:
        """Find the visitors again in a stream that has changed its size."""
        size = frame.width, frame.height
        if self._size is not None and size != self._size:
            self._tracker.rescale(size[0] / self._size[0], size[1] / self._size[1])
        self._size = size

    def press(self, time_seconds: float, wall_time: float) -> list[Event]:
        """Ring because somebody pressed, whoever is known to be there by now.

        Needs no frame, so that it rings without a camera too.
        """
        self._heed_corrections()
        ring = self._visits.press(time_seconds, wall_time)
        [event] = self._complete([ring])
        if event.visit is None:
            faces = [track.face for track in self._tracker.tracks]
            event = replace(event, picture_jpeg=self._pictures.draw_latest(wall_time, faces))
        return [event]

    def finish(self, wall_time: float) -> list[Event]:
        """End every visit: there are no more frames."""
        self._heed_corrections()
        return self._complete(self._visits.finish(wall_time))

    def follow_clock(self, until: float, seconds: float) -> None:
        """Move the visits going on with a wall clock that was set; see ``Visits.follow_clock``."""
        self._visits.follow_clock(until, seconds)

    def catch_up(self) -> None:
        """Store what the gallery has refused, if it answers again; every few seconds."""
        identified = self._book.catch_up()
        for visit in self._visits.open_visits:
            known_as = visit.visitor
            if isinstance(known_as, Stranger) and known_as.stranger_id in identified:
                stranger = identified[known_as.stranger_id]
                self._visits.correct(visit.visit_id, stranger, corrected=visit.corrected)
                if visit.visit_id in self._unconfirmed_strangers:
                    self._unconfirmed_strangers[visit.visit_id] = stranger

    def tidy_strangers(self) -> None:
        """Make one of strangers who prove to be the same person; now and then is enough.

        Raises:
            GalleryError: the gallery does not answer.
        """
        for newer, older in merge_alike(self._gallery, self._perception.model_id, self._section):
            log.info("%s is %s", newer.label, older.label)

    def enroll_visible(self, name: str) -> EnrollmentOutcome:
        """Enroll the one visitor in sight from what was seen of the visit so far.

        Raises:
            EnrollmentError: nobody is in sight, several are, no frame was good enough, or it is
                somebody enrolled under another name.
            InvalidNameError: the name cannot be stored.
        """
        seen = self._recognizer.usable
        if len(seen) != 1:
            raise EnrollmentError(
                f"cannot enroll {name!r}: {len(seen)} usable faces are in sight, and it takes "
                "exactly one; stand alone before the camera, a step nearer"
            )
        known = seen[0].match.visitor
        if isinstance(known, Person) and name_key(known.name) != name_key(name):
            raise EnrollmentError(
                f"cannot enroll {name!r}: the visitor in sight is {known.name}; to change a name: "
                f"doorbell people rename {known.name!r} {name!r}"
            )
        samples = [EnrolledSample(sample) for sample in seen[0].samples]
        return self._gallery.people.enroll(name, samples)

    def _heed_corrections(self) -> None:
        """Take over what the household has said of visits that are going on."""
        templates = self._book.templates()
        revision = templates.revision
        if revision == self._heeded:
            return
        for visit in self._visits.open_visits:
            kept = self._book.visit(visit.visit_id)
            if self._book.problem is not None:
                return  # once more when it has answered
            is_gone = isinstance(visit.visitor, Person) and not templates.knows_person(
                visit.visitor.person_id
            )
            if kept is None or (is_gone and kept.visitor is None and not kept.corrected):
                self._forget(visit.visit_id)
            elif is_gone or kept.corrected or visit.corrected:  # gone: merged into somebody
                self._visits.correct(visit.visit_id, kept.visitor, corrected=kept.corrected)
        self._heeded = revision

    def _forget(self, visit_id: str) -> None:
        """Whoever is at the door was forgotten: keep nothing that was seen before."""
        for track in self._tracker.tracks:
            visit = self._visits.visit_of(track.track_id)
            if visit is not None and visit.visit_id == visit_id:
                self._recognizer.forget(track.track_id)
        self._drop_samples(visit_id)
        self._pictures.forget_visitor(visit_id)
        self._visits.forget(visit_id)

    def _keep_samples(self, observations: Sequence[Observation]) -> None:
        for seen in observations:
            visit = self._visits.visit_of(seen.track.track_id)
            if visit is not None and seen.samples:
                self._samples[seen.track.track_id] = visit.visit_id, seen.samples

    def _drop_samples(self, visit_id: str) -> None:
        self._samples = {k: v for k, v in self._samples.items() if v[0] != visit_id}
        self._unconfirmed_strangers.pop(visit_id, None)

    def _samples_of(self, visit_id: str) -> list[FaceSample]:
        return [
            sample
            for of_visit, samples in self._samples.values()
            if of_visit == visit_id
            for sample in samples
        ]

    def _introduce(self, seen: Observation, wall_time: float) -> Stranger:
        """Give a stranger the identifier of earlier visits, or a new one."""
        known = seen.match.visitor or self._recognizer.nearest_stranger(seen.signature)
        return self._book.introduce(known, seen.samples, wall_time)

    def _picture(
        self,
        frame: Frame,
        tracks: Sequence[Track],
        confirmed: Sequence[Track],
        portraits: Mapping[int, Portrait],
    ) -> None:
        """Remember the frame that shows each visit best."""
        visits = [(track, self._visits.visit_of(track.track_id)) for track in confirmed]
        others = [track.face for track in tracks if track not in confirmed]
        # People want to see a face large; recognition is content with less.
        worths = {
            track.track_id: portraits[track.track_id].quality.value * track.face.width_pixels
            for track in confirmed
            if track.track_id in portraits
        }
        self._pictures.see(frame, visits, worths, others)

    def _complete(self, events: Sequence[Event]) -> list[Event]:
        """Put pictures to events and visits into the gallery."""
        completed: list[Event] = []
        kept, drawn = None, None
        for event in events:
            if event.visit is not None:
                self._correct_strangers(event)
                if event.visit != kept:  # a ring follows the announcement of the same visit
                    decided = isinstance(event, Recognized | Unrecognized | Left)
                    samples = self._samples_of(event.visit.visit_id) if decided else ()
                    self._book.save(event.visit, samples)
                    kept, drawn = event.visit, self._pictures.draw(event.visit)
                completed.append(replace(event, picture_jpeg=drawn))
            else:
                completed.append(event)
        gone = [event.visit.visit_id for event in events if isinstance(event, Left)]
        for visit_id in gone:
            self._drop_samples(visit_id)
        self._pictures.forget(gone, [track.track_id for track in self._tracker.tracks])
        return completed

    def _correct_strangers(self, event: Event) -> None:
        """Take back the identifier of a new stranger who turns out to be a person."""
        match event:
            case Unrecognized(visit=Visit(visitor=Stranger(visits=1) as stranger)):
                self._unconfirmed_strangers[event.visit.visit_id] = stranger
            case Recognized() | Left(visit=Visit(continued_by=str())):
                mistaken = self._unconfirmed_strangers.pop(event.visit.visit_id, None)
                if mistaken is not None:
                    # The visit is saved under its person first: forgetting takes visits along.
                    self._book.save(event.visit)
                    self._book.withdraw(mistaken)
            case _:
                pass
