"""Writes docs/results.md from finished reports: what was reported, what was found here, and each claim's verdict.

    python -m helpers.report --profile real
    python docs/make_results.py                     # from reports/real

Nothing stands there that no report's numbers hold.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from helpers.phrases import per_cent_apart
from helpers.report import document
from helpers.report.workspace import read

DOCS = Path(__file__).resolve().parent
SHOWN = ("Data set", "Images", "Initial weights", "Device", "Precision")
SIZES = ("EPOCHS", "BATCH_SIZE", "IMAGE_SIZE", "WIDTH", "SEEDS", "RATES")
"""How the names of parameters begin that say how large a run was, and which rates it tried."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="?", default=DOCS.parent / "reports" / "real")
    parser.add_argument("--to", type=Path, default=DOCS / "results.md", help="the file to write (docs/results.md)")
    options = parser.parse_args(arguments)
    paths = sorted(options.reports.glob("[0-9]*.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if not found:
        raise SystemExit(f"error: there are no reports in {options.reports}: python -m helpers.report --profile real")
    pieces = [f"# Reported, and found here\n\n{opening(found)}"]
    executed = [read(path.with_suffix(".ipynb")) for path in paths]
    pieces += map(chapter, found, map(document.read, executed))
    options.to.write_text("\n\n".join(pieces) + "\n", encoding="utf-8")


def opening(found: Sequence[dict[str, Any]]) -> str:
    """Where the page comes from."""
    newest = max(filter(None, (content["finished"] for content in found)), default="")
    profiles = ", ".join(sorted({content["profile"] for content in found}))
    return (
        f"Made by `docs/make_results.py` from the reports of profile {profiles}, the newest of {newest[:10]}. "
        "Differences are shown only where the images are the experiment's own and pretrained weights are not random "
        "ones; ± is the standard deviation over the runs. Each chapter lists what decides how large its run was; where "
        "that is not the profile's, it was given with `-p`."
    )


def chapter(content: dict[str, Any], executed: document.Document) -> str:
    """One notebook: what it ran on, its numbers beside the reported ones, table by table, and the claims."""
    facts = [f"- {label}: {content['provenance'][label]}" for label in SHOWN if label in content["provenance"]]
    sizes = {name: value for name, value in content["parameters"].items() if name.startswith(SIZES)}
    facts.append("- " + ", ".join(f"{name} = {value}" for name, value in sizes.items()))
    pieces = [f"## {content['title']}", "\n".join(facts)]
    if content["error"]:
        return "\n\n".join([*pieces, f"This run failed: {content['error']['message']}"])
    for block in executed.blocks:
        rows = [
            (number["label"], *(number["shown"].get(key, "–") for key in ("reported", "value", "difference")))
            for number in getattr(block, "numbers", [])
            if number["reported"] is not None
        ]
        if rows:  # the caption says how far both are the same quantity
            pieces += [per_cent_apart(block.caption), table(("", "reported", "here", "difference"), rows)]
    if claims := content["tables"].get("claims"):
        pieces.append(table(claims["columns"], claims["values"]))
    return "\n\n".join(pieces)


def table(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(headings), *rows]
    cells = [
        ["–" if cell is None else per_cent_apart(str(cell)).replace("|", "\\|") for cell in line] for line in lines
    ]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


if __name__ == "__main__":
    main()
