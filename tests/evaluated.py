"""Small folders that ``doorbell evaluate`` measures, of the sample portraits."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from doorbell.domain import UInt8Array
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path

# The faces of the portraits at half their size, measured by hand: left, top, right, bottom.
OBAMA_BOX = (180, 62, 318, 212)
BIDEN_BOX = (195, 100, 372, 275)


def portrait(name: str, directory: Path) -> UInt8Array:
    pixels = decode_photo(read_photo(face_path(name, directory)), name)
    return np.asarray(
        cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8
    )


@pytest.fixture(scope="session")
def portraits(models_directory: Path) -> dict[str, UInt8Array]:
    names = ("ardern", "biden", "macron", "obama", "obama2")
    return {name: portrait(name, models_directory) for name in names}


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, UInt8Array]) -> Path:
    """Pairs and a household of the sample portraits."""
    folder = tmp_path_factory.mktemp("photos")
    images = folder / "images"
    images.mkdir()
    for name, pixels in portraits.items():
        Image.fromarray(pixels).save(images / f"{name}.jpg")
        Image.fromarray((pixels * 0.7).astype(np.uint8)).save(images / f"{name}-evening.png")
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(images / "wall.jpg")
    same = [("obama", "obama2"), *((name, f"{name}-evening") for name in portraits)]
    names = ["ardern", "biden", "macron", "obama"]
    different = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    rows = [f"{a},{b},1" for a, b in same] + [f"{a},{b},0" for a, b in different]
    (folder / "pairs.csv").write_text("\n".join(["first,second,same", *rows]))
    household = {
        "members": {
            "Barack Obama": {"enroll": ["obama.jpg"], "probe": ["obama2", "obama-evening"]},
            "Joe Biden": {"enroll": ["biden", "wall"], "probe": ["biden-evening", "wall"]},
        },
        "strangers": ["ardern", "macron", "ardern-evening", "macron-evening"],
    }
    (folder / "household.json").write_text(json.dumps(household))
    return folder
