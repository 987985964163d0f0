"""A decision in the control loop: one row, six missing dimensions, idle and beside another busy process."""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import nn

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.density import DensityAssistant
from autonomy.density.int8 import quantise
from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import CompletionProtocol
from autonomy.intent.assistant import IntentAssistant
from autonomy.intent.persistence import Persistence
from eval.settings import compose_config
from eval.speed.timing import Row, medians

STATE, DIM, HELD = 30, 9, 3
SIZES = {"paper": (2048, 8), "small": (512, 4)}
INTENTS, MEANT = tuple("abcdefg"), 4
MEMBERS = (1, 2, 4)
_BUSY = "import numpy as np\na = np.ones((700, 700))\nwhile True: a @ a"


def measure(batch: int, repeats: int) -> list[Row]:
    """The paper's network in 8 and in 32 bits, and the small one, on one thread and on all; `batch` is not read."""
    rows, all_threads = [], torch.get_num_threads()
    try:
        for threads in sorted({1, all_threads}):
            torch.set_num_threads(threads)
            paper, small = (_assistant(*SIZES[name]) for name in ("paper", "small"))
            quick = copy.deepcopy(paper)
            quantise(quick)
            cases = [("paper, int8", quick, paper), ("paper", paper, None), ("small", small, None), *_beliefs(small)]
            for what, ours, plain in cases:
                rows.append(_row(f"a decision, {what}, threads: {threads}", ours, plain, 20 * repeats))
    finally:
        torch.set_num_threads(all_threads)
    return rows


def _beliefs(small: DensityAssistant) -> Iterator[tuple[str, IntentAssistant, DensityAssistant | None]]:
    """Assistants that find out which of four tasks is meant, of the seven that they know, beside one without memory."""
    for members in MEMBERS:
        yield f"small, belief, members: {members}", _believing(*SIZES["small"], members), small
    quick = _believing(*SIZES["paper"])
    quantise(quick)
    yield "paper, int8, belief", quick, None


def _believing(width: int, depth: int, members: int = 1) -> IntentAssistant:
    policy = _assistant(width, depth, STATE + len(INTENTS), members)
    return IntentAssistant(policy, INTENTS, Persistence, INTENTS[:MEANT]).eval()


def _assistant(width: int, depth: int, inputs: int = STATE, members: int = 1) -> DensityAssistant:
    """Random weights: how long it takes does not depend on them."""
    torch.manual_seed(0)
    masks = CardinalityMasks(DIM)
    network = MixtureNetwork(DIM, inputs, width, depth, centred=True, members=members)
    return DensityAssistant(MAC(network, CompletionProtocol(masks)), masks, members=members).eval()


def _row(what: str, ours: TorchAssistant, plain: TorchAssistant | None, repeats: int) -> Row:
    seen = {
        "state": np.zeros((1, STATE), np.float32),
        "operator_action": np.zeros((1, DIM), np.float32),
        "operator_mask": np.arange(DIM)[None] < HELD,
    }
    seconds, *others = medians([partial(who.predict, seen) for who in (ours, plain) if who], repeats)
    idle = _percentile(lambda: ours.predict(seen), 2 * repeats)
    with _busy_process():
        loaded = _percentile(lambda: ours.predict(seen), 2 * repeats)
    period = f"the period is {1e3 * _period():.0f} ms"
    note = f"p99 {1e3 * idle:.3g} ms; {1e3 * loaded:.3g} ms beside a busy process; {period}"
    limit = (DIM - HELD) * _weight_bytes(ours) / _memory_rate()
    other, other_is = (others[0], _difference(ours)) if others else (None, "-")
    return Row(what, seconds, other, other_is, limit, f"reading the weights {DIM - HELD} times", note)


@functools.cache
def _period() -> float:
    """Seconds a decision in the world that trainings have by default."""
    return float(compose_config("train", []).env.period)


def _difference(ours: TorchAssistant) -> str:
    return "without belief" if isinstance(ours, IntentAssistant) else "float32"


def _percentile(decide: Callable[[], object], n: int) -> float:
    """The 99th percentile of the seconds of `n` decisions."""
    seconds = []
    for _ in range(n):
        started = time.perf_counter()
        decide()
        seconds.append(time.perf_counter() - started)
    return float(np.percentile(seconds, 99))


@contextmanager
def _busy_process() -> Iterator[None]:
    """Another process that multiplies matrices on one core."""
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", _BUSY], env=environment)
    time.sleep(1.0)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _weight_bytes(assistant: nn.Module) -> int:
    tensors = [*assistant.parameters(), *assistant.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _memory_rate() -> float:
    """Bytes a second of a sum over a tensor that no cache holds."""
    numbers = torch.ones(2**26)
    (seconds,) = medians([numbers.sum], 5)
    return numbers.numel() * numbers.element_size() / seconds
