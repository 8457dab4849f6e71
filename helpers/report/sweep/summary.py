"""The page over a sweep's points: conclusions, figures, means over seeds and a table of all points."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from helpers.record import drawn, literal
from helpers.report import durations
from helpers.report import workspace as plain
from helpers.report.document import Block, Document, Figure, Markdown, Provenance, Reading, Table, private
from helpers.report.parameters import defaults
from helpers.report.sweep import figure, tables
from helpers.report.sweep.grid import Point, sweep_folder
from helpers.report.sweep.results import (
    FAILED,
    NOT_RUN,
    OK,
    OUTDATED,
    Quantity,
    Result,
    good,
    groups,
    is_seed,
    mean_and_std,
    quantities,
    read,
    recorded,
    varying,
)
from helpers.report.workspace import Workspace, write

FORMATS = ("html", "pdf")
MOST_NAMED = 12
"""Values of a parameter that the page lists above its tables."""
MOST_CONCLUSIONS = 4
OWN_ROWS = ("Parameters", "Seed", "Peak memory")
"""What each point's provenance says of that point alone."""


def write_summary(
    workspace: Workspace,
    profile: str,
    notebook: Path,
    points: Sequence[Point],
    *,
    formats: Sequence[str] = FORMATS,
    outdated: Collection[str] = (),
) -> list[Path]:
    """Writes what the points' runs gave, whatever state they are in, into the folder of their reports.

    Numbers of a point count where its last run ended well, had the point's parameters, and isn't outdated.

    Args:
        workspace: whose folders.
        profile: of the runs.
        notebook: that ran.
        points: all of the sweep, one at least.
        formats: of the page.
        outdated: names of points that were to run, since something changed, and did not.

    Returns:
        ``sweep.csv`` (all numbers of all points) and, if a seed varies, ``means.csv``; the figures as SVG, PDF and
        CSV, in the folder of the points' drawings; ``index.html``, which the points' pages lead to, and ``sweep.pdf``.

    Raises:
        PdfError: if the PDF could not be set; the other files are there.
    """
    folder, figures = sweep_folder(workspace, profile, notebook), workspace.figures(profile) / "sweeps" / notebook.stem
    found = read(folder, points, defaults(plain.read(notebook), name=notebook.stem), outdated=outdated)
    document = summary(found, notebook=notebook.stem, profile=profile)
    files: dict[Path, str | bytes] = {
        folder / "sweep.csv": tables.csv_of_points(found),
        **_csv_of_means(document, folder),
    }
    files |= _drawings(document, figures)
    if "html" in formats:
        # Of sweeps alone no page stands over the notebooks.
        overview = "../../index.html" if (workspace.reports(profile) / "index.html").is_file() else "index.html"
        files[folder / "index.html"] = _page(document, found, notebook.stem, profile, overview)
    # Also a page in a format that isn't asked for now: it would show other numbers than these.
    pages = (folder / name for name in ("means.csv", "index.html", "sweep.pdf"))
    for stale in {*pages, *figures.glob("sweep_*.*")} - set(files):
        stale.unlink(missing_ok=True)
    for path, content in files.items():
        write(path, content)
    if "pdf" in formats:
        from helpers.report import pdf

        write(folder / "sweep.pdf", pdf.render(document))
        return [*files, folder / "sweep.pdf"]
    return list(files)


def summary(found: Sequence[Result], *, notebook: str, profile: str) -> Document:
    """The document over the results of a sweep.

    Args:
        found: of all its points, one at least.
        notebook: the notebook's name.
        profile: of the runs.
    """
    title = next((result.about["title"] for result in found if result.about), notebook)
    over = ", ".join(varying(found)) or "one point"
    return Document(
        title=f"{title}: sweep over {over}",
        blocks=[
            _provenance(found, notebook, profile),
            *_notice(found),
            *_conclusions(found),
            *_figures(found),
            *_tables(found),
        ],
        numbers={},
        parameters={},
        duration=None,
        finished=max((result.finished for result in found if result.finished), default=None),
        failed=False,
    )


def _csv_of_means(document: Document, folder: Path) -> dict[Path, str | bytes]:
    means = [block for block in document.blocks if isinstance(block, Table) and block.name == "means"]
    return {folder / "means.csv": means[0].csv} if means else {}


def _drawings(document: Document, folder: Path) -> dict[Path, str | bytes]:
    files: dict[Path, str | bytes] = {}
    for block in document.blocks:
        if isinstance(block, Figure):
            for suffix, content in (("svg", block.svg), ("pdf", block.pdf), ("csv", block.csv)):
                files[folder / f"{block.name}.{suffix}"] = content
    return files


def _page(document: Document, found: Sequence[Result], notebook: str, profile: str, overview: str) -> str:
    from helpers.report import html

    incomplete = "" if len(good(found)) == len(found) else f"{len(good(found))} of {len(found)} points"
    name = f"sweep of {notebook}"
    return html.render(document, name=name, profile=profile, overview=overview, incomplete=incomplete)


def _provenance(found: Sequence[Result], notebook: str, profile: str) -> Provenance:
    first = found[0]
    fixed = {name: value for name, value in first.point.parameters.items() if name not in first.values}
    took = sum(result.seconds or 0 for result in found)
    rows = [
        ("Notebook", f"{notebook}, {profile} profile"),
        ("Varied", "; ".join(f"{name}: {_values(found, name)}" for name in first.values) or "nothing"),
        ("Same in all points", tables.described(private(fixed)) or "the notebook's own values"),
        ("Points", _counted(found)),
        ("Time", f"{durations.in_words(took)}, all points together"),
    ]
    # What the points' own reports say of where their numbers come from.
    labels = dict.fromkeys(label for result in found if result.about for label in result.about["provenance"])
    rows += [(label, _common(found, label)) for label in labels if label not in OWN_ROWS]
    return Provenance(rows, _warning(found))


def _values(found: Sequence[Result], name: str) -> str:
    values = [tables.shown_value(group[0].values[name]) for group in groups(found, [name])]
    more = len(values) - MOST_NAMED
    return ", ".join(values[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _common(found: Sequence[Result], label: str) -> str:
    """What the points' provenances say under a label: once if they agree, else with how many say it."""
    texts = Counter(result.about["provenance"].get(label, "not said") for result in found if result.about)
    if len(texts) == 1:
        return next(iter(texts))
    said = [f"{text} ({_points(count)})" for text, count in texts.most_common(3)]
    return "; ".join([*said, *(["others"] if len(texts) > 3 else [])])


def _warning(found: Sequence[Result]) -> str:
    """That points ran on stand-in images; which ones, if not all."""
    about = [result.about for result in found if result.about]
    warnings = Counter(known["stand_in"] for known in about if known["stand_in"])
    if sum(warnings.values()) == len(about):
        return " ".join(warnings)
    return " ".join(f"In {count} of {_points(len(about))}: {warning}" for warning, count in warnings.items())


def _points(count: int) -> str:
    return "1 point" if count == 1 else f"{count:,} points"


def _counted(found: Sequence[Result]) -> str:
    """How many points there are, and how many of them in which state."""
    counts = Counter(result.state for result in found)
    said = {
        OK: "ended well",
        FAILED: "failed",
        NOT_RUN: "not run",
        OUTDATED: "outdated (other parameters, code or data made their reports)",
    }
    states = [f"{counts[state]:,} {words}" for state, words in said.items() if counts[state]]
    return f"{_points(len(found))}: {', '.join(states)}"


def _notice(found: Sequence[Result]) -> list[Block]:
    bad = [result for result in found if result.state != OK]
    if not bad:
        return []
    text = f"**{_counted(found)}.** The last table says why; the same command runs what is missing."
    return [Markdown(text)]


def _conclusions(found: Sequence[Result]) -> list[Block]:
    """For each key number the best and the worst set of values, its mean over seeds where there are several."""
    keys = [quantity for quantity in quantities(found) if quantity.is_key and quantity.better]
    sentences = [text for quantity in keys[:MOST_CONCLUSIONS] for text in _conclusion(found, quantity)]
    return [Reading("\n".join(f"- {text}" for text in sentences))] if sentences else []


def _conclusion(found: Sequence[Result], quantity: Quantity) -> Iterator[str]:
    usable = [result for result in good(found) if recorded(result, quantity) is not None]
    others = [name for name in varying(usable) if not is_seed(name)]
    sets = groups(usable, others)
    label = f"**{literal(quantity.label)}**"
    if len(sets) < 2:
        if len(usable) > 1:
            yield f"{label}: {_mean_in_words(sets[0], quantity)}."
        return
    means = [mean_and_std([recorded(result, quantity) for result in group])[0] for group in sets]
    ranked = sorted(zip(means, range(len(sets)), strict=True), reverse=quantity.better == "max")
    best, worst = (sets[ranked[end][1]] for end in (0, -1))
    if ranked[0][0] == ranked[-1][0]:
        yield f"{label} is the same at all {len(sets)} settings: {_mean_in_words(best, quantity)}."
        return
    superlatives = ("highest", "lowest") if quantity.better == "max" else ("lowest", "highest")
    said = [
        f"{superlative} at {literal(tables.described({name: group[0].values[name] for name in others}))}: "
        f"{_mean_in_words(group, quantity)}"
        for superlative, group in zip(superlatives, (best, worst), strict=True)
    ]
    yield f"{label} is {said[0]}; {said[1]}."


def _mean_in_words(group: Sequence[Result], quantity: Quantity) -> str:
    mean, std = mean_and_std([recorded(result, quantity) for result in group])
    runs = f" (mean ± sd of {len(group)} points)" if len(group) > 1 else ""
    return f"{tables.figures_of(quantity, mean, std)}{runs}"


def _figures(found: Sequence[Result]) -> list[Block]:
    drawings, why = figure.drawings(found)
    if why:
        return [Markdown(f"There is no figure: {why}.")]
    blocks: list[Block] = []
    for number, drawing in enumerate(drawings, 1):
        svg, pdf, csv, alt = drawn(drawing.figure)
        blocks.append(Figure(drawing.name, drawing.caption, alt or drawing.caption, svg, pdf, number, csv))
    return blocks


def _tables(found: Sequence[Result]) -> list[Block]:
    blocks: list[Block] = []
    changing = varying(found)
    seeds = [name for name in changing if is_seed(name)]
    number = 1
    if seeds and good(found):
        by = [name for name in changing if not is_seed(name)]
        blocks += [Markdown("## Means over seeds"), tables.of_means(found, by, seeds, number=number)]
        number += 1
    blocks += [Markdown("## All points"), tables.of_points(found, number=number)]
    left_out = len(quantities(found)) - len(tables.shown_quantities(found))
    more = f"{left_out} more numbers of each point, and all digits," if left_out else "All digits"
    blocks.append(Markdown(f"{more} are in `sweep.csv`."))
    if len(good(found)) < len(found):
        blocks += [Markdown("## Points without results"), tables.of_errors(found, number=number + 1)]
    return blocks
