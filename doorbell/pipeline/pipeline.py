"""One frame in, events out: detection, tracking, recognition, decision and visits in their order.

No threads, no clock of its own, no outputs. Everything it remembers between frames is here or in
the parts it was given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from doorbell.camera.frame_rate import FrameRate
from doorbell.config import Config
from doorbell.detection.zones import IgnoredZones
from doorbell.domain import (
    Event,
    Face,
    Frame,
    Person,
    Stranger,
    Track,
    Verdict,
    Visit,
    Visitor,
)
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.records import EnrolledSample
from doorbell.pipeline.best_pictures import VisitPictures
from doorbell.pipeline.body_tracking import BodyTracker
from doorbell.pipeline.completion import Completion, with_picture
from doorbell.pipeline.enrolling import visible_samples
from doorbell.pipeline.latency import Latency, Stage, Stopwatch
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.recognizer import Recognizer
from doorbell.pipeline.tracking import Tracker
from doorbell.pipeline.visit_recorder import VisitRecorder
from doorbell.recognition.templates import Templates
from doorbell.visits.bell import Bell
from doorbell.visits.bodies import BodySighting, is_far
from doorbell.visits.lifecycle import Visits
from doorbell.visits.observation import Observation
from doorbell.visits.worn import WornFaces


class Pipeline:
    """Watches one door.

    Args:
        perception: finds and embeds faces.
        gallery: who is known.
        config: its sections on everything between faces and events.
        stopwatch: times the stages of each frame; None to time nothing.
        recorder: reads and writes the gallery, shared with the pipelines of other doors; None for
            one of its own.
        earlier_of: the doors whose visits of the run before are taken over; None for every door's.

    Raises:
        GalleryError: the gallery does not answer at the start; what it does later stops nothing.
    """

    def __init__(
        self,
        perception: Perception,
        gallery: Gallery,
        config: Config,
        stopwatch: Stopwatch | None = None,
        *,
        recorder: VisitRecorder | None = None,
        earlier_of: Collection[str] | None = None,
    ) -> None:
        self._perception = perception
        self._stopwatch = stopwatch or Stopwatch(Latency(), lambda: 0.0)
        self._section = config.recognition
        self._recorder = recorder or VisitRecorder(gallery, perception.model_id)
        self._earlier_of = earlier_of
        self._tracker = Tracker(config.tracking)
        self._recognizer = Recognizer(perception, config, self._recorder.templates, self._stopwatch)
        self._pictures = VisitPictures(
            config.storage.pictures, self._recognizer.similarity, perception.bodies_in
        )
        self._completion = Completion(config.device.id, self._recorder, self._pictures)
        self._body_tracker = BodyTracker()
        self._rate = FrameRate()
        self._worn = WornFaces()
        self._ignored = IgnoredZones(config.detection.ignore)
        self._size: tuple[int, int] | None = None
        self._visits = Visits(
            config.visits,
            self._introduce,
            ring_after_seconds=config.attention.ring_after_seconds,
            recall=self._recall,
            door_id=config.device.id,
        )
        self._has_begun = False
        self._kept_seen_at: dict[str, float] = {}  # what the gallery has of visits going on
        self._applied: int | None = None  # the revision of the templates
        self._forgotten: list[str] = []
        self._gone = self._recorder.templates().gone

    @property
    def model_id(self) -> str:
        """Of the embedder."""
        return self._perception.model_id

    @property
    def recorder(self) -> VisitRecorder:
        """What stands between this and the gallery."""
        return self._recorder

    @property
    def follows(self) -> bool:
        """Whether it follows anybody, by a face or a figure, or waits for somebody to come back."""
        return bool(self._tracker.tracks or self._body_tracker.tracks or self._visits.open_visits)

    @property
    def open_visits(self) -> tuple[Visit, ...]:
        """Visits going on now."""
        return self._visits.open_visits

    @property
    def in_sight(self) -> tuple[tuple[Track, Visit | None], ...]:
        """Every live track with the open visit it belongs to, if to any yet and without doubt."""
        is_in_doubt, visit_of = self._recognizer.is_in_doubt, self._visits.visit_of
        return tuple(
            (track, None if is_in_doubt(track) else visit_of(track.track_id))
            for track in self._tracker.tracks
        )

    def faces_of_visits(self, frame: Frame) -> list[Face]:
        """Tell where in the frame that was taken in last the faces of visitors are."""
        return [
            track.face
            for track, visit in self.in_sight
            if visit is not None and track.last_seen_seconds == frame.time_seconds
        ]

    @property
    def observed(self) -> tuple[Observation, ...]:
        """What is known of every live track, most hits first."""
        return tuple(self._recognizer.observation(track) for track in self._tracker.tracks)

    @property
    def known_visitors(self) -> Templates:
        """Who is known, as the gallery said when it could last be read."""
        return self._recorder.templates()

    @property
    def problem(self) -> str | None:
        """Why visits are kept in memory only; None where they are stored."""
        return self._recorder.problem

    def step(self, frame: Frame) -> list[Event]:
        """Take in one frame.

        Args:
            frame: the next one of the camera; time never runs backwards.

        Returns:
            What happened, in order, with pictures.
        """
        self._stopwatch.start()
        self._follow_size(frame)
        self._rate.note(frame)
        faces = self._perception.detect(
            frame.pixels,
            self._tracker.tracks,
            device_address=frame.device_address,
            worth=self._rate.worth,
        )
        self._stopwatch.lap(Stage.DETECT)
        tracks = self._tracker.update(faces, frame.time_seconds)
        embedded = self._recognizer.step(frame, self._tracker.tracks, tracks, faces)
        for track_id in embedded.jumped:
            self._visits.part(track_id, self._tracker.restart(track_id).track_id)
        self._apply_corrections()
        confirmed = [
            track
            for track in tracks
            if self._tracker.is_confirmed(track)
            and track.track_id not in embedded.jumped
            and not self._recognizer.is_no_face(track)
            and not self._recognizer.is_in_doubt(track)
        ]
        worn = self._worn.update(self._tracker.tracks, frame.time_seconds)
        observations = [
            replace(
                seen,
                is_ignored=self._recognizer.is_hung_up(track)
                or (track.track_id in worn and seen.match.verdict is not Verdict.KNOWN)
                or self._ignored.hold(track.face.box_xyxy, frame.width, frame.height),
            )
            for track in confirmed
            for seen in [self._recognizer.observation(track, embedded.samples.get(track.track_id))]
        ]
        bodies = self._find_bodies(frame, busy=embedded.any_face)
        self._take_over()
        told = self._visits.update(observations, frame.time_seconds, frame.captured_at, bodies)
        seen = [(each, self._visits.open_visit_of(each.track.track_id)) for each in observations]
        figures = [self._visits.open_visit_of_body(each.track.track_id) for each in bodies]
        self._pictures.see(
            frame,
            seen,
            [track.face for track in tracks if track not in confirmed],
            [entry for entry in figures if entry is not None],
        )
        completed = self._completion.complete(told)
        self._stopwatch.lap(Stage.DECIDE)
        self._stopwatch.finish()
        return completed

    def _take_over(self) -> None:
        """Take up the visits of the run before, as the gallery has them when this one begins.

        After the templates were read: whoever is forgotten from then on is noticed by them.
        """
        if not self._has_begun:
            self._has_begun = True
            self._visits.restore(self._recorder.earlier(self._earlier_of))

    def _find_bodies(self, frame: Frame, *, busy: bool) -> list[BodySighting]:
        """Find people by their figure, where that is due in this frame."""
        now = frame.time_seconds
        self._body_tracker.expire(now)
        # A picture on the wall is not the face of whoever stands before it.
        faces = [each for each in self._tracker.tracks if not self._recognizer.is_hung_up(each)]
        found = self._perception.find_bodies(
            frame.pixels, now, faces, self._body_tracker.tracks, busy=busy
        )
        if found is None:
            return []
        return [
            BodySighting(
                track,
                is_far(track.body, frame.height)
                or self._ignored.hold(track.body.box_xyxy, frame.width, frame.height),
            )
            for track in self._body_tracker.update(found, now)
        ]

    def _follow_size(self, frame: Frame) -> None:
        """Find the visitors again in a stream that has changed its size."""
        size = frame.width, frame.height
        if self._size is not None and size != self._size:
            self._tracker.rescale(size[0] / self._size[0], size[1] / self._size[1])
            self._body_tracker.clear()
        self._size = size

    def press(self, time_seconds: float, wall_time: float) -> list[Event]:
        """Ring because somebody pressed, whoever is known to be there by now.

        Needs no frame, so that it rings without a camera too.
        """
        self._apply_corrections()
        [event] = self._completion.complete([self._visits.press(time_seconds, wall_time)])
        if event.visit is None:
            faces = [track.face for track in self._tracker.tracks]
            event = with_picture(event, self._pictures.take_latest(wall_time, faces))
        return [event]

    def finish(self, wall_time: float, *, stopping: bool = False) -> list[Event]:
        """End every visit: there are no more frames.

        Args:
            wall_time: seconds since the epoch.
            stopping: whether the daemon stops, with its visitors at the door; who is still there
                when it is back does not ring again.
        """
        self._apply_corrections()
        self._take_over()
        told = self._visits.finish(wall_time)
        return self._completion.complete(told, stopped_at=wall_time if stopping else None)

    def take_forgotten(self) -> list[str]:
        """Take the visits going on that were found to be forgotten in the last step.

        What was told of them before is to go; what comes is of somebody else.
        """
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def note_presence(self) -> None:
        """Let the gallery know who is still there, should this run be killed; every few seconds."""
        seen_at = {visit.visit_id: visit.last_seen_at for visit in self._visits.open_visits}
        changed = dict(seen_at.items() - self._kept_seen_at.items())
        self._recorder.touch(changed)
        self._kept_seen_at = seen_at

    def reconfigure(self, config: Config) -> None:
        """Go by another ``[visits]`` from now on."""
        self._visits.reconfigure(config.visits)

    def follow_clock(self, until: float, seconds: float) -> None:
        """Move the visits going on with a wall clock that was set; see ``Visits.follow_clock``."""
        self._visits.follow_clock(until, seconds)

    def set_privacy(self, private: bool) -> None:
        """Make no pictures from now on, or make them again."""
        self._pictures.private = private

    def identify(self, identified: Mapping[int, Stranger]) -> None:
        """Take over what strangers are called for good, by the number they had meanwhile."""
        self._visits.identify(identified)

    @property
    def bell(self) -> Bell:
        """What knows for whom it rang."""
        return self._visits.bell

    def visible_samples(self, name: str) -> list[EnrolledSample]:
        """What the one visitor in sight is to be enrolled by, of what was seen of the visit so far.

        Raises:
            EnrollmentError: nobody is in sight, several are, no frame was good enough, or it is
                somebody enrolled under another name.
        """
        seen = self._recognizer.usable(self._tracker.tracks)
        return visible_samples(name, seen, self._section.min_live)

    def _apply_corrections(self) -> None:
        """Take over what the household has said of visits that are going on."""
        templates = self._recorder.templates()
        revision = templates.revision
        if revision == self._applied:
            return
        self._visits.keep_people(templates.knows_person)
        self._pictures.forget(
            self._visits.entries, self._is_forgotten, anybody=templates.gone != self._gone
        )
        for visit in self._visits.open_visits:
            kept = self._recorder.visit(visit.visit_id)
            if self._recorder.problem is not None:
                return  # once more when it has answered
            is_gone = isinstance(visit.visitor, Person) and not templates.knows_person(
                visit.visitor.person_id
            )
            if kept is None or (is_gone and kept.visitor is None and not kept.corrected):
                self._forgotten.append(visit.visit_id)
                for track_id in self._visits.forget(visit.visit_id):
                    self._recognizer.forget(track_id)
            elif is_gone or kept.corrected or visit.corrected:  # gone: merged into somebody
                self._visits.correct(visit.visit_id, kept.visitor, corrected=kept.corrected)
        self._applied, self._gone = revision, templates.gone

    def _is_forgotten(self, visit_id: str) -> bool:
        return self._recorder.visit(visit_id) is None and self._recorder.problem is None

    def _recall(self, seen: Observation) -> Visitor | None:
        """Tell whom a track shows, if they have an identifier already."""
        return seen.match.visitor or self._recognizer.nearest_stranger(seen.signature)

    def _introduce(self, seen: Observation, wall_time: float) -> Stranger:
        """Give a stranger the identifier of earlier visits, or a new one."""
        return self._recorder.introduce(self._recall(seen), seen.samples, wall_time)
