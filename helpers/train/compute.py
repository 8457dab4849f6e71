"""Which device and precision a run computes with (a rule, never a timing, so that two runs agree), and its memory."""

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from helpers import WorkbookError
from helpers.phrases import say
from helpers.train.augment import RandomAffine

FAST_FLOAT16 = [(6, 0), (7, 0), (7, 5)]
"""Compute capabilities of GPUs before Ampere that are faster in float16: P100, V100, T4."""


@dataclass(frozen=True)
class Compute:
    """Where and how precisely to compute.

    Attributes:
        device: the torch device.
        precision: "float32", or "bfloat16" or "float16" for autocast (weights and optimizer stay float32).
        description: the device in words, for the report.
        precision_description: the precision in words, and why.
        automatic: whether the precision was chosen by the rule, and not by the user.
    """

    device: torch.device
    precision: str
    description: str
    precision_description: str
    automatic: bool = False

    def autocast(self) -> torch.autocast:
        """The context in which to run a network; loss and metrics belong outside, in float32."""
        dtype = torch.float16 if self.precision == "float16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype, enabled=self.precision != "float32")

    def scaler(self, state: dict[str, float]) -> torch.amp.GradScaler:
        """Scales losses and gradients in float16, where they would often be 0; in other precisions it does nothing.

        Args:
            state: of an earlier one's ``state_dict()``, to go on from; or empty.
        """
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")
        if state:
            scaler.load_state_dict(state)
        return scaler

    def for_network(self, network: nn.Module) -> "Compute":
        """As the rule has it for this network: float32 where a processor trains depthwise convolutions.

        Their gradients are slower in bfloat16 there (MobileNetV2 at 64 px: 239 images/s in float32, 167 in bfloat16);
        running them forward only, as a frozen body does, is not.
        """
        if self.automatic and self.device.type == "cpu" and _trains_depthwise(network):
            return replace(self, precision="float32")
        return self


def choose_compute(device: str = "auto", precision: str = "auto") -> Compute:
    """Resolves the parameters DEVICE and PRECISION.

    A processor computes with one thread, so that numbers don't depend on how many cores there are or on what else runs,
    and trainings side by side don't wait for each other; the variable OMP_NUM_THREADS sets more.

    Args:
        device: "auto" (the first GPU if there is one, Apple's if all that experiments compute runs on it, else the
            processor), "cpu", "cuda", "cuda:1", "mps" …
        precision: "auto", "float32", "bfloat16" or "float16". "auto" takes bfloat16 where dense convolutions are faster
            in it: on GPUs from Ampere on and on processors with AMX or AVX-512-bf16 (nearly twice as fast there);
            float16 on older GPUs that have units for it (T4, V100, P100); else float32. `Compute.for_network` then
            looks at the network too.

    Raises:
        WorkbookError: an unknown name, or a device that this machine does not have.
    """
    chosen, why_not = _device(device)
    if chosen.type == "cpu":
        _reuse_freed_memory()
        if "OMP_NUM_THREADS" not in os.environ:
            threadpool_limits(1)
            torch.set_num_threads(1)
    if precision not in ("auto", "float32", "bfloat16", "float16"):
        raise WorkbookError(f"PRECISION is 'auto', 'float32', 'bfloat16' or 'float16', not {precision!r}")
    why, automatic = say("as asked"), precision == "auto"
    if automatic:
        precision, why = _precision_rule(chosen)
    device = _describe(chosen)
    if why_not:
        device = say("{device} (not the GPU, which lacks something: {lacks})", device=device, lacks=why_not)
    said = say(
        "float32 ({why})" if precision == "float32" else "{precision} autocast, weights in float32 ({why})",
        precision=precision,
        why=why,
    )
    return Compute(chosen, precision, device, said, automatic)


def _device(name: str) -> tuple[torch.device, str]:
    """The device, and what Apple's GPU lacks where there is one that it is not."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), ""
        if not torch.backends.mps.is_available():
            return torch.device("cpu"), ""
        if lacks := _lacks("mps"):
            return torch.device("cpu"), lacks
        return torch.device("mps"), ""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the last is of a PyTorch that was built without
        raise WorkbookError(f"this machine has no device {name!r}; DEVICE = 'auto' takes what there is") from error
    return device, ""


@lru_cache
def _lacks(device: str) -> str:
    """What goes wrong where a device runs what experiments compute: a step with augmentation; "" where nothing does."""
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten()]
    try:
        with torch.random.fork_rng([]):
            network = nn.Sequential(*layers, nn.Linear(36, 2)).to(device, memory_format=torch.channels_last)
            images = RandomAffine(degrees=5)(torch.zeros(2, 3, 8, 8, dtype=torch.uint8, device=device))
            logits, labels = network(images), torch.tensor([0, 1], device=device)
            nn.functional.cross_entropy(logits, labels).backward()
            (logits.argmax(dim=1) == labels).sum().item()
            for kind in (torch.optim.SGD, torch.optim.Adam):
                kind(network.parameters(), fused=True).step()
    except (NotImplementedError, RuntimeError, TypeError) as error:  # the last is MPS's of float64
        return str(error).splitlines()[0]
    return ""


@lru_cache
def _reuse_freed_memory() -> None:
    """Lets glibc keep freed memory for the next step: getting it back page by page takes a fifth of a step's time."""
    # The constants are those of malloc.h. Tensors from the first size on still go back at once.
    mmap_threshold, trim_threshold = -3, -1
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    # Older releases accept 32 MiB at most. The second setting alone would be worse than none.
    if mallopt(mmap_threshold, 256 * 2**20) or mallopt(mmap_threshold, 32 * 2**20):
        mallopt(trim_threshold, 2**31 - 1)


def _precision_rule(device: torch.device) -> tuple[str, str]:
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return "bfloat16", say("the GPU has bfloat16 units")
        if torch.cuda.get_device_capability(device) in FAST_FLOAT16:
            return "float16", say("the GPU has units for it, and none for bfloat16")
        return "float32", say("the GPU has no units of half precision")
    if device.type == "cpu":
        for unit, name in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX-512-bf16")):
            if unit in _processor("flags").split():
                why = say("the processor has {name}; float32 where depthwise convolutions are trained", name=name)
                return "bfloat16", why
        return "float32", say("the processor has no bfloat16 units")
    return "float32", say("the default on this device")


def _trains_depthwise(network: nn.Module) -> bool:
    """Whether gradients pass through a depthwise convolution: it trains, or a layer before it does."""
    trains = False
    for module in network.modules():  # in the order of registration, which is that of the computation
        trains = trains or any(parameter.requires_grad for parameter in module.parameters(recurse=False))
        if trains and isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            return True
    return False


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return say(
            "{processor}, 1 thread" if threads == 1 else "{processor}, {threads} threads",
            processor=_processor("model name") or "processor",
            threads=threads,
        )
    return str(device)


def _processor(field: str) -> str:
    """The first value of a field of Linux's /proc/cpuinfo; "" elsewhere, which means the cautious choice."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


@contextmanager
def memory_advice(shape: Sequence[int], batch_size: int | None = None) -> Iterator[None]:
    """Turns what is raised for want of memory into an error that says which sizes to try: half of the memory each.

    Args:
        shape: of one image (C, H, W).
        batch_size: images a step, where that is the user's to choose.

    Raises:
        WorkbookError: out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        ways = []
        if batch_size is not None and batch_size > 1:
            ways.append(f"BATCH_SIZE = {batch_size // 2} instead of {batch_size}")
        if len(shape) == 3 and shape[-1] > 8:
            ways.append(f"IMAGE_SIZE = {max(8, round(shape[-1] * 0.7))} instead of {shape[-1]}")
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        advice = ", or ".join(ways) or "a smaller network"
        raise WorkbookError(f"The memory is not enough: try {advice}. ({first_line})") from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether the memory of a processor or a GPU did not suffice; PyTorch has an error of its own for GPUs only."""
    signs = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error) for sign in signs)
