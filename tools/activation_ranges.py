"""Fit the ranges that SFace's layers in 8 bits read: photographs in, lines of the manifest out.

``python tools/activation_ranges.py FOLDER`` takes the main face of up to 300 photographs, computes
the network in float32, and prints for each layer the range at which rounding its values to 256
steps loses least, by least squares.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import closing
from itertools import product
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from doorbell.config import Config
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.measure.accuracy.stills import read_picture
from doorbell.models.manifest import load_manifest
from doorbell.models.store import network_files
from doorbell.networks.int8 import STEPS
from doorbell.pipeline.perception import open_perception

PHOTOGRAPHS = 300
SAMPLED = 3000  # values of each tensor and face
PARTS = np.linspace(0.2, 1, 17)  # of the least and of the greatest value, tried in all pairs

Values = NDArray[np.float32]


def aligned(folder: Path, config: Config) -> list[Values]:
    """The best face of each photograph as SFace takes it: (1, 3, 112, 112) each."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".png"})
    chosen = np.random.default_rng(0).permutation(len(found))[:PHOTOGRAPHS]
    crops = []
    with closing(open_perception(config)) as perception:
        for path in (found[i] for i in chosen):
            pixels = read_picture(path)
            for face in perception.detect_still(pixels)[:1]:
                crop = perception.crop_face(pixels, face).crop
                crops.append(crop.transpose(2, 0, 1)[None].astype(np.float32, order="C"))
    return crops


def values_read(network: Path, names: list[str], crops: list[Values]) -> dict[str, Values]:
    """Some of the values that each tensor has for the faces, and at the end its extremes."""
    model = onnx.load(network)
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    generator = np.random.default_rng(1)
    taken: dict[str, list[Values]] = {name: [] for name in names}
    ends: dict[str, list[float]] = {name: [0.0] for name in names}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "open.onnx"
        onnx.save(model, path)
        with closing(OpenVinoRunner(path, threads=0, cache_directory=None)) as runner:
            for crop in crops:
                outputs = runner.infer({"image": crop})
                for name in names:
                    values = outputs[name].ravel()
                    taken[name].append(generator.choice(values, SAMPLED))
                    ends[name] += float(values.min()), float(values.max())
    return {
        name: np.append(np.concatenate(parts), [min(ends[name]), max(ends[name])])
        for name, parts in taken.items()
    }


def loss(values: Values, low: float, high: float) -> float:
    """Mean square of what rounding to a range takes away."""
    scale = (high - low) / STEPS
    zero = round(-low / scale)
    rounded = np.clip(np.rint(values / scale) + zero, 0, STEPS)
    return float(np.square((rounded - zero) * scale - values).mean())


def best_range(values: Values) -> tuple[float, float]:
    """The range at which rounding loses least."""
    low, high = float(values.min()), float(values.max())
    tried = [(low * below, high * above) for below, above in product(PARTS, PARTS)]
    return min(tried, key=lambda ends: loss(values, *ends))


def main() -> int:
    """Print the ranges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="photographs with one main face each")
    folder: Path = parser.parse_args().folder
    config = Config()
    network = network_files("sface", config.inference).float32
    names = list(load_manifest().models["sface"].int8_ranges)
    for name, values in values_read(network, names, aligned(folder, config)).items():
        low, high = best_range(values)
        sys.stdout.write(f"{name} = [{low:.2f}, {high:.2f}]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
