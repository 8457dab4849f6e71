"""What comes from elsewhere does no harm: code in files, names of files and classes, images that are too large."""

import errno
import io
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import html5lib
import matplotlib
import nbformat
import numpy as np
import pypdf
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from helpers import data, evaluate, models, plots, record, train
from helpers.report import document, render

# Code in files


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """The file that malicious pickles of a test would make: made where nobody stops them, and gone again."""
    mark = tmp_path / "was here"
    pickle.loads(pickle.dumps(Malicious(mark)))
    mark.unlink()
    yield mark
    assert not mark.exists()


def network(num_classes: int) -> torch.nn.Module:
    """For images of 8 x 8 pixels, the same each time."""
    torch.manual_seed(0)
    normalize = models.Normalize((0.5,) * 3, (0.25,) * 3)
    return torch.nn.Sequential(normalize, torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, num_classes))


def saved_with(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("bare", [True, False])
def test_code_in_a_checkpoint_is_not_run(bare, mark, make_images, cpu, tmp_path):
    def trained() -> train.Result:
        images = make_images()
        return train.fit(network(4), images, images, epochs=1, compute=cpu, checkpoint=tmp_path / "checkpoints")

    first = trained()
    (file,) = (tmp_path / "checkpoints").glob("*.pt")
    content = {**torch.load(file, weights_only=True), "state": Malicious(mark)}
    file.write_bytes(pickle.dumps(Malicious(mark)) if bare else saved_with(content))
    with pytest.warns(train.CheckpointWarning, match=rf"{file.name} can't be used: .*Kept as .*; training anew"):
        second = trained()
    assert second.resumed_from == 0
    assert second.last["train_loss"] == first.last["train_loss"]


def test_code_in_a_cache_of_images_is_not_run(mark, tmp_path):
    folder = write_images(tmp_path / "set", ["a", "b"])
    splits = load(folder, tmp_path)
    (cache,) = (tmp_path / "data/cache").glob("*.npy")
    np.save(cache, np.array([Malicious(mark)] * 10, dtype=object))
    assert torch.equal(load(folder, tmp_path).train.images, splits.train.images)


# Names of files and classes

NAMES = {
    # a folder's name: how it is shown, if not as it is
    "a..%2F..%2Fetc": None,
    "$(touch pwned); `touch pwned` | cat > pwned": None,
    "<img src=x onerror=alert(1)>": None,
    "]]><!--": None,
    '#panic("typst") *bold* @ref <label> [#': None,
    r"$\frac{1}{$ \begin{align} $x_$": None,
    "[link](javascript:alert) ![p](x)": None,
    "{{ 7 * 7 }} {% x %} ${HOME} %s {x}": None,
    "گربهٔ ایرانی": None,
    "🐈\u200d⬛ cat": None,
    "line\nbreak\r\ttab": r"line\nbreak\r\ttab",
    "\x1b[31mred\x07": r"\x1b[31mred\x07",
    "\u202egnp.exe": r"\u202egnp.exe",
    os.fsdecode(b"\xff no utf-8"): r"\udcff no utf-8",
    "x" * 255: None,
}


def write_images(root: Path, classes: list[str], per_class: int = 5) -> Path:
    """Images of one colour a class, in folders, under names of files that are as odd as the classes'."""
    for number, name in enumerate(classes):
        folder = root / name
        folder.mkdir(parents=True)
        for index in range(per_class):
            file = os.fsdecode(os.fsencode(classes[(number + index) % len(classes)])[:240]).rstrip("\udcdb")
            Image.new("RGB", (8, 8), (10 * number, 50 * index, 0)).save(folder / f"{file}{index}.png", format="PNG")
    return root


def load(folder: Path, root: Path) -> data.Splits:
    return data.load(f"folder:{folder}", own="cifar100", root=root / "data")


@pytest.fixture
def odd(tmp_path: Path) -> data.Splits:
    """Images whose classes and files have odd names."""
    try:
        return load(write_images(tmp_path / 'a "set" of <b>', list(NAMES)), tmp_path)
    except OSError as error:
        if error.errno != errno.EILSEQ:
            raise
        pytest.skip("this file system takes UTF-8 only")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What is displayed in a notebook."""
    bundles: list[dict] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def show_results(splits: data.Splits, class_names: tuple[str, ...]) -> None:
    """What the notebooks show of a set, most of them."""
    test, generator = splits.test, torch.Generator().manual_seed(0)
    logits = torch.randn(len(test), len(class_names), generator=generator)
    compute = SimpleNamespace(description="a processor", precision_description="float32")
    record.provenance({"DATASET": splits.source.name}, data=splits, compute=compute, weights="random")
    matrix = evaluate.confusion(logits, test.labels)
    record.figure(plots.confusion(matrix, class_names), "confusion", f"Of {class_names[0]}, and {class_names[1]}.")
    grid = plots.sample_grid(test.images[:10], test.labels[:10], class_names, predictions=logits[:10].argmax(1))
    record.figure(grid, "samples", class_names[2])
    per_class = evaluate.per_class(logits, test.labels, class_names)
    record.figure(plots.per_class_bars(per_class[["accuracy", "precision", "f1"]]), "bars", class_names[3])
    record.table(per_class, "per_class", class_names[4])
    for name in class_names:
        record.reading(f"The class “{record.literal(name)}” is one of {len(class_names)}.")


def executed(bundles: list[dict]) -> nbformat.NotebookNode:
    """The notebook that showed these, as it is read from a file."""
    outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in bundles]
    cells = [nbformat.v4.new_markdown_cell("# Odd names"), nbformat.v4.new_code_cell("show()", outputs=outputs)]
    return nbformat.reads(nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode().decode(), as_version=4)


# Matplotlib 3.11 brings a last resort for them, which 3.10 lacks.
SIGNS_WITHOUT_FONT = {ord("🐈"): None} if matplotlib.__version_info__ < (3, 11) else {}


def without_spaces(text: str) -> str:
    """Text as different ways of breaking lines have it."""
    return re.sub(r"[\s\u200b\x02]", "", text)


def assert_unharmed_page(page: str, class_names: tuple[str, ...]) -> None:
    parser = html5lib.HTMLParser()
    parser.parse(page)
    assert parser.errors == []
    soup = BeautifulSoup(page, "html.parser")
    assert soup.find_all(["script", "iframe", "object", "embed", "form"]) == []
    assert all(picture["src"].startswith("data:image/") for picture in soup.find_all("img"))
    assert [name for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on")] == []
    assert all(re.match(r"#|https?:|index\.html", link["href"]) for link in soup.find_all("a", href=True))
    cells = {cell.get_text().strip() for cell in soup.find_all(["th", "td"])}
    assert {name.strip() for name in class_names} <= cells
    readings = without_spaces(soup.get_text())
    for name in class_names:
        assert without_spaces(f"The class “{name}” is one of {len(class_names)}.") in readings


def assert_unharmed_pdf(content: bytes, class_names: tuple[str, ...]) -> None:
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    text = without_spaces("".join(page.extract_text() for page in pages))
    for name in class_names:
        for word in name.translate(SIGNS_WITHOUT_FONT).split():  # those of Persian and emoji come back in another order
            assert text.count(without_spaces(word)) >= 2
    assert "couldnotbeset" not in text


@pytest.mark.filterwarnings("ignore:Glyph")
def test_odd_names_neither_break_nor_inject(odd, shown, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = {path.name for path in tmp_path.iterdir()}
    expected = sorted(shown_as or name for name, shown_as in NAMES.items())
    assert sorted(odd.class_names) == expected
    show_results(odd, odd.class_names)
    done = document.read(executed(shown))
    assert not done.failed
    assert_unharmed_page(render.html(done, name="odd", profile="quick"), odd.class_names)
    assert_unharmed_pdf(render.pdf(done), odd.class_names)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert list((tmp_path / "here").iterdir()) == []


def test_messages_about_odd_files_are_safe_in_a_terminal(tmp_path):
    folder = write_images(tmp_path / "set", ["a", "b\x1b[2J\n"])
    (folder / "b\x1b[2J\n/bad\u202e\x1b]0;title\x07.png").write_text("no image")
    with pytest.raises(data.DataError, match="not an image") as caught:
        load(folder, tmp_path)
    assert str(caught.value).isprintable()
    assert r"b\x1b[2J\n/bad\u202e\x1b]0;title\x07.png" in str(caught.value)
