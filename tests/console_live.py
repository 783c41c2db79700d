"""What a page shows of the live picture: how old it is, how often it changes, and the boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The camera draws the time of each picture into it (doorbell/camera/simulated/frame_number.py); it
# is read from the canvas at each refresh of the screen, with the boxes that lie on it then.
SAMPLE = """
async ({ seconds, boxes }) => {
  const shown = document.querySelector("#live");
  const copy = new OffscreenCanvas(1, 1);
  const context = copy.getContext("2d", { willReadFrequently: true });
  const read = () => {
    const side = Math.max(1, Math.floor(shown.width / 80));
    copy.width = 26 * side;
    copy.height = 1;
    const row = shown.height - 1 - (side >> 1);
    context.drawImage(shown, 0, row, 26 * side, 1, 0, 0, 26 * side, 1);
    const data = context.getImageData(0, 0, 26 * side, 1).data;
    let number = 0;
    for (let at = 0; at < 26; at++) {
      const pixel = 4 * Math.round((at + 0.5) * side);
      const bit = data[pixel] + data[pixel + 1] + data[pixel + 2] >= 384 ? 1 : 0;
      if (at < 2 && bit !== 1 - at) return null;
      number = number * 2 + (at < 2 ? 0 : bit);
    }
    return number;
  };
  const samples = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const number = read();
    if (number === null) continue;
    const sample = { number, age: (Date.now() - number) & 0xffffff, boxes: null };
    if (boxes && number !== samples.at(-1)?.number) {
      sample.boxes = [];
      const frame = shown.getBoundingClientRect();
      for (const each of document.querySelectorAll("#live-boxes .box")) {
        const box = each.getBoundingClientRect();
        sample.boxes.push([
          (box.left - frame.left) / frame.width,
          (box.top - frame.top) / frame.height,
          (box.right - frame.left) / frame.width,
          (box.bottom - frame.top) / frame.height,
        ]);
      }
    }
    samples.push(sample);
  }
  return samples;
}
"""


@dataclass(frozen=True)
class Sample:
    """What was on the screen at one of its refreshes.

    Attributes:
        number: the time in the picture, the last 24 bits of its milliseconds.
        age_seconds: of the picture.
        boxes: left, top, right, bottom in fractions of the picture; None where it was shown before.
    """

    number: int
    age_seconds: float
    boxes: tuple[tuple[float, ...], ...] | None


def watch(page: Page, seconds: float, *, boxes: bool = False) -> list[Sample]:
    """Look at the live picture of a page for a while."""
    found: list[dict[str, Any]] = page.evaluate(SAMPLE, {"seconds": seconds, "boxes": boxes})
    return [
        Sample(
            each["number"],
            each["age"] / 1000,
            None if each["boxes"] is None else tuple(map(tuple, each["boxes"])),
        )
        for each in found
    ]


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)
