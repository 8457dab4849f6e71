"""Decoding against pixels that the tests write themselves."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.data.decode import BadImageError, decode, image_suffixes


def rgb(path: Path) -> np.ndarray:
    return decode(path, image_size=8, channels=3)


def grey(path: Path, size: int = 8) -> np.ndarray:
    return decode(path, image_size=size, channels=1)[0]


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_lossless_formats_keep_every_pixel_and_grey_becomes_three_equal_channels(tmp_path: Path, name: str) -> None:
    pixels = noise(8, 8, 3)
    image = rgb(save(tmp_path / name, pixels, lossless=True))
    assert image.dtype == np.uint8 and image.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(image, pixels.transpose(2, 0, 1))
    path = save(tmp_path / f"grey {name}", pixels[..., 0], lossless=True)
    np.testing.assert_array_equal(rgb(path), np.stack([pixels[..., 0]] * 3))
    np.testing.assert_array_equal(grey(path), pixels[..., 0])


def test_colour_becomes_luma_and_transparency_is_composited_over_white(tmp_path: Path) -> None:
    pixels = noise(8, 8, 4)
    luma = grey(save(tmp_path / "a.png", pixels[..., :3]))
    np.testing.assert_allclose(luma, pixels[..., :3] @ [0.299, 0.587, 0.114], atol=1)
    expected = pixels[..., :3] * (pixels[..., 3:] / 255) + 255 * (1 - pixels[..., 3:] / 255)
    np.testing.assert_allclose(rgb(save(tmp_path / "b.png", pixels)), expected.transpose(2, 0, 1), atol=1)
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "c.jpg")
    np.testing.assert_allclose(rgb(tmp_path / "c.jpg")[:, 4, 4], [255, 0, 0], atol=3)
    np.testing.assert_allclose(grey(tmp_path / "c.jpg")[4, 4], 0.299 * 255, atol=3)


def test_of_an_animation_with_a_transparent_colour_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.array([colours] * 8, np.uint8), "P") for colours in ([0, 1] * 4, [2] * 8)]
    for frame in frames:
        frame.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], transparency=1)
    np.testing.assert_array_equal(rgb(tmp_path / "a.gif")[:, 0].T, [[255, 0, 0], [255, 255, 255]] * 4)


def test_exif_orientation_is_applied_unless_it_is_broken(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:, 8:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter: what is right in the file is at the bottom
    image = grey(save(tmp_path / "a.jpg", pixels, exif=exif, quality=95), 16)
    assert image[:8].max() < 20 and image[8:].min() > 235
    content = save(tmp_path / "a.png", pixels).read_bytes()
    chunk = b"eXIf" + b"garbage!"
    chunk = struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(content[:33] + chunk + content[33:])  # behind the header
    np.testing.assert_array_equal(grey(tmp_path / "a.png", 16), pixels)


@pytest.mark.parametrize("wide", [True, False])
def test_centre_square_is_cut_out_and_reduced_without_aliasing(tmp_path: Path, wide: bool) -> None:
    pixels = noise(6, 10)
    path = save(tmp_path / "a.png", pixels if wide else np.ascontiguousarray(pixels.T))
    image = grey(path, 6)
    np.testing.assert_array_equal(image if wide else image.T, pixels[:, 2:8])
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    image = grey(save(tmp_path / "b.png", stripes if wide else stripes.T))
    assert image.min() > 115 and image.max() < 140


def truncated(path: Path) -> None:
    save(path.with_suffix(".jpg"), noise(64, 64, 3))
    path.write_bytes(path.with_suffix(".jpg").read_bytes()[:1500])


def postscript(path: Path) -> None:
    """Pillow would give it to an interpreter of programs."""
    assert ".eps" not in image_suffixes()
    Image.new("RGB", (4, 4)).save(path, format="EPS")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "make",
    [
        truncated,
        postscript,
        lambda path: path.write_text("text"),
        lambda path: Image.new("1", (14_000, 14_000)).save(path),  # 196 megapixels
        lambda path: save(path, np.full((2, 2), 300, np.uint16)),
    ],
)
def test_unusable_file_is_named_without_its_folder(tmp_path: Path, make) -> None:
    make(tmp_path / "bad file.png")
    with pytest.raises(BadImageError, match=r"^bad file\.png: ") as error:
        rgb(tmp_path / "bad file.png")
    assert str(tmp_path) not in str(error.value)
