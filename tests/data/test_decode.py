"""Decoding against pixels that the tests write themselves."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.data.decode import BadImageError, decode, image_suffixes
from helpers.data.structures import DataError


def rgb(path: Path) -> np.ndarray:
    return decode(path, image_size=None, channels=3)


def noise(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "A.PNG", "a.webp"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, name: str) -> None:
    pixels = noise(5, 7, 3)
    image = rgb(save(tmp_path / name, pixels, lossless=True))
    assert image.dtype == np.uint8 and image.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(image, pixels.transpose(2, 0, 1))


def test_grey_becomes_three_equal_channels_or_stays_one(tmp_path: Path) -> None:
    pixels = noise(4, 6)
    path = save(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(decode(path, image_size=None, channels=None), np.stack([pixels] * 3))
    np.testing.assert_array_equal(decode(path, image_size=None, channels=1), pixels[None])


def test_colour_becomes_luma(tmp_path: Path) -> None:
    pixels = noise(8, 8, 3)
    grey = decode(save(tmp_path / "a.png", pixels), image_size=None, channels=1)
    np.testing.assert_allclose(grey[0], pixels @ [0.299, 0.587, 0.114], atol=1)


def test_transparency_is_composited_over_white(tmp_path: Path) -> None:
    pixels = noise(6, 6, 4)
    expected = pixels[..., :3] * (pixels[..., 3:] / 255) + 255 * (1 - pixels[..., 3:] / 255)
    np.testing.assert_allclose(rgb(save(tmp_path / "a.png", pixels)), expected.transpose(2, 0, 1), atol=1)


def test_grey_with_alpha_over_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.merge("LA", [Image.new("L", (2, 2), 100), Image.new("L", (2, 2), 0)]).save(path)
    assert (decode(path, image_size=None, channels=1) == 255).all()


def test_animated_palette_gif_with_transparency_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = Image.new("P", (2, 1)), Image.new("P", (2, 1), 2)
    for frame in (first, second):
        frame.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    first.putpixel((1, 0), 1)
    path = tmp_path / "a.gif"
    first.save(path, save_all=True, append_images=[second], transparency=1)
    np.testing.assert_array_equal(rgb(path)[:, 0].T, [[255, 0, 0], [255, 255, 255]])


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[True, False]]))
    assert decode(path, image_size=None, channels=1).tolist() == [[[255, 0]]]


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 257, 300, 32768, 65535]], dtype=np.uint16)
    image = decode(save(tmp_path / name, values), image_size=None, channels=1)
    np.testing.assert_array_equal(image[0], np.round(values / 257))


def test_thirty_two_bit_grey_within_sixteen_is_scaled_and_beyond_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[0, 65535]], dtype=np.int32))
    assert decode(path, image_size=None, channels=1).tolist() == [[[0, 255]]]
    with pytest.raises(BadImageError, match=r"^b\.tif: .*16 bits"):
        rgb(save(tmp_path / "b.tif", np.array([[0, 65536]], dtype=np.int32)))


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match="floating point"):
        rgb(save(tmp_path / "a.tif", np.zeros((2, 2), np.float32)))


def test_cmyk_jpeg_shows_its_colour(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(path)
    np.testing.assert_allclose(rgb(path)[:, 4, 4], [255, 0, 0], atol=3)
    np.testing.assert_allclose(decode(path, image_size=None, channels=1)[0, 4, 4], 0.299 * 255, atol=3)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, 8:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter: what is right in the file is at the bottom
    image = decode(save(tmp_path / "a.jpg", pixels, exif=exif, quality=95), image_size=None, channels=1)[0]
    assert image.shape == (16, 8)
    assert image[:8].max() < 20 and image[8:].min() > 235


def test_image_of_the_wanted_size_keeps_every_bit(tmp_path: Path) -> None:
    pixels = noise(9, 9, 3)
    path = save(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(decode(path, image_size=9, channels=3), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("wide", [True, False])
def test_centre_square_is_cut_out(tmp_path: Path, wide: bool) -> None:
    pixels = noise(6, 10)
    path = save(tmp_path / "a.png", pixels if wide else np.ascontiguousarray(pixels.T))
    image = decode(path, image_size=6, channels=1)[0]
    np.testing.assert_array_equal(image if wide else image.T, pixels[:, 2:8])


def test_reduction_does_not_alias(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    image = decode(save(tmp_path / "a.png", stripes), image_size=8, channels=1)
    assert image.min() > 115 and image.max() < 140


def test_very_long_image_can_be_resized(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.full((1, 60_000), 7, np.uint8))
    assert (decode(path, image_size=224, channels=1) == 7).all()


def truncated(path: Path) -> Path:
    save(path.with_suffix(".jpg"), noise(64, 64, 3))
    path.write_bytes(path.with_suffix(".jpg").read_bytes()[:1500])
    return path


def text(path: Path) -> Path:
    path.write_text("not an image")
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def bomb(path: Path) -> Path:
    Image.new("1", (14_000, 14_000)).save(path)
    return path


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [truncated, text, empty, bomb])
def test_unusable_file_is_named_without_its_folder(tmp_path: Path, make) -> None:
    with pytest.raises(BadImageError, match=r"^bad file\.png: ") as error:
        rgb(make(tmp_path / "bad file.png"))
    assert str(tmp_path) not in str(error.value)


def test_eps_never_reaches_its_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path, format="EPS")
    with pytest.raises(BadImageError, match="not an image that Pillow can read"):
        rgb(path)
    assert ".eps" not in image_suffixes()


def test_missing_file_is_no_bad_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png can't be read") as error:
        rgb(tmp_path / "a.png")
    assert not isinstance(error.value, BadImageError)
