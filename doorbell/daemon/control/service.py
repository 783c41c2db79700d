"""Everything behind the control socket, put together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from doorbell.config import Config, control_socket
from doorbell.daemon.control.commands import Commands
from doorbell.daemon.control.enrolling import EnrollingRequests
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.handlers import VoiceRequests, handlers
from doorbell.daemon.control.notices import NoticeRequests, NoticeSource
from doorbell.daemon.control.output import ControlOutput
from doorbell.daemon.control.people import PeopleRequests
from doorbell.daemon.control.server import ControlServer
from doorbell.daemon.control.status import Broker, Chimes, StatusRequests
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import AnyCommand
from doorbell.errors import ControlError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AskedOutputs:
    """The daemon's outputs that are asked for something.

    Attributes:
        chimes: plays them.
        broker: speaks to home automation; None without.
        notices: what the notifier is to tell; None where nobody is told.
    """

    chimes: Chimes
    broker: Broker | None
    notices: NoticeSource | None


@contextmanager
def control_service(
    config: Config,
    output: ControlOutput,
    *,
    put: Callable[[AnyCommand], None],
    outputs: AskedOutputs,
    chime_wav: Callable[[str], bytes],
    voice: VoiceRequests,
    reload: Callable[[], None],
) -> Iterator[None]:
    """Answer on the control socket; where it cannot be opened, the doorbell goes on without.

    Args:
        config: of the daemon.
        output: hands out events and frames, and knows what was told last.
        put: hands a command to the main thread.
        outputs: of the daemon, that are asked for something.
        chime_wav: a built-in chime as a WAV file.
        voice: answers what is asked of what is said and heard at the door.
        reload: has the configuration read anew, soon.
    """
    with (
        closing(GalleryExecutor(config.storage, config.gallery)) as executor,
        closing(EnrollingRequests(config, executor, output)) as enrolling,
    ):
        visits = VisitRequests(config.storage, executor, time.time, config.device.id)
        commands = Commands(config.device.id, put, executor)
        told = NoticeRequests(
            outputs.notices,
            latest=output.latest,
            visits=visits,
            executor=executor,
            commands=commands,
        )
        table = handlers(
            status=StatusRequests(
                config,
                output.latest,
                visits=visits,
                chimes=outputs.chimes,
                chime_wav=chime_wav,
                broker=outputs.broker,
                notifications=told.status,
            ),
            visits=visits,
            people=PeopleRequests(config.storage, executor, visits),
            enrolling=enrolling,
            commands=commands,
            notices=told,
            voice=voice,
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
