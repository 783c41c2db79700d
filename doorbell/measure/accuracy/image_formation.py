"""What a camera makes of light: a lens, motion and a sensor, in linear light.

Pure arithmetic with a given source of chance: the same seed gives the same picture. Light is
(height, width, 3) float32, red, green and blue, in proportion to photons; 1 is white.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from doorbell.domain import Float32Array, UInt8Array

# The transfer curve of sRGB (IEC 61966-2-1).
_VALUES = np.arange(256) / 255
_LINEAR = np.where(_VALUES <= 0.04045, _VALUES / 12.92, ((_VALUES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
_STEPS = np.arange(65536) / 65535
_ENCODED = np.round(
    255 * np.where(_STEPS <= 0.0031308, 12.92 * _STEPS, 1.055 * _STEPS ** (1 / 2.4) - 0.055)
).astype(np.uint8)

# Of luminance (ITU-R BT.709), and of what a sensor sees by the light of an infrared lamp: mostly
# through its red filter.
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
INFRARED = np.array([0.75, 0.2, 0.05], np.float32)

# A mosaic is read with this added, so that noise below black is not cut off before the colours of
# neighbours are mixed.
PEDESTAL = 0.02


def to_light(pixels: UInt8Array) -> Float32Array:
    """A picture, (height, width, 3) uint8 RGB, as light."""
    return _LINEAR[pixels]


def to_pixels(light: Float32Array) -> UInt8Array:
    """Light as a picture, (height, width, 3) uint8 RGB; what is brighter than white is white."""
    return _ENCODED[(np.clip(light, 0, 1) * 65535).astype(np.uint16)]


def luminance(light: Float32Array) -> Float32Array:
    """How bright light looks, (height, width) float32."""
    return np.asarray(light @ LUMINANCE, np.float32)


def blurred(light: Float32Array, sigma_pixels: float) -> Float32Array:
    """Light spread by a Gaussian; a wide one is computed in a smaller picture."""
    if sigma_pixels <= 0:
        return light
    height, width = light.shape[:2]
    factor = max(int(sigma_pixels / 4), 1)
    size = max(width // factor, 8), max(height // factor, 8)
    if factor == 1 or min(width, height) < 32:
        return np.asarray(cv2.GaussianBlur(light, (0, 0), sigma_pixels), np.float32)
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(small, (0, 0), sigma_pixels * size[0] / width)
    return np.asarray(cv2.resize(spread, (width, height)), np.float32)


def smeared(light: Float32Array, shift_xy: tuple[float, float]) -> Float32Array:
    """Light of what moves by so many pixels, right and down, while the shutter is open."""
    across, down = shift_xy
    length = float(np.hypot(across, down))
    if length < 0.1:
        return light
    radius = int(np.ceil(length / 2)) + 1
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    along = (x * across + y * down) / length
    beyond = np.maximum(np.abs(along) - length / 2, 0)  # of the ends of the line
    beside = np.abs(x * down - y * across) / length
    kernel = np.maximum(1 - np.hypot(beyond, beside), 0)
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum()), np.float32)


def scattered(light: Float32Array, part: float, reach: float = 0.25) -> Float32Array:
    """Light of which a lens spreads a part over the picture, as a Gaussian.

    Args:
        light: before the lens.
        part: of the light, 0 to 1.
        reach: the Gaussian's sigma in widths of the picture.
    """
    return (1 - part) * light + part * blurred(light, reach * light.shape[1])


@dataclass(frozen=True, slots=True)
class Camera:
    """A lens, a shutter and a sensor.

    Attributes:
        electrons: that white releases in a pixel; fewer are noisier.
        read_noise: electrons, standard deviation.
        gain: by how much the signal is amplified after the noise.
        coloured: whether the sensor sees colours, through a Bayer mosaic; otherwise it has none, as
            by infrared.
        blur_pixels: of the lens, the sigma of a Gaussian.
        motion: how far the visitor moves while the shutter is open, in sizes of the face: the mean.
        denoising_pixels: by how much colours, not brightness, are smoothed against noise.
    """

    electrons: float = 9000.0
    read_noise: float = 3.0
    gain: float = 1.0
    coloured: bool = True
    blur_pixels: float = 0.4
    motion: float = 0.0
    denoising_pixels: float = 1.0

    def take(
        self, light: Float32Array, face_pixels: float, chance: np.random.Generator
    ) -> UInt8Array:
        """Take one frame.

        Args:
            light: what arrives at the lens.
            face_pixels: the size of the face that ``motion`` is counted in.
            chance: of noise and movement.

        Returns:
            (height, width, 3) uint8, RGB.
        """
        if self.motion:
            length = self.motion * face_pixels * chance.uniform(0.6, 1.4)
            angle = chance.uniform(-0.5, 0.5)
            light = smeared(light, (length * np.cos(angle), length * np.sin(angle)))
        light = blurred(light, self.blur_pixels)
        develop = self._coloured if self.coloured else self._grey
        return to_pixels(develop(light, chance))

    def _signal(self, light: Float32Array, chance: np.random.Generator) -> Float32Array:
        """What is read of one value a pixel, (height, width): Poisson's and Gauss's noise."""
        full = 4.0  # from so many times white on a pixel is full
        caught = chance.poisson(np.clip(light, 0, full) * self.electrons).astype(np.float64)
        caught += chance.normal(0, self.read_noise, light.shape)
        return np.asarray(caught / self.electrons * self.gain, np.float32)

    def _grey(self, light: Float32Array, chance: np.random.Generator) -> Float32Array:
        signal = self._signal(np.asarray(light @ INFRARED, np.float32), chance)
        return np.repeat(signal[..., None], 3, axis=2)

    def _coloured(self, light: Float32Array, chance: np.random.Generator) -> Float32Array:
        """One colour a pixel, and the two others from its neighbours."""
        mosaic = light[..., 1].copy()
        mosaic[0::2, 0::2] = light[0::2, 0::2, 0]
        mosaic[1::2, 1::2] = light[1::2, 1::2, 2]
        signal = np.clip(self._signal(mosaic, chance) + PEDESTAL, 0, 1 + PEDESTAL)
        raw = np.round(signal / (1 + PEDESTAL) * 65535).astype(np.uint16)
        mixed = cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB).astype(np.float32) / 65535
        colours = mixed * (1 + PEDESTAL) - PEDESTAL
        grey = luminance(colours)[..., None]
        return grey + blurred(colours - grey, self.denoising_pixels)
