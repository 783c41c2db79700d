"""Things worn, drawn over a face in its own frame: masks, scarves, sunglasses, hats and hoods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from doorbell.domain import Float32Array
from doorbell.imaging.shapes import ellipse, soft
from doorbell.measure.accuracy.image_formation import blurred, luminance
from doorbell.measure.accuracy.porch import Scene

# Reflectances of what is sold: blue, white and black masks.
MASKS = ((0.35, 0.55, 0.7), (0.75, 0.75, 0.75), (0.03, 0.03, 0.035))
SKIN = 0.35  # by which the light on the face is told from its luminance
GLASS = (0.015, 0.015, 0.015)


def masked(scene: Scene, chance: np.random.Generator) -> Scene:
    """A surgical mask, from the bridge of the nose over the chin."""
    x, y = scene.coordinates()
    top = 0.38 + chance.uniform(-0.08, 0.08) - 0.1 * np.exp(-((x / 0.25) ** 2))
    shape = np.minimum(ellipse(x, y, (0, 1.05), (1.0, 0.95), power=2.8), y - top)
    return _covered(scene, shape, MASKS[chance.integers(len(MASKS))], chance)


def scarfed(scene: Scene, chance: np.random.Generator) -> Scene:
    """A scarf, from under the nose down."""
    x, y = scene.coordinates()
    top = 0.8 + chance.uniform(-0.06, 0.06) + 0.06 * x**2
    shape = np.minimum(y - top, ellipse(x, y, (0, 2.0), (1.75, 1.4), power=4))
    return _covered(scene, shape, _dyed(chance), chance, folds=0.25)


def in_sunglasses(scene: Scene, chance: np.random.Generator) -> Scene:
    """Dark glasses with a reflection of the sky."""
    x, y = scene.coordinates()
    lenses = ellipse(np.abs(x), y, (0.5, 0.05), (0.42, 0.34), power=3)
    bridge = np.minimum(0.2 - np.abs(x), 0.05 - np.abs(y + 0.07))
    arms = np.minimum(0.2 - np.abs(np.abs(x) - 1.05), 0.05 - np.abs(y + 0.08))
    dark = _covered(scene, np.maximum(np.maximum(lenses, bridge), arms), GLASS, chance, folds=0)
    sky = soft(ellipse(np.abs(x), y, (0.4, -0.08), (0.12, 0.06)), 0.5) * 0.25
    return replace(dark, light=dark.light + sky[..., None] * soft(lenses, 0.1)[..., None])


def in_a_hat(scene: Scene, chance: np.random.Generator) -> Scene:
    """A knitted hat, drawn down to the brow."""
    x, y = scene.coordinates()
    rim = -0.42 + chance.uniform(-0.08, 0.08) + 0.08 * x**2
    shape = np.minimum(ellipse(x, y, (0, -0.35), (1.35, 1.5)), rim - y)
    return _covered(scene, shape, _dyed(chance), chance, folds=0.2)


def hooded(scene: Scene, chance: np.random.Generator) -> Scene:
    """A hood tied close: the face alone is seen, its upper part in shade."""
    x, y = scene.coordinates()
    opening = ellipse(x, y, (0, 0.6), (0.95, 1.25))
    shape = np.minimum(ellipse(x, y, (0, 0.5), (2.1, 2.6)), -opening)
    shade = 0.3 + 0.7 * soft(np.minimum(opening, (y + 0.3) / 2), 0.5)
    shaded = replace(scene, light=scene.light * np.where(opening > 0, shade, 1)[..., None])
    return _covered(shaded, shape, _dyed(chance, 0.3), chance, folds=0.15)


def _dyed(chance: np.random.Generator, brightest: float = 0.5) -> tuple[float, float, float]:
    red, green, blue = chance.uniform(0.03, brightest, 3)
    return float(red), float(green), float(blue)


def _covered(
    scene: Scene,
    shape: Float32Array,
    reflectance: tuple[float, float, float],
    chance: np.random.Generator,
    *,
    folds: float = 0.1,
) -> Scene:
    """Cloth of a colour over a shape, in the light that falls on the face.

    Args:
        scene: what it is put on.
        shape: (height, width), above 0 inside, in distances of the eyes.
        reflectance: of the cloth, red, green and blue.
        chance: of its folds.
        folds: how strong they are.
    """
    unit = scene.eyes_pixels
    lit = blurred(luminance(scene.light), 0.6 * unit) / SKIN
    x, y = scene.coordinates()
    face = soft(ellipse(x, y, (0, 0.7), (0.9, 1.1)), 0.2)
    lit = 0.5 * lit + 0.5 * float((lit * face).sum() / max(float(face.sum()), 1e-6))
    noise = chance.normal(0, 1, scene.light.shape[:2]).astype(np.float32)
    creases = blurred(noise, 0.1 * unit)
    creases /= max(float(creases.std()), 1e-6)
    cloth = np.array(reflectance, np.float32) * (lit * (1 + folds * creases))[..., None]
    here = soft(shape, 1.5 / unit)[..., None]  # an edge of one pixel and a half
    light = scene.light * (1 - here) + np.clip(cloth, 0, 1) * here
    return replace(scene, light=np.asarray(light, np.float32))
