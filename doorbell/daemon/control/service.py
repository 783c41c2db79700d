"""Everything behind the control socket, put together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from doorbell.config import Config, control_socket
from doorbell.daemon.control.check import CheckRequests
from doorbell.daemon.control.commands import Commands
from doorbell.daemon.control.doors import AskedDoor, AskedDoors
from doorbell.daemon.control.enrolling import EnrollingRequests
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.handlers import handlers
from doorbell.daemon.control.notices import NoticeRequests, NoticeSource
from doorbell.daemon.control.output import ControlOutput
from doorbell.daemon.control.people import PeopleRequests
from doorbell.daemon.control.replies import RepliesRequests
from doorbell.daemon.control.searching import SearchRequests
from doorbell.daemon.control.server import ControlServer
from doorbell.daemon.control.status import Broker, Chimes, StatusRequests
from doorbell.daemon.control.talk import TalkRequests
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import AnyCommand
from doorbell.errors import ControlError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DoorOutputs:
    """What is asked of one door.

    Attributes:
        config: of the door.
        chimes: plays them.
        broker: speaks to home automation; None without.
        talk: answers what is said and heard there.
    """

    config: Config
    chimes: Chimes
    broker: Broker | None
    talk: TalkRequests


@contextmanager
def control_service(
    config: Config,
    output: ControlOutput,
    *,
    put: Callable[[AnyCommand], None],
    doors: Sequence[DoorOutputs],
    notices: NoticeSource | None,
    chime_wav: Callable[[str], bytes],
    replies: RepliesRequests,
    reload: Callable[[], None],
) -> Iterator[None]:
    """Answer on the control socket; where it cannot be opened, the doorbell goes on without.

    Args:
        config: of the house.
        output: hands out events and frames, and knows what was told last.
        put: hands a command to the main thread.
        doors: what is asked of each.
        notices: what the notifier is to tell; None where nobody is told.
        chime_wav: a built-in chime as a WAV file.
        replies: answers what is asked of quick replies.
        reload: has the configuration read anew, soon.
    """
    devices = [each.config.device for each in doors]
    with (
        closing(GalleryExecutor(config.storage, config.gallery)) as executor,
        closing(EnrollingRequests(config, executor, output)) as enrolling,
    ):
        visits = VisitRequests(config.storage, executor, time.time, devices[0].id)
        commands = Commands([device.id for device in devices], put, executor)
        told = NoticeRequests(
            notices,
            latest={device.id: output.latest(device.id) for device in devices},
            visits=visits,
            executor=executor,
            commands=commands,
            doors=[device.id for device in devices],
            silent_doors={each.config.device.id for each in doors if not each.config.talk.enabled},
        )
        asked = [
            AskedDoor(
                each.config.device.id,
                StatusRequests(
                    each.config,
                    output.latest(each.config.device.id),
                    visits=visits,
                    chimes=each.chimes,
                    chime_wav=chime_wav,
                    broker=each.broker,
                    notifications=told.status,
                    doors=[(device.id, device.name) for device in devices],
                ),
                each.talk,
            )
            for each in doors
        ]
        table = handlers(
            doors=AskedDoors(
                asked, CheckRequests(config, lambda: any(each.status.is_silent for each in asked))
            ),
            searching=SearchRequests(config.recognition, executor, visits, enrolling.look_at),
            people=PeopleRequests(config.storage, executor, visits),
            enrolling=enrolling,
            commands=commands,
            notices=told,
            replies=replies,
            reload=reload,
        )
        try:
            server = ControlServer(config.control, control_socket(config), table, output)
        except ControlError as exc:
            log.error("neither console nor command line can ask the doorbell: %s", exc)
            yield
            return
        with closing(server), closing(told):  # first nobody waits any more
            yield
