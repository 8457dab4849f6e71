import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from helpers import WorkbookError, train
from helpers.train import compute


@pytest.mark.parametrize(
    ("asked", "message"),
    [(("gpu3",), "DEVICE"), (("cpu", "float8"), "PRECISION"), (("cuda:99",), "no device 'cuda:99'")],
)
def test_unknown_devices_and_precisions_are_refused(asked, message):
    with pytest.raises(WorkbookError, match=message):
        train.choose_compute(*asked)


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("fpu avx512_bf16 sse", "bfloat16"), ("fpu amx_bf16", "bfloat16"), ("fpu avx512f", "float32"), ("", "float32")],
)
def test_the_rule_follows_the_processor_alone(monkeypatch, flags, precision):
    monkeypatch.setattr(compute, "_processor", lambda field: flags if field == "flags" else "Some processor")
    chosen = train.choose_compute("cpu")
    assert chosen.precision == precision
    assert "processor has" in chosen.precision_description
    assert train.choose_compute("cpu", "float32").precision == "float32"


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((8, 0), "bfloat16"), ((12, 0), "bfloat16"), ((7, 5), "float16"), ((6, 0), "float16"), ((6, 1), "float32")],
)
def test_the_rule_follows_the_kind_of_gpu(monkeypatch, capability, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    chosen = train.choose_compute()
    assert (str(chosen.device), chosen.precision) == ("cuda", precision)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="where Apple's GPU is, it may lack nothing")
def test_a_gpu_that_lacks_an_operation_is_passed_over_and_the_report_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)  # it can't compute a thing here
    chosen = train.choose_compute()
    assert chosen.device.type == "cpu" and "not the GPU, which lacks something: " in chosen.description
    assert "mps" in chosen.description.lower()


def depthwise_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.LazyLinear(2))


def test_a_processor_trains_depthwise_convolutions_in_float32(monkeypatch):
    monkeypatch.setattr(compute, "_processor", lambda field: "avx512_bf16")
    chosen, asked = train.choose_compute("cpu"), train.choose_compute("cpu", "bfloat16")
    network = depthwise_network()
    assert chosen.for_network(network).precision == "float32"
    assert asked.for_network(network).precision == "bfloat16"
    network[:2].requires_grad_(False)
    assert chosen.for_network(network).precision == "bfloat16", "a frozen body only runs forward"
    network[0].requires_grad_(True)
    assert chosen.for_network(network).precision == "float32", "gradients pass the depthwise layer on their way"
    assert chosen.for_network(nn.Sequential(nn.Conv2d(1, 8, 3), nn.Linear(2, 2))).precision == "bfloat16"


def test_a_processor_computes_with_one_thread_unless_the_user_asks_for_more(monkeypatch):
    """So a report's numbers are the same whatever the number of cores."""
    try:
        for asked, threads in (("2", "2 threads"), (None, "1 thread")):
            threadpool_limits(2)
            torch.set_num_threads(2)
            monkeypatch.setenv("OMP_NUM_THREADS", asked) if asked else monkeypatch.delenv("OMP_NUM_THREADS")
            assert train.choose_compute("cpu").description.endswith(f", {threads}")
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    finally:
        threadpool_limits(1)
        torch.set_num_threads(1)
