"""Range checks for numbers that people type: a wrong one is a `UserError` of one sentence."""

from __future__ import annotations

import math
from typing import Any

from autonomy.types import UserError


def whole(name: str, value: Any, low: int) -> int:
    """`value` itself. Raises `UserError` unless it is a whole number >= `low`; `00143` and `1e3` are none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise UserError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return value


def number(name: str, value: Any, low: float, high: float = math.inf, *, above: bool = False) -> float:
    """`value` as a float. Raises `UserError` unless low <= value <= high (low < value when `above`)."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high or (above and value == low):
        relation = "above" if above else "of at least"
        limit = "" if math.isinf(high) else f" and at most {high:g}"
        raise UserError(f"{name} must be a number {relation} {low:g}{limit}, got {value!r}")
    return float(value)


def choice(name: str, value: Any, valid: tuple[str, ...]) -> str:
    """`value` itself. Raises `UserError` when it is not one of `valid`."""
    if value not in valid:
        raise UserError(f"unknown {name} {value!r}; the valid ones are {', '.join(valid)}")
    return str(value)


def switch(name: str, value: Any) -> bool:
    """`value` itself. Raises `UserError` unless it is true or false."""
    if not isinstance(value, bool):
        raise UserError(f"{name} must be true or false, got {value!r}")
    return value
