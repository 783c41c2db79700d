"""Training the detector on pictures of one's own: what ``doorbell train`` does.

Labels, augmentation and figures need NumPy and OpenCV alone; what trains imports PyTorch, the extra
``train``, which a door does without.
"""

from __future__ import annotations

import importlib.util

from doorbell.errors import UsageError


def require_pytorch() -> None:
    """Check that PyTorch is there.

    Raises:
        UsageError: it is not.
    """
    if importlib.util.find_spec("torch") is None:
        raise UsageError(
            "training takes PyTorch, which is not installed: pip install 'doorbell[train]', or "
            "torch for the processor alone as pytorch.org says"
        )
