"""Timings in one run: the candidates take turns, and medians are compared."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

import torch

WARM_UP = 1


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement: median seconds of `ours` and `plain`, and `limit`, the least that the arithmetic needs, or None.

    `plain_is` and `limit_is` say what was measured beside ours, `note` what else there is to say.
    """

    what: str
    ours: float
    plain: float | None
    plain_is: str
    limit: float | None = None
    limit_is: str = "-"
    note: str = "-"

    def cells(self) -> list[str]:
        """For the table."""
        plain = ("-", "-") if self.plain is None else (_ms(self.plain), _ratio(self.plain / self.ours))
        limit = ("-", "-") if self.limit is None else (_ms(self.limit), f"{self.ours / self.limit:.2f}")
        ours = (self.what, _ms(self.ours))
        return [*ours, plain[0], self.plain_is, plain[1], limit[0], self.limit_is, limit[1], self.note]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 0.1 else f"{1e3 * seconds:,.0f}"


def _ratio(value: float) -> str:
    return f"{value:,.0f}x" if value >= 20 else f"{value:.2f}x"


def medians(functions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each function over `repeats` rounds, in which they take turns, after a round of warming up."""
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(WARM_UP + repeats):
        for function, times in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            if turn >= WARM_UP:
                times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]


def matrix_rate(rows: int, width: int, repeats: int, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second of the product (rows, width) @ (width, width) on this machine."""
    left, right = torch.randn(rows, width, dtype=dtype), torch.randn(width, width, dtype=dtype)
    (seconds,) = medians([lambda: left @ right], 4 * repeats)
    return 2 * rows * width * width / seconds
