"""The embedded stand-in data set: 200 classes of drawn shapes, "striped star" among them, made by code from a seed.

A class is one of 20 outlines with one of 10 fillings. Position, size, rotation, colours, the background's gradient and
the noise vary from image to image and are drawn alike for every class, so that only outline and filling tell classes
apart. The signed distance to each outline is computed once on a fine grid and then looked up at the pixels' rotated
and scaled places, which makes drawing a handful of tensor operations (after C. Green, "Improved Alpha-Tested
Magnification for Vector Textures and Special Effects", SIGGRAPH 2007).
"""

import hashlib
import math
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers import storage
from helpers.data.structures import DataError

CHUNK_PIXELS = 1 << 18
"""Pixels drawn at once: small enough to stay in the processor's cache, which also bounds the memory."""

_GRID = 160
_EXTENT = 1.6
_RANDOM_COLUMNS = 27
_LUMA = torch.tensor([0.299, 0.587, 0.114])
# Background and the two inks take one of these brightnesses each, in random order: any two always stand out.
_BRIGHTNESS = torch.tensor([0.15, 0.5, 0.85])

Point = tuple[float, float]


def class_names(num_classes: int, *, first: int = 0) -> tuple[str, ...]:
    """Names of consecutive classes from number ``first`` on, such as "striped star"."""
    if not 0 <= first < first + num_classes <= MAX_CLASSES:
        raise DataError(
            f"the drawn shapes have {MAX_CLASSES} classes, of which {num_classes} from number {first} on can't be taken"
        )
    classes = range(first, first + num_classes)
    return tuple(f"{filling} {outline}" for outline, filling in map(_outline_and_filling, classes))


def draw(
    num_classes: int, per_class: int, size: int = 32, seed: int = 0, *, stream: str = "train", first: int = 0
) -> tuple[Tensor, Tensor]:
    """Draws images of consecutive classes: uint8 (num_classes * per_class, 3, size, size), and labels that start at 0.

    The same arguments give the same images bit for bit, and neither read nor move PyTorch's global random state. Image
    i of a class depends on (seed, stream, class, size, i) alone: asking for more classes or more images changes none.
    Every 20 consecutive classes from a multiple of 20 have all 20 outlines. ``size`` is height and width in pixels;
    outlines and fillings are easy to tell apart from about 28. ``stream``, "train" say, is the name of what is drawn.
    """
    class_names(num_classes, first=first)
    if per_class < 1 or size < 8:
        raise DataError(f"shapes need per_class >= 1 and size >= 8, not {per_class} and {size}")
    images = storage.empty((num_classes, per_class, 3, size, size), torch.uint8)
    chunk = max(1, CHUNK_PIXELS // size**2)
    for number, same_class in enumerate(images, start=first):
        variation = _generator(seed, stream, number, "variation")
        noise = _generator(seed, stream, number, "noise")
        for part in same_class.split(chunk):
            part.copy_(_draw_chunk(number, len(part), size, variation, noise))
    return images.flatten(0, 1), torch.arange(num_classes).repeat_interleave(per_class)


def _outline_and_filling(label: int) -> tuple[str, str]:
    """The outline changes from class to class and the filling too, so that any block of classes is a mixture of both.

    Blocks of 20 classes have all outlines and five fillings. Those of classes 80 to 99 are not those of the first 80:
    what is carried from the first 80 of 100 to the last 20 meets something new.
    """
    outlines = list(OUTLINES)
    place, outline = divmod(label, 20)
    half, block = divmod((0, 1, 2, 3, 5, 4, 6, 7, 8, 9)[place], 5)
    return outlines[outline], FILLINGS[5 * half + (block + outline) % 5]


def _generator(seed: int, *names: object) -> torch.Generator:
    text = "/".join(map(str, (seed, *names)))
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True))


def _draw_chunk(label: int, count: int, size: int, variation: torch.Generator, noise: torch.Generator) -> Tensor:
    outline, filling = _outline_and_filling(label)
    random = torch.rand((count, _RANDOM_COLUMNS), generator=variation)
    scale, shift_x, shift_y, turn, turn_filling, phase_x, phase_y, period, slope, strength = (
        random[:, :10].T[..., None, None].unbind()
    )
    scale = 0.6 + 0.32 * scale
    place = (torch.arange(size) + 0.5) * (2 / size) - 1
    # Outlines stay inside the image but for their tips: 1 - scale is the room that is left beside them.
    x = place[None, None, :] - (1.1 - scale) * (2 * shift_x - 1)
    y = place[None, :, None] - (1.1 - scale) * (2 * shift_y - 1)
    x, y = _rotate(x / scale, y / scale, 2 * math.pi * turn)
    distance = _look_up(outline, x, y)
    pixel = 2 / (size * scale)

    u, v = _rotate(x, y, 2 * math.pi * turn_filling)
    period = 0.42 + 0.16 * period
    places = u + period * phase_x, v + period * phase_y
    second_ink, coverage = _fill(filling, distance, pixel, *places, period, torch.atan2(v, u))
    coverage = coverage * _step(-distance / pixel)

    colours = _colours(random[:, 10:25])
    start, end, first, second = (colours[:, i, :, None, None] for i in range(4))
    direction = 2 * math.pi * slope
    gradient = 0.5 + 0.35 * (place[None, None, :] * direction.cos() + place[None, :, None] * direction.sin())
    background = torch.lerp(start, end, gradient[:, None])
    ink = torch.lerp(first, second, second_ink[:, None])
    image = torch.lerp(background, ink, coverage[:, None])
    grain = torch.rand((count, 3, size, size), generator=noise) - 0.5
    image = image + grain * (0.05 + 0.25 * strength[:, None])
    return (image * 255).round().clamp(0, 255).to(torch.uint8)


def _rotate(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = angle.cos(), angle.sin()
    return x * cos + y * sin, y * cos - x * sin


def _colours(random: Tensor) -> Tensor:
    """Colours (n, 4, 3) in 0 to 1: both ends of the background's gradient, the first ink, the second ink."""
    order = random[:, :3].argsort(dim=1)
    brightness = _BRIGHTNESS[order][:, [0, 0, 1, 2]]
    hue = random[:, 3:].reshape(-1, 4, 3) - 0.5
    hue = 0.7 * (hue - (hue * _LUMA).sum(dim=2, keepdim=True))
    return (brightness[..., None] + hue).clamp(0, 1)


def _step(pixels: Tensor) -> Tensor:
    """The share of a pixel, 0 to 1, on the positive side of an edge ``pixels`` away: this smooths the edges."""
    return (pixels + 0.5).clamp(0, 1)


FILLINGS = ("plain", "striped", "dotted", "hollow", "checked", "ringed", "rayed", "halved", "shaded", "bordered")


def _fill(
    filling: str, d: Tensor, pixel: Tensor, u: Tensor, v: Tensor, period: Tensor, angle: Tensor
) -> tuple[Tensor, Tensor]:
    """The share of the second ink, and the coverage by either ink, (n, size, size) or (n, 1, 1).

    From the signed distance to the outline, a pixel's width, two coordinates, the pattern's period and the angle about
    the centre, in units of the outline's radius.
    """

    def wave(height: Tensor, length: Tensor = period) -> Tensor:
        return _step(height * length / (2 * math.pi * pixel))

    def from_centre(way: Tensor) -> Tensor:
        return (way / period - (way / period).floor() - 0.5) * period

    long, short, inside = 1.5 * period, 0.75 * period, _step((d + 0.2) / pixel)
    second_ink = {
        "striped": lambda: wave((2 * math.pi * u / period).sin()),
        "dotted": lambda: _step((0.32 * period - torch.hypot(*map(from_centre, (u, v)))) / pixel),
        "checked": lambda: wave((2 * math.pi * u / long).sin() * (2 * math.pi * v / long).sin(), long),
        "ringed": lambda: wave((2 * math.pi * d / short).sin(), short),
        "rayed": lambda: wave((5 * angle).sin()),
        "halved": lambda: _step((u - period / 2) / pixel),
        "shaded": lambda: (0.5 + 0.7 * (u - period / 2)).clamp(0, 1),
        "bordered": lambda: inside,
    }.get(filling, lambda: torch.zeros_like(d))
    return second_ink(), inside if filling == "hollow" else torch.ones_like(d)


def _look_up(outline: str, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance at points (n, h, w), by bilinear interpolation; negative inside."""
    places = torch.stack([x, y], dim=-1) / _EXTENT
    table = _distances(outline).expand(len(x), 1, -1, -1)
    return F.grid_sample(table, places, padding_mode="border", align_corners=True)[:, 0]


@cache
def _distances(outline: str) -> Tensor:
    """Signed distance to an outline on the grid, (1, 1, _GRID, _GRID), from the distances to the polygon's edges."""
    corners = torch.tensor(OUTLINES[outline], dtype=torch.float64)
    corners = corners - (corners.amax(0) + corners.amin(0)) / 2
    corners = corners / corners.norm(dim=1).max()
    edge = corners.roll(-1, dims=0) - corners
    axis = torch.linspace(-_EXTENT, _EXTENT, _GRID, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 1, 2)
    towards = points - corners
    along = ((towards * edge).sum(-1) / edge.square().sum(-1)).clamp(0, 1)
    nearest = (towards - along[..., None] * edge).norm(dim=-1).amin(dim=1)
    # A point is inside if a ray from it crosses the polygon's edges an odd number of times.
    above = corners[:, 1] > points[..., 1]
    crosses = (above != above.roll(-1, dims=1)) & (towards[..., 0] < edge[:, 0] / edge[:, 1] * towards[..., 1])
    inside = crosses.sum(dim=1) % 2 == 1
    return torch.where(inside, -nearest, nearest).float().reshape(1, 1, _GRID, _GRID)


def _polar(count: int, radius: Callable[[float], float]) -> list[Point]:
    angles = [2 * math.pi * i / count for i in range(count)]
    return [(radius(angle) * math.sin(angle), radius(angle) * math.cos(angle)) for angle in angles]


def _spikes(points: int, inner: float) -> list[Point]:
    return _polar(2 * points, lambda angle: 1.0 if round(angle * points / math.pi) % 2 == 0 else inner)


def _arc(centre: Point, radius: float, start: float, stop: float, count: int = 32) -> list[Point]:
    """Points on a circle from angle ``start`` to ``stop``, in degrees."""
    angles = [math.radians(start + (stop - start) * i / (count - 1)) for i in range(count)]
    return [(centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)) for angle in angles]


def _heart() -> list[Point]:
    angles = [2 * math.pi * i / 48 for i in range(48)]
    return [
        (16 * math.sin(t) ** 3, 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
        for t in angles
    ]


OUTLINES: dict[str, list[Point]] = {
    "circle": _polar(64, lambda angle: 1.0),
    "square": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    "triangle": _polar(3, lambda angle: 1.0),
    "star": _spikes(5, 0.45),
    "cross": [(x * s, y * s) for x, y, s in [(-1, -3, 1), (1, -3, 1), (1, -1, 1), (3, -1, 1), (3, 1, 1), (1, 1, 1)]]
    + [(1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1)],
    "heart": _heart(),
    "crescent": _arc((0, 0), 1.0, 50, 310) + _arc((0.5, 0), 0.779, 259.4, 100.6),
    "arrow": [(-1, -0.3), (0.1, -0.3), (0.1, -0.8), (1, 0), (0.1, 0.8), (0.1, 0.3), (-1, 0.3)],
    "drop": [(0.0, 1.0), *_arc((0, -0.35), 0.65, 151.2, 388.8)],
    "bar": [(-1, -0.36), (1, -0.36), (1, 0.36), (-1, 0.36)],
    "oval": [(x, 0.58 * y) for x, y in _polar(64, lambda angle: 1.0)],
    "semicircle": _arc((0, 0), 1.0, 0, 180),
    "hourglass": [(-0.75, 1), (0.75, 1), (0.14, 0), (0.75, -1), (-0.75, -1), (-0.14, 0)],
    "chevron": [(0, 0.75), (1, -0.15), (1, -0.85), (0, 0.05), (-1, -0.85), (-1, -0.15)],
    "sparkle": _spikes(4, 0.38),
    "clover": _polar(60, lambda angle: 0.66 + 0.34 * math.cos(3 * angle)),
    "gear": _polar(32, lambda angle: 1.0 if round(angle * 16 / math.pi) % 4 < 2 else 0.7),
    "bolt": [(0.2, 1), (-0.7, -0.15), (-0.1, -0.15), (-0.25, -1), (0.7, 0.25), (0.1, 0.25), (0.6, 1)],
    "house": [(-0.7, -0.8), (0.7, -0.8), (0.7, 0.1), (0.95, 0.1), (0, 1), (-0.95, 0.1), (-0.7, 0.1)],
    "leaf": _arc((-0.75, 0), 1.25, -53.13, 53.13) + _arc((0.75, 0), 1.25, 126.87, 233.13),
}

MAX_CLASSES = len(OUTLINES) * len(FILLINGS)
"""How many classes can be drawn: 200."""
