"""Two trainings that should be one."""

import pandas as pd
import torch
from torch import nn

from helpers.train import Result


def assert_same(network: nn.Module, result: Result, other: nn.Module, expected: Result) -> None:
    """Bit for bit; only the clock may differ."""
    torch.testing.assert_close(network.state_dict(), other.state_dict(), rtol=0, atol=0, check_stride=True)
    torch.testing.assert_close(result.best_state, expected.best_state, rtol=0, atol=0)
    histories = (each.history.drop(columns="seconds") for each in (result, expected))
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    assert (result.best_epoch, result.cached_layers) == (expected.best_epoch, expected.cached_layers)
    assert not any(module.training for module in network.modules())
