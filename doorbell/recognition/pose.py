"""Which way a head is turned: six keypoints in, three angles out."""

from __future__ import annotations

import math

import numpy as np

from doorbell.config import AttentionSection
from doorbell.domain import Float32Array, Pose

# (6, 3): x to the person's left, y down, z away from the camera, in centimetres, in the order of
# ``KEYPOINT_NAMES``. Read off MediaPipe's canonical face model (canonical_face_model.obj,
# Apache-2.0): the middle between the corners of each eye (vertices 33 and 133, 362 and 263), nose
# tip (1), the middle between the lips (13 and 14), tragions (234 and 454).
HEAD = np.array(
    [
        [-3.15, -2.62, -3.47],
        [3.15, -2.62, -3.47],
        [0.0, 1.13, -7.48],
        [0.0, 4.27, -5.31],
        [-7.66, -0.67, 2.44],
        [7.66, -0.67, 2.44],
    ]
)

# Least squares for the affine camera that shows the head: (6, 3), from keypoints to its axes.
_CENTRED = HEAD - HEAD.mean(axis=0)
_TO_CAMERA = np.linalg.pinv(_CENTRED).T


def head_pose(keypoints_xy: Float32Array) -> Pose:
    """Fit the head to its six keypoints under scaled orthographic projection.

    The angles are towards the line of sight and not the optical axis, so a face at the edge of the
    frame that looks at the camera has none. Keypoints that fix no turn, as when all lie in one
    place, count as a profile.

    Args:
        keypoints_xy: (6, 2) float32 in the order of ``KEYPOINT_NAMES``, pixels of the picture.

    Source: the affine camera by least squares and the nearest rotation to it (Horaud et al.,
    "Object pose: the link between weak perspective, paraperspective and full perspective", 1997).
    """
    camera = (keypoints_xy - keypoints_xy.mean(axis=0)).T @ _TO_CAMERA  # (2, 3)
    (a0, a1, a2), (b0, b1, b2) = camera.tolist()
    # The nearest rotation has the camera's own plane, and within it the root of a 2 x 2 matrix:
    # in plain numbers, a tenth of the time of a singular value decomposition.
    away = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
    aa, ab, bb = (
        a0 * a0 + a1 * a1 + a2 * a2,
        a0 * b0 + a1 * b1 + a2 * b2,
        b0 * b0 + b1 * b1 + b2 * b2,
    )
    area = math.hypot(*away)  # the product of the two singular values
    if not area > 1e-6 * (aa + bb + math.hypot(aa - bb, 2 * ab)) / 2:  # of the larger one's square
        return Pose(90.0, 0.0, 0.0)
    return Pose(
        yaw_degrees=math.degrees(math.asin(min(max(away[0] / area, -1.0), 1.0))),
        pitch_degrees=math.degrees(math.atan2(-away[1], away[2])),
        roll_degrees=math.degrees(
            math.atan2((aa + area) * b0 - ab * a0, (bb + area) * a0 - ab * b0)
        ),
    )


def is_looking(pose: Pose, section: AttentionSection) -> bool:
    """Whether a head faces the door, however it is tilted."""
    return (
        abs(pose.yaw_degrees) <= section.max_yaw_degrees
        and abs(pose.pitch_degrees) <= section.max_pitch_degrees
    )
