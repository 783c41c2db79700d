"""Faces of the frames of one camera: frames and live tracks in, faces out, at a bounded cost."""

from __future__ import annotations

from collections.abc import Sequence

from doorbell.config import DetectionSection
from doorbell.detection.blazeface import BlazeFace, Candidates, Picture, blend
from doorbell.detection.motion import Motion
from doorbell.detection.planner import RegionPlanner
from doorbell.detection.second_look import look_in_its_light, look_with_finer_grid
from doorbell.domain import Face, Track, UInt8Array
from doorbell.inference import DeviceArray


class StreamDetector:
    """Looks at a few regions of each frame, with one network for near and one for far faces."""

    def __init__(self, near: BlazeFace, far: BlazeFace, section: DetectionSection) -> None:
        self._near = near
        self._far = far
        self._section = section
        self._planner = RegionPlanner(section)
        self._min_iou = section.blend_iou

    def another(self) -> StreamDetector:
        """One for the frames of another camera, with the same networks."""
        return StreamDetector(self._near, self._far, self._section)

    def close(self) -> None:
        """Release the networks; idempotent."""
        self._near.close()
        self._far.close()

    @property
    def motion(self) -> Motion:
        """What has moved, up to the frame that was looked at last."""
        return self._planner.motion

    def detect(
        self,
        pixels: UInt8Array,
        tracks: Sequence[Track],
        *,
        device_address: int | None = None,
        worth: int = 1,
    ) -> list[Face]:
        """Find the faces of the next frame.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            tracks: live tracks, most important first.
            device_address: of the pixels in the GPU's memory, where they are there too.
            worth: as how many frames this one counts, of a slow camera.

        Returns:
            Faces in pixels of the frame, best score first.
        """
        found = self.candidates(pixels, tracks, device_address=device_address, worth=worth)
        return blend(found, self._min_iou)

    def candidates(
        self,
        pixels: UInt8Array,
        tracks: Sequence[Track],
        *,
        device_address: int | None = None,
        worth: int = 1,
    ) -> Candidates:
        """Find what ``detect`` blends to faces, from the same arguments."""
        picture = _picture(pixels, device_address)
        plan = self._planner.plan(pixels, tracks, worth)
        found = [self._near.candidates(picture, plan.near)]
        if plan.far:
            found.append(self._far.candidates(picture, plan.far))
        return Candidates.joined(found)

    def look_closer(
        self, pixels: UInt8Array, face: Face, *, device_address: int | None = None
    ) -> Face:
        """Find a face of a frame once more, with better keypoints; the same where it is not found.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            face: in pixels of it.
            device_address: as ``detect`` takes it.
        """
        picture = _picture(pixels, device_address)
        return look_with_finer_grid(self._far, picture, face, self._min_iou)

    def look_in_its_light(self, pixels: UInt8Array, face: Face) -> Face:
        """Find a face once more that is behind scattered light, from the same arguments."""
        return look_in_its_light(self._near, pixels, face, self._min_iou)


def _picture(pixels: UInt8Array, device_address: int | None) -> Picture:
    return pixels if device_address is None else DeviceArray(device_address, pixels)
