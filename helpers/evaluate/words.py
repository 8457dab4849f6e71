"""Words that captions share, so that every notebook says the same of the same thing."""

from helpers.evaluate.histories import PATIENCE
from helpers.evaluate.inputs import EvaluationError

UNDEFINED_PRECISION = "Precision is undefined, “–”, for a class that is never predicted"
"""Part of a sentence for captions of tables that show precision by class."""
_BEST = {"accuracy": "the highest", "loss": "the lowest"}


def marks(best: str = "accuracy", *, patience: int = PATIENCE) -> str:
    """What the marks "best" and "stop" of learning curves stand for, in a sentence for their caption.

    Args:
        best: of which validation value the best epoch is marked: "accuracy", as `helpers.train.fit` chooses it, or
            "loss".
        patience: as it was given to `stopping_epoch` or `read_curves`.

    Raises:
        EvaluationError: for another value.
    """
    if best not in _BEST:
        raise EvaluationError(f'the best epoch is that of the best "accuracy" or "loss", not {best!r}')
    return (
        f"Best: {_BEST[best]} validation {best}. Stop, if it is marked: the epoch that early stopping would go back to "
        f"after {patience} epochs in which the validation loss had not fallen."
    )


def over_runs(runs: int, *, each: bool = True) -> str:
    """What numbers stand for in words: "one run each", or "means of 3 runs ± standard deviation".

    Args:
        runs: how many there are of each network.
        each: False where there is only one network: "one run".
    """
    if runs == 1:
        return "one run each" if each else "one run"
    return f"means of {runs} runs ± standard deviation"
