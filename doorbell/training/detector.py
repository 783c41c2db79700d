"""A folder of pictures to a trained detector: labels, training, and the file of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from doorbell.config import InferenceSection
from doorbell.errors import UsageError
from doorbell.models.build import check_image, sample_values
from doorbell.models.manifest import load_manifest
from doorbell.networks.trained import TrainedWeights, pack_weights, rounded, unpack_weights
from doorbell.networks.weights import ReadWeights
from doorbell.storage.files import READABLE, write_whole
from doorbell.training.anchors import TRAINABLE
from doorbell.training.labels import labels_of
from doorbell.training.loop import Progress, Settings, load_examples, train
from doorbell.training.network import TrainableBuilder, TrainableNetwork
from doorbell.training.pictures import Pictures, fingerprint

# Of weights that are there already: they are near.
GOING_ON_RATE_PART = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a detector is trained.

    Attributes:
        network: a key of ``TRAINABLE``.
        steps: how many.
        batch: pictures in each.
        rate: the highest learning rate from the beginning; a tenth of it from weights on.
        seed: of weights, order and augmentation.
    """

    network: str = "table1"
    steps: int = 4000
    batch: int = 32
    rate: float = 3e-3
    seed: int = 1


def train_detector(
    pictures: Pictures,
    recipe: Recipe,
    section: InferenceSection,
    run: Path,
    *,
    begin_with: Path | None = None,
    threads: int | None = None,
    say: Callable[[str, int, int], None],
    report: Callable[[Progress], None],
) -> Path:
    """Train a detector, or go on with it.

    Args:
        pictures: see ``read_pictures``; those held out are not looked at.
        recipe: how.
        section: says where the released networks are, which label the pictures.
        run: folder of the run, made if needed.
        begin_with: weights to go on from.
        threads: of the processor; as many as PyTorch takes unless given.
        say: told about work before the training.
        report: told about the training.

    Returns:
        The file of weights.

    Raises:
        UsageError: the run's folder is of another run.
        ModelError: the models have not been built, or the weights are of another network.
        PictureError: a picture cannot be read.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    labels, _ = labels_of(pictures, section, run, say)
    examples = load_examples(
        pictures.trained, labels, lambda done, total: say("read pictures", done, total)
    )
    if not any(len(label.boxes_xyxy) for label in labels):
        raise UsageError(
            f"no face was found in {len(labels)} pictures: take pictures of people, or mark their "
            "faces in faces.csv"
        )
    content = None if begin_with is None else begin_with.read_bytes()
    settings = Settings(
        recipe.network,
        recipe.steps,
        recipe.batch,
        recipe.rate * (1 if content is None else GOING_ON_RATE_PART),
        recipe.seed,
        fingerprint(pictures.trained),
        None if content is None else hashlib.sha256(content).hexdigest(),
    )
    weights = None if content is None else ReadWeights(unpack_weights(content).convolutions)
    network = train(
        examples, settings, run / f"{recipe.network}.checkpoint", report, weights=weights
    )
    path = run / f"{recipe.network}.npz"
    write_whole(path, pack_weights(weights_of(network, recipe.network)), mode=READABLE)
    return path


def weights_of(network: TrainableNetwork, kind: str) -> TrainedWeights:
    """What is kept of a network that was trained, with values that PyTorch computes of it."""
    import torch

    convolutions = rounded(network.folded())
    plain: TrainableNetwork = TRAINABLE[kind].write(TrainableBuilder(ReadWeights(convolutions)))
    image = torch.from_numpy(check_image(load_manifest().models["blazeface_short"]))
    with torch.no_grad():
        outputs = plain.compute(image)
    expected = {name: sample_values(values.numpy()) for name, values in outputs.items()}
    return TrainedWeights(network.name, convolutions, expected)
