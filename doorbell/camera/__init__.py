"""Frames of a CSI, USB, network, recorded or simulated camera."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

from doorbell.camera.jetson import can_open
from doorbell.camera.uri import Kind, Source, source_of
from doorbell.config import CameraSection
from doorbell.domain import Frame
from doorbell.errors import CameraSetupError


class Camera(Protocol):
    """An open camera, read by one thread."""

    def read(self) -> Frame:
        """Return the next frame, waiting at most the configured timeout.

        Raises:
            CameraError: no frame in time, or the camera is lost; open it again.
            EndOfStreamError: a file, folder or scene script has come to its end.
        """

    def close(self) -> None:
        """Release the camera; idempotent."""


def open_camera(section: CameraSection, faces_directory: Path | None = None) -> Camera:
    """Open the camera that a configuration names.

    OpenCV cameras silence OpenCV's and FFmpeg's own messages in this process, and set the
    environment variables ``OPENCV_FFMPEG_LOGLEVEL`` and ``OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT`` where
    they are not set; what the messages would say is in the errors.

    Args:
        section: where it is and how it is to be read.
        faces_directory: portraits for the built-in simulated scene, where the URI names none.

    Raises:
        CameraError: there is no such camera now, or it cannot be opened as asked.
        CameraSetupError: no waiting will bring it.
    """
    camera = _open(section, faces_directory)
    if not section.rotate:
        return camera
    from doorbell.camera.rotated import RotatedCamera

    return RotatedCamera(camera, section.rotate)


def _open(section: CameraSection, faces_directory: Path | None) -> Camera:
    source = source_of(section)
    match _backend(section, source):
        case "simulated":
            from doorbell.camera.simulated.camera import open_simulated

            return open_simulated(section, source, faces_directory)
        case "opencv":
            from doorbell.camera.opencv import OpenCvCamera

            return OpenCvCamera(section, source)
        case "jetson":
            from doorbell.camera.jetson import open_jetson

            return open_jetson(section, source)


def frames_reach_gpu(section: CameraSection) -> bool:
    """Whether the configured camera's frames lie in memory that the GPU sees too.

    Raises:
        CameraSetupError: the section names no camera.
    """
    return _backend(section, source_of(section)) == "jetson" and not section.rotate


def _backend(section: CameraSection, source: Source) -> Literal["simulated", "opencv", "jetson"]:
    simulated = source.kind in (Kind.SIMULATED, Kind.FOLDER)
    if section.backend != "auto":
        if simulated != (section.backend == "simulated"):
            raise CameraSetupError(
                f"camera.backend = {section.backend} cannot open {source.shown!r} "
                f"({source.kind.value}); set it to auto"
            )
        return section.backend
    if simulated:
        return "simulated"
    # Recorded files and pipelines need OpenCV's clock and parser on a Jetson too.
    if source.kind is Kind.CSI:
        return "jetson"
    if can_open(source) and find_spec("jetson_utils") is not None:
        return "jetson"
    return "opencv"
