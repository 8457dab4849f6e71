"""What the command prints when a notebook has ended, and when all have."""

from collections.abc import Sequence
from pathlib import Path

from helpers.report.incremental import Work
from helpers.report.run import Outcome

REASONS_SHOWN = 3


def why(work: Work) -> str:
    """A line before the run: what is done with a notebook, and why."""
    if work.is_done:
        return f"{work.task.name}  unchanged"
    doing = "runs" if work.reasons else "is drawn anew"
    reasons = work.reasons or work.renders
    more = len(reasons) - REASONS_SHOWN
    rest = f", and {more} more" if more > 0 else ""
    return f"{work.task.name}  {doing}: {', '.join(reasons[:REASONS_SHOWN])}{rest}"


def ended(outcome: Outcome) -> str:
    """A line when a notebook has ended."""
    return f"{outcome.name}  {'failed: ' + outcome.error if outcome.error else 'ok'}"


def table(works: Sequence[Work], outcomes: dict[str, Outcome]) -> str:
    """The closing table: one line for each notebook that ended or had nothing to do.

    Args:
        works: all of the command.
        outcomes: of those that ended, by name.
    """
    rows = [("notebook", "state", "run s", "report s", "peak MiB", "files")]
    for work in works:
        outcome = outcomes.get(work.task.name)
        if outcome is not None:
            rows.append(_row(work, outcome))
        elif work.is_done:
            rows.append((work.task.name, "unchanged", "–", "–", "–", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for name, state, *figures, files in rows:
        right = [figure.rjust(width) for figure, width in zip(figures, widths[2:5], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), state.ljust(widths[1]), *right, files]).rstrip())
    return "\n".join(lines)


def _row(work: Work, outcome: Outcome) -> tuple[str, ...]:
    suffixes = ",".join(path.name.removeprefix(f"{outcome.name}.") for path in outcome.files)
    return (
        outcome.name,
        "FAILED" if outcome.error else "ok" if work.reasons else "drawn anew",
        f"{outcome.execute_seconds:.1f}" if work.reasons else "–",
        f"{outcome.render_seconds:.1f}",
        "–" if outcome.peak_mib is None else f"{outcome.peak_mib:.0f}",
        suffixes and f"{outcome.name}.{{{suffixes}}}",
    )


def short(path: Path) -> str:
    """A path as the user would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
