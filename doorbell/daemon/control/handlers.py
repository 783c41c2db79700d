"""Which function answers which request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from doorbell.control import requests
from doorbell.control.requests import REQUESTS
from doorbell.control.schema import Request
from doorbell.daemon.control.commands import Commands
from doorbell.daemon.control.enrolling import EnrollingRequests
from doorbell.daemon.control.notices import NoticeRequests
from doorbell.daemon.control.people import PeopleRequests
from doorbell.daemon.control.replies import RepliesRequests
from doorbell.daemon.control.server import Answer, Handler
from doorbell.daemon.control.status import StatusRequests
from doorbell.daemon.control.talk import TalkRequests
from doorbell.daemon.control.visits import VisitRequests

_AnyRequest = TypeVar("_AnyRequest", bound=Request)


@dataclass(frozen=True, slots=True)
class VoiceRequests:
    """What answers of what is said and heard at the door."""

    talk: TalkRequests
    replies: RepliesRequests


COMMANDS: tuple[type[Request], ...] = (
    requests.RingBell,
    requests.Mute,
    requests.ChangeSettings,
    requests.CorrectVisit,
    requests.NoFace,
    requests.IgnoreVisitor,
    requests.NameStranger,
    requests.Undo,
    requests.ForgetPerson,
    requests.PlayReply,
)


def handlers(
    *,
    status: StatusRequests,
    visits: VisitRequests,
    people: PeopleRequests,
    commands: Commands,
    enrolling: EnrollingRequests,
    notices: NoticeRequests,
    voice: VoiceRequests,
    reload: Callable[[], None],
) -> dict[str, Handler]:
    """By verb, what answers; every request but the subscriptions is there.

    Args:
        status: answers what is asked of the doorbell itself.
        visits: of visits.
        people: of people.
        commands: carries out what the main thread does.
        enrolling: answers what is asked of photos and portraits.
        notices: answers the notifier, and what is asked of notifications.
        voice: of what is said and heard at the door.
        reload: has the configuration read anew, soon.
    """

    def reload_soon(_request: requests.Reload) -> Answer:
        reload()
        return Answer({"summary": "the configuration is read anew; the log says what was taken"})

    table = _of_notices(notices)

    def answer(kind: type[_AnyRequest], by: Callable[[_AnyRequest], Answer]) -> None:
        table[kind.verb] = _handler(by)

    answer(requests.Status, status.status)
    answer(requests.PlayChime, status.play_chime)
    answer(requests.ChimeSound, status.chime_sound)
    answer(requests.Check, status.check)
    answer(requests.Reload, reload_soon)
    answer(requests.ListVisits, visits.listed)
    answer(requests.Today, visits.today)
    answer(requests.GetVisit, visits.get)
    answer(requests.VisitPicture, visits.picture)
    answer(requests.ListPeople, people.listed)
    answer(requests.GetPerson, people.get)
    answer(requests.RenamePerson, people.rename)
    answer(requests.PersonChime, people.chime)
    answer(requests.PersonPreferences, people.preferences)
    answer(requests.PersonConsent, people.consent)
    answer(requests.IgnorePerson, people.ignore)
    answer(requests.MergePeople, people.merge)
    answer(requests.ExportPerson, people.export)
    answer(requests.PreparePhotos, enrolling.prepare)
    answer(requests.PhotoPreview, enrolling.preview)
    answer(requests.EnrollPhotos, enrolling.enroll)
    answer(requests.EnrollAtDoor, enrolling.at_the_door)
    answer(requests.GetPortrait, enrolling.portrait)
    answer(requests.ChoosePortrait, enrolling.choose_portrait)
    answer(requests.DeletePortrait, enrolling.delete_portrait)
    answer(requests.ListReplies, voice.replies.listed)
    answer(requests.ReplySound, voice.replies.sound)
    answer(requests.RenameReply, voice.replies.rename)
    answer(requests.DeleteReply, voice.replies.delete)
    table[requests.AddReply.verb] = lambda request, blob: voice.replies.add(
        cast("requests.AddReply", request), blob
    )
    answer(requests.Listen, voice.talk.listen)
    answer(requests.AnswerDoor, voice.talk.answer)
    table[requests.Say.verb] = lambda request, blob: voice.talk.say(
        cast("requests.Say", request), blob
    )
    table[requests.ExaminePhoto.verb] = lambda request, blob: enrolling.examine(
        cast("requests.ExaminePhoto", request), blob
    )
    for kind in COMMANDS:
        table[kind.verb] = commands.carry_out
    subscriptions = {requests.Events.verb, requests.Frames.verb}
    missing = REQUESTS.keys() - table.keys() - subscriptions
    if missing:
        raise AssertionError(f"nobody answers {sorted(missing)}")
    return table


def _of_notices(notices: NoticeRequests) -> dict[str, Handler]:
    return {
        requests.TakeNotices.verb: _handler(notices.take),
        requests.NoticePicture.verb: _handler(notices.picture),
        requests.LookAtAnswer.verb: _handler(notices.look),
        requests.GiveAnswer.verb: _handler(notices.give),
        requests.ReportTargets.verb: _handler(notices.report),
        requests.TestNotification.verb: _handler(notices.test),
    }


def _handler(by: Callable[[_AnyRequest], Answer]) -> Handler:
    """What answers a request that brings no bytes."""
    return lambda request, _blob: by(cast("_AnyRequest", request))
