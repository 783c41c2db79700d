"""Training: batches of augmented pictures, steps down the loss, checkpoints.

Each step's pictures and what is done to them follow from the seed and the step's number alone, so
that a run that was cut off goes on as if it had not been.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from doorbell.domain import Float32Array, UInt8Array
from doorbell.errors import UsageError
from doorbell.measure.accuracy.stills import read_picture
from doorbell.networks.weights import ReadWeights
from doorbell.storage.files import READABLE, write_whole
from doorbell.training.anchors import TRAINABLE, Anchors, Targets
from doorbell.training.augmentation import Sample, augment
from doorbell.training.labels import Labels
from doorbell.training.loss import detector_loss
from doorbell.training.network import TrainableBuilder, TrainableNetwork
from doorbell.training.pictures import Picture

if TYPE_CHECKING:
    import torch

CHECKPOINT_STEPS = 100
SAID_STEPS = 20

WEIGHT_DECAY = 1e-4
WARM_UP_STEPS = 200
LAST_RATE_PART = 0.01
GREATEST_GRADIENT = 10.0

# Larger pictures are kept in memory at this size: a face that fills a fifth of the longer side is
# still larger than the network's square shows it.
LONGEST_SIDE = 512


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is; one that goes on has to be the same.

    Attributes:
        network: a key of ``TRAINABLE``.
        steps: all of them.
        batch: pictures in a step.
        rate: the highest learning rate.
        seed: of weights, order and augmentation.
        pictures: fingerprint of what is trained on.
        begun_with: fingerprint of the weights that it goes on from; None from the beginning.
    """

    network: str
    steps: int
    batch: int
    rate: float
    seed: int
    pictures: str
    begun_with: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        step: done.
        steps: of so many.
        score_loss, place_loss: means since the last.
        pictures_per_second: since the last.
    """

    step: int
    steps: int
    score_loss: float
    place_loss: float
    pictures_per_second: float


@dataclass(frozen=True, eq=False, slots=True)
class Example:
    """A picture in memory and its labels, in its pixels."""

    pixels: UInt8Array
    labels: Labels


def load_examples(
    pictures: Sequence[Picture], labels: Sequence[Labels], say: Callable[[int, int], None]
) -> list[Example]:
    """Read pictures into memory, large ones made smaller.

    Raises:
        PictureError: one cannot be read.
    """
    examples = []
    for done, (picture, label) in enumerate(zip(pictures, labels, strict=True), start=1):
        pixels = read_picture(picture.path)
        scale = LONGEST_SIDE / max(pixels.shape[:2])
        if scale < 1:
            size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
            examples.append(Example(pixels, label.scaled(scale)))
        else:
            examples.append(Example(pixels, label))
        say(done, len(pictures))
    return examples


def train(
    examples: Sequence[Example],
    settings: Settings,
    checkpoint: Path,
    say: Callable[[Progress], None],
    *,
    weights: ReadWeights | None = None,
    checkpoint_steps: int = CHECKPOINT_STEPS,
) -> TrainableNetwork:
    """Train a network, from the last checkpoint on if there is one.

    Args:
        examples: what it learns from.
        settings: of the run.
        checkpoint: the file that keeps how far it is.
        say: told every twenty steps.
        weights: to go on from; see ``Settings.begun_with``.
        checkpoint_steps: how often it is kept.

    Returns:
        The network, for inference.

    Raises:
        UsageError: the checkpoint is of another run.
        ModelError: the weights are of another network.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(settings.seed)
    trainable = TRAINABLE[settings.network]
    network: TrainableNetwork = trainable.write(TrainableBuilder(weights))
    if weights is None:
        network.begin_at(trainable.sides)
    network.to(device)
    optimizer = torch.optim.AdamW(
        list(network.parameters()), settings.rate, weight_decay=WEIGHT_DECAY, fused=True
    )
    done = _resume(checkpoint, settings, network, optimizer, device)
    anchors = Anchors(trainable)
    sums, counted, since = np.zeros(2), 0, time.monotonic()
    for step in range(done, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * _rate_part(step, settings.steps)
        images, targets = _batch(examples, settings, step, anchors, network.input_pixels)
        batch = _to_images(images).to(device, memory_format=torch.channels_last)
        outputs = network.compute(batch, training=True)
        losses = detector_loss(outputs, *(_stack(targets, name).to(device) for name in _TARGETS))
        optimizer.zero_grad()
        (losses[0] + losses[1]).backward()
        torch.nn.utils.clip_grad_norm_(list(network.parameters()), GREATEST_GRADIENT)
        optimizer.step()
        sums += [float(loss.detach()) for loss in losses]
        counted += 1
        if (step + 1) % SAID_STEPS == 0 or step + 1 == settings.steps:
            now = time.monotonic()
            rate = counted * settings.batch / (now - since)
            scores, places = (sums / counted).tolist()
            say(Progress(step + 1, settings.steps, scores, places, rate))
            sums, counted, since = np.zeros(2), 0, now
        if (step + 1) % checkpoint_steps == 0 or step + 1 == settings.steps:
            _save(checkpoint, settings, step + 1, network, optimizer)
    return network


_TARGETS = ("kinds", "values", "weights")


def _batch(
    examples: Sequence[Example], settings: Settings, step: int, anchors: Anchors, side: int
) -> tuple[list[Sample], list[Targets]]:
    generator = np.random.default_rng((settings.seed, step))
    chosen = generator.integers(len(examples), size=settings.batch)
    samples = [augment(examples[i].pixels, examples[i].labels, side, generator) for i in chosen]
    return samples, [anchors.match(sample.labels) for sample in samples]


def _to_images(samples: Sequence[Sample]) -> torch.Tensor:
    """As the network wants them: (n, 3, side, side), -1..1."""
    import torch

    pixels: Float32Array = np.stack([sample.image for sample in samples]).astype(np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(0, 3, 1, 2)


def _stack(targets: Sequence[Targets], name: str) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.stack([getattr(each, name) for each in targets]))


def _rate_part(step: int, steps: int) -> float:
    """Up to 1 in the first steps, then down along a cosine."""
    warm_up = min(WARM_UP_STEPS, steps // 10)
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(steps - warm_up, 1)
    return LAST_RATE_PART + (1 - LAST_RATE_PART) * (1 + math.cos(math.pi * done)) / 2


def _save(
    path: Path,
    settings: Settings,
    step: int,
    network: TrainableNetwork,
    optimizer: torch.optim.Optimizer,
) -> None:
    import torch

    content = io.BytesIO()
    state = {
        "settings": asdict(settings),
        "step": step,
        "network": network.state(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(state, content)
    write_whole(path, content.getvalue(), mode=READABLE)


def _resume(
    path: Path,
    settings: Settings,
    network: TrainableNetwork,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> int:
    """Take over a checkpoint; the steps that it has done."""
    import torch

    if not path.is_file():
        return 0
    state = torch.load(path, map_location=device, weights_only=True)
    if state["settings"] != asdict(settings):
        different = [
            key for key, value in asdict(settings).items() if state["settings"].get(key) != value
        ]
        raise UsageError(
            f"{path} is of a run with another {' and '.join(different)}: go on as it was begun, or "
            "name another folder with --run"
        )
    network.take_over(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
