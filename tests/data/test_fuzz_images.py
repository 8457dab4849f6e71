"""Damaged image files: whatever bytes are changed, a reader gives pixels or the named error, and soon."""

import contextlib
import io
import random
import time
import zlib
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from helpers.data import folder
from helpers.data.decode import decode
from helpers.data.structures import DataError

MUTANTS = 150  # of each kind of file
MOST_PIXELS = 10_000
SLOWEST = 5.0  # seconds for a file of a few hundred bytes, on a busy machine
TELLING = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\1",
    b"\xff\xd8\xff",
    b"IDAT",
    b"\x89PNG\r\n",
    b"GIF89a",
]


def saved(mode="RGB", size=(23, 17), **options):
    """The bytes of a noisy image."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint16 if mode == "I;16" else np.uint8)
    image = (
        Image.fromarray(pixels, None if mode == "I;16" else mode)
        if mode != "P"
        else Image.fromarray(pixels).convert("P")
    )
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def exif():
    tags = Image.Exif()
    tags[0x0112] = 6  # to be turned by a quarter
    tags[0x010E] = "a description"
    return tags


FILES = {
    "rgb.png": saved(format="PNG", dpi=(72, 72), exif=exif()),
    "alpha.png": saved("RGBA", format="PNG"),
    "palette.png": saved("P", format="PNG", transparency=3),
    "grey16.png": saved("I;16", format="PNG"),
    "baseline.jpg": saved(format="JPEG", exif=exif()),
    "progressive.jpg": saved(format="JPEG", progressive=True),
    "cmyk.jpg": saved("CMYK", format="JPEG"),
    "animated.gif": saved(
        "P", format="GIF", save_all=True, append_images=[Image.new("P", (23, 17), 2)], transparency=1
    ),
    "rgb.bmp": saved(format="BMP"),
    "palette.bmp": saved("P", format="BMP"),
    "plain.tif": saved(format="TIFF", exif=exif()),
    "lzw.tif": saved(format="TIFF", compression="tiff_lzw"),
    "grey16.tif": saved("I;16", format="TIFF", compression="tiff_adobe_deflate"),
    "lossy.webp": saved(format="WEBP", exif=exif()),
}


def mutants(content, seed):
    """Without end: the bytes with one to four changes of the kinds that find what a reader takes for granted."""
    rng = random.Random(seed)
    while True:
        changed = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            # The beginning holds sizes, types and offsets.
            place = rng.randrange(min(len(changed), rng.choice([64, len(content)])) or 1)
            length = rng.choice([1, 2, 4, 30])
            kind = rng.randrange(6)
            if kind == 0:
                changed[place : place + 1] = bytes([rng.randrange(256)])
            elif kind == 1 and changed:
                changed[place % len(changed)] ^= 1 << rng.randrange(8)
            elif kind == 2:
                telling = rng.choice(TELLING)
                changed[place : place + len(telling)] = telling
            elif kind == 3:
                del changed[place : place + length]
            elif kind == 4:
                changed[place:place] = changed[place : place + length]
            else:
                del changed[rng.randrange(len(changed) + 1) :]
        yield with_checksums(bytes(changed)) if rng.random() < 0.7 else bytes(changed)


def with_checksums(content):
    """A PNG file's checksums made good, without which its reader looks at nothing else; other files as they are."""
    place = 8
    while content.startswith(b"\x89PNG") and place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        content = content[:end] + zlib.crc32(content[place + 4 : end]).to_bytes(4, "big") + content[end + 4 :]
        place = end + 4
    return content


@pytest.fixture(autouse=True)
def small_bombs(monkeypatch):
    """A header may promise any size: below the limit it is believed, and 89 million pixels take their second."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", MOST_PIXELS // 2)  # Pillow refuses more than twice as many


@pytest.mark.filterwarnings("ignore")  # Pillow's, about what it can still read
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_gives_pixels_or_the_named_error_and_soon(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    assert decode(path, image_size=16, channels=3).shape == (3, 16, 16)
    outcomes = {"read": 0, "refused": 0}
    for number, content in enumerate(islice(mutants(FILES[name], name), MUTANTS)):
        path.write_bytes(content)
        channels, size = [(3, 16), (1, 16), (None, None)][number % 3]
        started = time.monotonic()
        try:
            image = decode(path, image_size=size, channels=channels)
        except DataError as error:
            outcomes["refused"] += 1
            assert str(error).startswith(name) and str(tmp_path) not in str(error)
        else:
            outcomes["read"] += 1
            assert image.dtype == np.uint8 and len(image) == (channels or 3)
            assert image.shape[1:] == (16, 16) if size else image[0].size <= MOST_PIXELS
        assert time.monotonic() - started < SLOWEST
    # Both happen, or the changes were too tame, or too wild to reach the decoder.
    assert min(outcomes.values()) > 0


@pytest.mark.filterwarnings("ignore")
def test_a_folder_with_damaged_files_is_read_without_them(tmp_path):
    (tmp_path / "a").mkdir()
    names = list(FILES) * 12
    paths = [tmp_path / "a" / f"{number:03}-{name}" for number, name in enumerate(names)]
    streams = {name: mutants(content, f"folder of {name}") for name, content in FILES.items()}
    for number, (path, name) in enumerate(zip(paths, names, strict=True)):
        path.write_bytes(FILES[name] if number % 10 == 0 else next(streams[name]))
    good = []
    for path in paths:
        with contextlib.suppress(DataError):
            good.append(decode(path, image_size=8, channels=3))
    with pytest.raises(DataError, match=f"^{len(paths) - len(good)} of {len(paths)} files"):
        folder.read(tmp_path, image_size=8, channels=3, cache=None)
    images = folder.read(tmp_path, image_size=8, channels=3, skip_bad=True, cache=None)["all"].images
    np.testing.assert_array_equal(images, np.stack(good))
    assert len(paths) - len(good) > 9
