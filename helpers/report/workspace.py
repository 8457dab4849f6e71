"""Where notebooks, profiles, reports and drawings lie, which notebooks a command means, and one run of a notebook."""

import difflib
import json
import re
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import NOTEBOOKS, ROOT, WorkbookError, files

if TYPE_CHECKING:
    from helpers.report.cover import Cover

BOOK = "workbook.pdf"
"""All reports of a profile as one book."""
QUICK = "quick"
"""The profile of the notebooks' own defaults: it needs no file."""
FORMATS = ("html", "pdf")
CODE = ("none", "key", "all")
EDITIONS = ("hand-in", "full")
TAKEN = ("index", "workbook")
"""What stands over the reports is called so."""
ENGLISH = "en"
LANGUAGES = NOTEBOOKS / "languages"
"""A folder of catalogues for each other language."""
FORCED = "--force"
"""A reason to run where nothing has changed."""


class Refused(WorkbookError):
    """A command line that cannot be carried out: raised before anything runs."""


class UnreadableNotebook(Refused):
    """A file that is not a Jupyter notebook, or one whose parameters cell breaks the rules."""


@dataclass(frozen=True)
class Settings:
    """How the reports are made."""

    profile: str  # whose parameters they are; reports name it
    formats: Sequence[str] = FORMATS
    time_limit: float | None = None  # seconds for all cells of one notebook together
    show_code: str = "key"  # from `CODE`
    edition: str = "hand-in"  # of the PDFs, from `EDITIONS`
    language: str = ENGLISH
    cover: "Cover | None" = None  # of the PDFs
    jobs: int = 1  # notebooks that run at a time on this machine
    scheduler: str = ""  # address of a Dask scheduler whose workers run them instead
    threads: int = 1  # that each kernel computes with
    anew: float = 0.0  # if all runs: when the command began, in seconds since 1970. Older checkpoints are left aside


@dataclass
class Run:
    """One run of a notebook: what runs, where its report goes; then what has to be done, and what became of it."""

    notebook: Path
    parameters: dict[str, Any]  # that override those of its parameters cell
    name: str  # its reports' file names, without suffix
    reports: Path
    figures: Path
    root: Path  # that its kernel works in
    overview: str = "index.html"  # the page over all its neighbours, relative to its own
    varied: dict[str, Any] = field(default_factory=dict)  # of the parameters, those of a sweep's point

    reasons: list[str] = field(default_factory=list)  # why it has to run, in words, `FORCED` first
    redraw: list[str] = field(default_factory=list)  # why its pages have to be drawn anew, if it doesn't run

    error: str = ""  # why it failed, or was not run
    execute_seconds: float | None = None  # if it was executed, and not only drawn anew
    is_written: bool = False  # its report is; if not, that is still the one of an earlier run

    @property
    def is_due(self) -> bool:
        return bool(self.reasons or self.redraw)

    @property
    def was_stopped(self) -> bool:
        return self.is_due and not self.is_written and not self.error

    def file(self, suffix: str) -> Path:
        return self.reports / f"{self.name}.{suffix}"

    def numbers(self) -> dict[str, Any]:
        return left(self.file("json"))


@dataclass(frozen=True)
class Workspace:
    """The folders of a workbook below ``root``."""

    root: Path

    @property
    def notebooks(self) -> Path:
        own = self.root / "notebooks"
        return own if own.is_dir() or self.root != ROOT else NOTEBOOKS

    def profiles(self) -> list[str]:
        """Names of the profiles: quick, and each folder of ``notebooks/profiles``."""
        return [QUICK, *sorted(path.name for path in (self.notebooks / "profiles").glob("*") if path.is_dir())]

    def profile_file(self, profile: str, notebook: Path) -> Path:
        return self.notebooks / "profiles" / profile / f"{notebook.stem}.yaml"

    def reports(self, profile: str) -> Path:
        return self.root / "reports" / profile

    def figures(self, profile: str) -> Path:
        return self.root / "figures" / profile

    def run(self, profile: str, notebook: Path, parameters: dict[str, Any]) -> Run:
        """A notebook's run at a profile."""
        figures = self.figures(profile) / notebook.stem
        return Run(notebook, parameters, notebook.stem, self.reports(profile), figures, self.root)

    def choose(self, names: Sequence[str]) -> list[Path]:
        """The notebooks that numbers, names or paths mean, each once, in their order; all numbered ones for none."""
        numbered = [path for path in self.notebooks.glob("*.ipynb") if _number(path.stem) >= 0]
        numbered.sort(key=lambda path: (_number(path.stem), path.name))
        chosen = list(dict.fromkeys(self._find(name) for name in names)) if names else numbered
        if not chosen:
            raise Refused(f"there is no notebook in {self.notebooks}")
        # Some file systems don't tell capitals from small letters.
        stems = [path.stem.casefold() for path in chosen]
        for path, stem in zip(chosen, stems, strict=True):
            if stem in TAKEN or stems.count(stem) > 1:
                raise Refused(f"the report of {path.stem} would overwrite another of this name: rename the notebook")
        return chosen

    def add_notebook(self, number: str, name: str) -> list[str]:
        """Copies the template and its profiles under a number and a name; what it wrote, and how to go on."""
        title = " ".join(name.replace("_", " ").split())
        stem = f"{number}_{title.replace(' ', '_')}"
        if not re.fullmatch(r"[0-9]+_[\w\u200c-]+", stem):
            raise Refused(f"--new takes a number and a name of letters and digits: 09 label_smoothing, say; not {stem}")
        if taken := [path.stem for path in self.notebooks.glob("*.ipynb") if _number(path.stem) == int(number)]:
            raise Refused(f"{number} is the number of {taken[0]}: choose another")
        if self.notebooks != self.root / "notebooks":
            raise Refused("--new needs the workbook's folder; here is only what pip has installed of it")
        written = []
        for template in [self.notebooks / "template.ipynb", *sorted(self.notebooks.glob("profiles/*/template.yaml"))]:
            text = template.read_text(encoding="utf-8").replace('\\"template\\"', f'\\"{stem}\\"')
            heading = f"# {title[0].upper()}{title[1:]}"
            path = template.with_stem(stem)
            write(path, text.replace("# Template: a small experiment", heading))
            written.append(str(path.relative_to(self.root)))
        return [*written, f"its report: python -m helpers.report {number}"]

    def _find(self, name: str) -> Path:
        candidates = sorted(self.notebooks.glob("*.ipynb"))
        path, stem = Path(name), name.removesuffix(".ipynb")
        if path.name != name:
            places = (place for place in (path, self.root / path) if place.suffix == ".ipynb" and place.is_file())
            found = [place.resolve() for place in places][:1]
        else:
            number = int(stem) if stem.isdecimal() else None
            found = [path for path in candidates if path.stem == stem or _number(path.stem) == number]
        if len(found) > 1:
            raise Refused(f"{name!r} means several notebooks: {', '.join(path.stem for path in found)}; give a name")
        if not found:
            raise Refused(f"there is no notebook {name!r}{nearest(path.stem, [path.stem for path in candidates])}")
        return found[0]


def configured(root: Path) -> dict[str, Any]:
    """What the table ``[tool.workbook]`` of a workbook's pyproject.toml says: its "cover" and its "language"."""
    path = root / "pyproject.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8") if path.is_file() else "").get("tool", {})
        given = dict(table.get("workbook", {}))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise Refused(f"cannot read [tool.workbook] in {path.name}: {error}") from error
    if unknown := given.keys() - {"cover", "language"}:
        raise Refused(f"{path.name}: {min(unknown)} in [tool.workbook] is unknown; write it below its cover")
    return given


def chosen_language(root: Path, given: str | None) -> str:
    """The code of the reports' language: the given one, or what pyproject.toml says; refused if there is none such."""
    code = str(given or configured(root).get("language", ENGLISH))
    known = [ENGLISH, *sorted(path.name for path in LANGUAGES.glob("*") if path.is_dir())]
    if code not in known:
        raise Refused(f"there is no language {code!r}{nearest(code, known)}")
    return code


def make_folder(folder: Path) -> None:
    """Makes a folder that files are to be written into; refused if it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise Refused(f"cannot write to {folder}: {error.strerror}; free the way, or allow writing") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the name most like it, and all that there are."""
    names = list(known)
    if not names:
        return ": there is none at all"
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    hint = f"; did you mean {by_lower[close[0]]!r}?" if close else ""
    return f"{hint} (there are: {', '.join(names)})"


def read(path: Path) -> Any:
    """A notebook file as JSON has it, each text in one piece (nbformat itself takes over a second to import)."""
    try:
        notebook = json.loads(path.read_bytes())
        if notebook["nbformat"] != 4:
            raise ValueError(f"it is of nbformat {notebook['nbformat']}: open and save it in JupyterLab")
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
            if not (isinstance(cell["cell_type"], str) and isinstance(cell["metadata"], dict)):
                raise TypeError("a cell is not as Jupyter writes it")
            outputs = cell.get("outputs", [])
            bundles = [*(output.get("data", {}) for output in outputs), *cell.get("attachments", {}).values()]
            for texts in (*outputs, *bundles):
                for name, lines in texts.items():
                    if isinstance(lines, list) and name != "traceback" and not name.endswith("json"):
                        texts[name] = "".join(lines)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        raise UnreadableNotebook(f"cannot read the notebook {path}: {why}") from error
    return notebook


def left(path: Path) -> dict[str, Any]:
    """What a run left in its numbers file; {} if there is none that can be read."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(path: Path, content: str | bytes) -> None:
    """Writes a file under a temporary name beside it, then renames it: no reader ever meets half a file."""
    with files.replacing(path) as stream:
        if isinstance(content, str):
            # Without a mark at its beginning, Excel takes a CSV file for one in the machine's old encoding.
            is_marked = path.suffix == ".csv" and not content.isascii()
            content = content.encode("utf-8-sig" if is_marked else "utf-8")
        stream.write(content)


def _number(stem: str) -> int:
    """-1 without one, and of a copy: "01_cnn-Copy1" is JupyterLab's, "01_cnn copy" or "01_cnn (1)" others'."""
    digits = re.match(r"\d+(?!.*([ -]copy ?\d*|\(\d+\))$)", stem, re.ASCII | re.IGNORECASE)
    return int(digits[0]) if digits else -1
