"""What a detector is trained to lower: focal loss on scores, smooth L1 on boxes and keypoints.

Source: Lin et al., "Focal Loss for Dense Object Detection" (2017); Liu et al., "SSD" (2016).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FOCUS = 2.0
# The part of faces in the focal loss, against the many anchors that see none.
FACE_WEIGHT = 0.4
# Errors below this part of a face count by their square.
SMOOTH_BELOW = 0.03
PLACE_WEIGHT = 4.0


def detector_loss(
    outputs: dict[str, torch.Tensor],
    kinds: torch.Tensor,
    values: torch.Tensor,
    weights: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compare outputs with targets.

    Args:
        outputs: ``scores`` (batch, anchors, 1) before a sigmoid, ``regressors`` (batch, anchors,
            16) in pixels.
        kinds: (batch, anchors), see ``Targets``, as are the next two.
        values: (batch, anchors, 16).
        weights: (batch, anchors, 16).

    Returns:
        The loss of scores and that of places, each for one face.
    """
    import torch
    from torch.nn import functional

    faces = kinds.eq(1)
    count = faces.sum().clamp(min=1)
    said = kinds.ge(0)
    logits, truth = outputs["scores"][..., 0][said], faces[said].float()
    plain = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    sure = torch.sigmoid(logits)
    wrong = torch.where(truth > 0, 1 - sure, sure)
    balance = torch.where(truth > 0, FACE_WEIGHT, 1 - FACE_WEIGHT)
    scores = (balance * wrong.pow(FOCUS) * plain).sum() / count
    scale = weights[faces]
    errors = (outputs["regressors"][faces] - values[faces]) * scale
    known = scale.gt(0)
    smooth = functional.smooth_l1_loss(
        errors, torch.zeros_like(errors), beta=SMOOTH_BELOW, reduction="none"
    )
    places = (smooth * known).sum() / known.sum().clamp(min=1)
    return scores, PLACE_WEIGHT * places
