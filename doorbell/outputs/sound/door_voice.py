"""What is said at the door: quick replies, and what somebody in the house says."""

from __future__ import annotations

from doorbell.config import Config
from doorbell.domain import ReplyCommand
from doorbell.outputs import Publish, publish_nowhere
from doorbell.status import Message


class DoorVoice:
    """The output that speaks at the door.

    Args:
        config: of the daemon.
        publish: told whether the loudspeaker works, which replies there are, and that somebody has
            answered the bell; on any thread.
    """

    def __init__(self, config: Config, *, publish: Publish = publish_nowhere) -> None:
        self._config = config
        self._publish = publish

    def handle(self, message: Message) -> None:
        """Follow what happens at the door."""

    def carry_out(self, command: ReplyCommand) -> None:
        """Say a quick reply, soon, and answer the command; on any thread."""
        command.answer(f"there is no reply {command.reply_id!r}", done=False)

    def reconfigure(self, config: Config) -> None:
        """Go by another configuration from now on."""
        self._config = config

    def close(self) -> None:
        """Let what is said end, for at most a second; idempotent."""
