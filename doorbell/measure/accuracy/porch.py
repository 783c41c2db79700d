"""A visitor before the door: a photograph as light, and what light, lens and angle make of it.

Everything is placed by the face's keypoints, in a frame of its own: the origin between the eyes,
x to the right along them, y down to the mouth, in distances of the eyes. There the tip of the nose
is at about (0, 0.6), the mouth at (0, 1.1), the chin at (0, 1.9) and the brow at (0, -0.35).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from doorbell.domain import Face, Float32Array, UInt8Array
from doorbell.imaging.shapes import ellipse, soft
from doorbell.measure.accuracy.image_formation import (
    INFRARED,
    blurred,
    luminance,
    scattered,
    to_light,
)

# How much of a photograph is looked at, in sizes of the face.
PART_WIDTHS = 2.6

# From the eyes down to the mouth, in distances of the eyes, of a face seen from the front; in
# profile the eyes are nearer to each other and this is what tells the size.
EYES_TO_MOUTH = 1.1

# How far the ears stand out in ``_depth``.
EAR_DEPTH = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """What is before the camera.

    Attributes:
        light: (height, width, 3) float32, as in ``image_formation``.
        keypoints_xy: (6, 2) float32, of the face, in BlazeFace's order.
        face_pixels: the size of the face.
    """

    light: Float32Array
    keypoints_xy: Float32Array
    face_pixels: float

    @property
    def eyes_pixels(self) -> float:
        """The unit of the face's own frame: the distance of the eyes, in pixels."""
        eyes, mouth = self.keypoints_xy[:2], self.keypoints_xy[3]
        apart = float(np.linalg.norm(eyes[1] - eyes[0]))
        down = float(np.linalg.norm(mouth - eyes.mean(axis=0)))
        return max(apart, down / EYES_TO_MOUTH, 1.0)

    def coordinates(self) -> tuple[Float32Array, Float32Array]:
        """Of every pixel in the face's own frame: x and y, each (height, width)."""
        origin, across, down = self.axes()
        height, width = self.light.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32) - origin[::-1, None, None]
        unit = self.eyes_pixels
        return (x * across[0] + y * across[1]) / unit, (x * down[0] + y * down[1]) / unit

    def axes(self) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Of the face's own frame in the picture: origin, and the directions of x and y, (2,)."""
        eyes = self.keypoints_xy[:2]
        origin = eyes.mean(axis=0)
        across = eyes[1] - eyes[0]
        across = across / max(float(np.linalg.norm(across)), 1e-6)
        if across[0] < 0:
            across = -across
        down = np.array([-across[1], across[0]], np.float32)
        return origin, across, down


def before_the_door(pixels: UInt8Array, face: Face, face_pixels: float) -> Scene:
    """Cut a photograph around a face and bring it to the size that it has at the door.

    Args:
        pixels: (height, width, 3) uint8, RGB.
        face: in it.
        face_pixels: of the square that is as large as the face's box.
    """
    size = float(np.sqrt(face.width_pixels * face.height_pixels))
    centre = (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2
    height, width = pixels.shape[:2]
    reach = PART_WIDTHS / 2 * size
    left, top = (int(max(at - reach, 0)) for at in centre)
    right = int(min(centre[0] + reach, width))
    bottom = int(min(centre[1] + reach, height))
    part = to_light(pixels[top:bottom, left:right])
    scale = face_pixels / size
    across, down = (max(round(side * scale / 2) * 2, 16) for side in part.shape[1::-1])  # even
    shrinks = scale < 1
    light = cv2.resize(
        part, (across, down), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    scales = np.array([across / part.shape[1], down / part.shape[0]], np.float32)
    keypoints = (face.keypoints_xy - np.array([left, top], np.float32)) * scales
    return Scene(np.clip(light, 0, None).astype(np.float32), keypoints, face_pixels)


def person(scene: Scene) -> Float32Array:
    """Where head and shoulders are, (height, width) float32, 0 to 1."""
    x, y = scene.coordinates()
    head = ellipse(x, y, (0, 0.3), (1.5, 2.2))
    body = ellipse(x, y, (0, 4.6), (3.8, 2.6), power=2.5)
    return soft(np.maximum(head, body), 0.2)


def exposed(scene: Scene, level: float) -> Scene:
    """So lit that the face has this mean luminance, 0 to 1."""
    x, y = scene.coordinates()
    face = soft(ellipse(x, y, (0, 0.7), (0.9, 1.1)), 0.2)
    mean = float((luminance(scene.light) * face).sum() / max(float(face.sum()), 1e-6))
    return replace(scene, light=scene.light * np.float32(level / max(mean, 1e-4)))


def by_lamp_light(scene: Scene, level: float) -> Scene:
    """By the warm light of a porch lamp (some 3000 K)."""
    warm = np.array([1.2, 1.0, 0.65], np.float32)
    return exposed(replace(scene, light=scene.light * warm), level)


def by_infrared(scene: Scene, level: float) -> Scene:
    """By a lamp beside the lens: skins are alike and bright, pupils shine, the rest is dark."""
    x, y = scene.coordinates()
    seen = (scene.light @ INFRARED) ** 0.8
    seen = seen / (1 + (x**2 + (y - 0.5) ** 2) / 12)  # the lamp's cone
    seen *= 0.2 + 0.8 * person(scene)  # what is behind is farther from the lamp
    lit = exposed(replace(scene, light=np.repeat(seen[..., None], 3, 2).astype(np.float32)), level)
    light = lit.light
    for eye in (-0.5, 0.5):
        pupil = np.exp(-((x - eye) ** 2 + y**2) / (2 * 0.07**2))
        light = light + np.float32(0.5) * pupil[..., None].astype(np.float32)
    return replace(lit, light=np.asarray(light, np.float32))


def against_the_light(scene: Scene, level: float, part: float) -> Scene:
    """Before a bright sky: the face in shade, and a part of the sky's light over all of it."""
    shade = exposed(scene, level).light
    sky = 0.8 + 3 * blurred(exposed(scene, 0.2).light, 2.0)
    here = person(scene)[..., None]
    return replace(scene, light=scattered(shade * here + np.minimum(sky, 2) * (1 - here), part))


def lit_from_a_side(scene: Scene, chance: np.random.Generator) -> Scene:
    """One half of the face in the sun, the other in shade."""
    x, _ = scene.coordinates()
    side = chance.choice([-1.0, 1.0])
    lit = 1 / (1 + np.exp(-side * (x - chance.uniform(-0.2, 0.2)) / 0.2))
    return replace(scene, light=scene.light * (0.06 + lit[..., None]).astype(np.float32))


def through_rain(scene: Scene, chance: np.random.Generator, drops: int = 12) -> Scene:
    """Drops on the lens, each a small lens that shows the scene upside down, and a wet film."""
    height, width = scene.light.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    from_x, from_y = x.copy(), y.copy()
    cover = np.zeros((height, width), np.float32)
    for _ in range(drops):
        centre_x, centre_y = chance.uniform(0, width), chance.uniform(0, height)
        radius = chance.uniform(0.1, 0.3) * scene.face_pixels
        inside = ellipse(x, y, (centre_x, centre_y), (radius, radius * chance.uniform(1, 1.3)))
        drop = soft(inside, 0.15)
        bent = drop > 0
        from_x[bent] = (centre_x - 0.9 * (x - centre_x))[bent]
        from_y[bent] = (centre_y - 0.9 * (y - centre_y))[bent]
        cover = np.maximum(cover, drop)
    near = blurred(scene.light, 0.05 * scene.face_pixels)  # a drop is out of focus
    drawn = cv2.remap(near, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    light = scene.light * (1 - cover[..., None]) + drawn * cover[..., None]
    film = blurred(chance.random((height, width)).astype(np.float32), 0.15 * scene.face_pixels)
    film = (film - film.min()) / max(float(np.ptp(film)), 1e-6)
    wet = np.float32(0.5) * np.clip(1.5 * film - 0.5, 0, 1)[..., None]
    haze = 0.8 * blurred(light, 0.08 * scene.face_pixels) + 0.05
    return replace(scene, light=np.asarray(light * (1 - wet) + haze * wet, np.float32))


def at_the_edge(scene: Scene, chance: np.random.Generator, degrees: float = 50.0) -> Scene:
    """So far off the axis of a wide lens: stretched outwards, darker, with fringes of colour."""
    height, width = scene.light.shape[:2]
    angle = np.radians(chance.uniform(-20, 20))
    outwards = np.array([np.cos(angle), np.sin(angle)])
    off_axis = float(np.cos(np.radians(degrees)))
    middle = np.array([width, height]) / 2
    channels = []
    keypoints = scene.keypoints_xy
    for channel, fringe in enumerate((1.008, 1.0, 0.992)):
        stretch = fringe / np.sqrt(off_axis), np.sqrt(off_axis)  # the area stays
        along, beside = np.outer(outwards, outwards), np.eye(2) - np.outer(outwards, outwards)
        linear = stretch[0] * along + stretch[1] * beside
        transform = np.column_stack([linear, middle - linear @ middle])
        channels.append(
            cv2.warpAffine(
                np.ascontiguousarray(scene.light[..., channel]),
                transform,
                (width, height),
                borderMode=cv2.BORDER_REFLECT,
            )
        )
        if fringe == 1.0:
            keypoints = scene.keypoints_xy @ linear.T + transform[:, 2]
    darker = off_axis**2  # lenses are made so that less than the fourth power is lost
    light = np.stack(channels, axis=2) * np.float32(darker)
    return replace(scene, light=light, keypoints_xy=keypoints.astype(np.float32))


def pitched(scene: Scene, degrees: float) -> Scene:
    """From a camera above the face, or below it (negative): a head of the usual depth, turned.

    A point that stands out towards the camera goes down in the picture of a camera above.
    """
    x, y = scene.coordinates()
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    middle = 0.6  # the axis goes through the ears, at the height of the nose
    from_y = y.copy()
    for _ in range(12):  # a fixed point: depth changes less than the place does
        lifted = _depth(x, from_y) - EAR_DEPTH
        from_y = middle + (y - middle - lifted * sine) / cosine
    origin, across, down = scene.axes()
    unit = scene.eyes_pixels
    places = origin + unit * (x[..., None] * across + from_y[..., None] * down)  # (h, w, 2)
    light = cv2.remap(
        scene.light,
        places[..., 0].astype(np.float32),
        places[..., 1].astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return replace(scene, light=np.asarray(light, np.float32))


def _depth(x: Float32Array, y: Float32Array) -> Float32Array:
    """How far a head stands out from the plane of the ears, in distances of the eyes."""
    head = 1.2 * np.exp(-(x**2) / (2 * 0.9**2) - (y - 0.5) ** 2 / (2 * 1.3**2))
    nose = 0.35 * np.exp(-(x**2) / (2 * 0.2**2) - (y - 0.5) ** 2 / (2 * 0.25**2))
    return np.asarray(head + nose, np.float32)


def cut_off(scene: Scene, chance: np.random.Generator) -> Scene:
    """The border of the frame runs through the face, a little beyond the nose."""
    width = scene.light.shape[1]
    nose = float(scene.keypoints_xy[2, 0])
    beyond = 0.15 * scene.eyes_pixels
    if chance.random() < 0.5:
        edge = int(np.clip(nose + beyond, 16, width))
        return replace(scene, light=np.ascontiguousarray(scene.light[:, :edge]))
    edge = int(np.clip(nose - beyond, 0, width - 16))
    shift = np.array([edge, 0], np.float32)
    return replace(
        scene,
        light=np.ascontiguousarray(scene.light[:, edge:]),
        keypoints_xy=scene.keypoints_xy - shift,
    )
