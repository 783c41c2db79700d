"""Every error that the doorbell raises on purpose.

A message says what failed, the value seen and the next step. A vendor's exception is translated
once, at the edge, with ``from exc``.

::

    DoorbellError
    ├── ConfigError            a key, value or file of the configuration is wrong     (exit 2)
    ├── UsageError             a request that cannot be met as it was made            (exit 2)
    │   ├── UnknownPersonError     no person of that name; nearest names offered
    │   ├── UnknownStrangerError   no stranger of that identifier
    │   ├── UnknownDoorError       no door of that identifier
    │   └── InvalidNameError       a name that is empty, too long or has control characters
    ├── EnrollmentError        a picture that cannot be enrolled, with the reason     (exit 1)
    │   └── PictureError           not a picture, truncated, empty or too large
    ├── CameraError            the camera cannot be opened or read                    (exit 3)
    │   ├── CameraSetupError       it never will be, as it is configured or installed
    │   └── EndOfStreamError       a file, folder or scene script has come to its end
    ├── GpioError              a button's or relay's line is missing or refused       (exit 3)
    ├── ModelError             a model is missing, altered or cannot be converted     (exit 3)
    ├── InferenceError         a network cannot be loaded or run                      (exit 3)
    ├── GalleryError           the gallery cannot be opened, read or written          (exit 3)
    │   ├── GalleryLostError       the one in use was damaged, deleted or replaced
    │   └── GalleryRefusedError    a server refuses what it is told, however often it is
    ├── EncryptionError        a key is missing or wrong, or what it encrypted altered (exit 3)
    ├── ControlError           the running doorbell cannot be asked                   (exit 3)
    │   ├── NotRunningError        no doorbell runs there
    │   └── RefusedError           it has answered that it will not                   (exit 2)
    └── OutputError            sound, broker or disk refused; the daemon goes on
        ├── SoundError
        └── BrokerError
"""

from __future__ import annotations

from collections.abc import Iterable

# Of whatever asked for more than the machine has.
MEMORY_ADVICE = (
    "close other programs, or raise the memory that this one may have (ulimit -v, MemoryMax=)"
)


class DoorbellError(Exception):
    """Root of every error that the doorbell raises on purpose."""

    exit_code = 1


class ConfigError(DoorbellError):
    """A key, value or file of the configuration is wrong."""

    exit_code = 2


class UsageError(DoorbellError):
    """A request that cannot be met as it was made."""

    exit_code = 2


class UnknownPersonError(UsageError):
    """No person of that name is enrolled."""


class UnknownDoorError(UsageError):
    """There is no door of that id.

    Args:
        door_id: that was asked for.
        doors: the ids that there are.
    """

    def __init__(self, door_id: str, doors: Iterable[str]) -> None:
        super().__init__(f"there is no door {door_id!r}; there are {', '.join(doors)}")


class UnknownStrangerError(UsageError):
    """No stranger has that identifier."""


class InvalidNameError(UsageError):
    """A person's name that cannot be stored."""


class EnrollmentError(DoorbellError):
    """A picture or clip that cannot be enrolled."""


class PictureError(EnrollmentError):
    """A file that is no picture, or one that is truncated, empty or too large."""


class CameraError(DoorbellError):
    """The camera cannot be opened or read."""

    exit_code = 3


class CameraSetupError(CameraError):
    """A camera that no waiting brings: the configuration or what is installed is wrong."""


class EndOfStreamError(CameraError):
    """A file, folder or scene script has come to its end."""


class GpioError(DoorbellError):
    """A GPIO line is missing, taken by something else, or has stopped answering."""

    exit_code = 3


class ModelError(DoorbellError):
    """A model is missing, altered or cannot be converted."""

    exit_code = 3


class InferenceError(DoorbellError):
    """A network cannot be loaded or run."""

    exit_code = 3


class GalleryError(DoorbellError):
    """The gallery cannot be opened, read or written."""

    exit_code = 3


class GalleryLostError(GalleryError):
    """The gallery in use was damaged, deleted or replaced.

    The daemon goes on with whom it knew, as with any gallery that does not answer; but only a start
    anew takes up another file.
    """


class GalleryRefusedError(GalleryError):
    """A server refuses what it is told for good: for what it says, or for who says it."""


class EncryptionError(DoorbellError):
    """A key is missing, wrong or no key, or what was encrypted with it was altered."""

    exit_code = 3


class ControlError(DoorbellError):
    """The running doorbell cannot be asked, or its answer not be understood."""

    exit_code = 3


class NotRunningError(ControlError):
    """No doorbell runs that could be asked."""


class RefusedError(ControlError):
    """The running doorbell has answered that it will not.

    Args:
        message: why, in words for people.
        kind: ``refused`` (it cannot be done as it was asked), ``not_found``, ``used``
            (once, and no more), ``too_fast``, ``stopping`` or ``failed``.
    """

    exit_code = 2

    def __init__(self, message: str, kind: str = "refused") -> None:
        super().__init__(message)
        self.kind = kind


class OutputError(DoorbellError):
    """Sound, broker or disk refused an output."""


class SettingsError(DoorbellError):
    """A setting that cannot be kept."""


class SoundError(OutputError):
    """A chime could not be played."""


class BrokerError(OutputError):
    """The MQTT broker cannot be reached or refused us."""
