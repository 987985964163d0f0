"""One kitchen, one person, one assistant: a decision and a step at every tick."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.checks import choice, number
from autonomy.types import Array, Assistant, Mask
from eval.cockpit.devices import DeadMan
from eval.cockpit.record import Recorder
from eval.cockpit.steering import Steering

ARBITRATIONS = ("dims", "blend", "off")


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What happened at a tick. `state` (S,) is what both saw; `operator`, `assistant` and `executed` are (D,).

    `positions` (30,): of all joints, after it. `problem`: why somebody's dimensions hold still, or nothing. `ms`: of
    the decision.
    """

    step: int
    seed: int
    state: Array
    positions: NDArray[np.float64]
    mask: Mask
    operator: Array
    assistant: Array
    executed: Array
    problem: str
    ms: float
    reward: float
    completed: tuple[str, ...]
    ended: bool


class Session:
    """The control loop without a clock.

    Arbitration: `dims`, the operator moves what `mask` gives it and the assistant the rest; `blend`, on the operator's
    dimensions `weight` times its value and the rest of the assistant's own; `off`, nobody moves the rest. A command or
    an action that is not finite is refused, and what it would have moved holds still.
    """

    def __init__(
        self,
        kitchen: Recorder,
        assistant: Assistant,
        pilot: DeadMan,
        steering: Steering,
        mask: Mask,
        seed: int = 0,
    ) -> None:
        self.kitchen, self.assistant, self.pilot, self.steering, self.mask = kitchen, assistant, pilot, steering, mask
        self.arbitration, self.weight = "dims", 0.5
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin the episode `seed`."""
        self._state, info = self.kitchen.reset(seed=seed)
        self._seed, self._steps, self._reward, self._ended = int(info["seed"]), 0, 0.0, False
        self._memory: Any = None

    def arbitrate(self, arbitration: str | None = None, weight: float | None = None) -> None:
        """Change either from now on. Raises `UserError` for an unknown arbitration or a weight outside [0, 1]."""
        if arbitration is not None:
            self.arbitration = choice("arbitration", arbitration, ARBITRATIONS)
        if weight is not None:
            self.weight = number("weight", weight, 0, 1)

    def tick(self) -> Snapshot:
        """Read the person, ask the assistant, move. After the end of the episode nothing moves until `reset`."""
        mask = self.mask.copy()
        values, problem = self.pilot.read()
        operator = np.clip(self.steering.action(values, self.kitchen.unwrapped, mask), -1, 1).astype(np.float32)
        began = time.perf_counter()
        assistant, refused = self._suggest(np.where(mask, operator, np.float32(0)), mask)
        ms = 1e3 * (time.perf_counter() - began)
        executed = self._combine(operator, assistant, mask)
        state = self._state.copy()
        if not self._ended:
            self.kitchen.note(operator_action=operator, operator_mask=mask, assistant_action=assistant, decision_ms=ms)
            self._advance(executed)
        problem = problem or refused
        completed = tuple(self._info["completed"]) if self._steps else ()
        return Snapshot(
            self._steps, self._seed, state, self._positions(), mask, operator, assistant,
            executed, problem, ms, self._reward, completed, self._ended,
        )  # fmt: skip

    def _suggest(self, operator: Array, mask: Mask) -> tuple[Array, str]:
        """The assistant's action (D,), zeros with a sentence when it is not finite. Blending asks it for all of it."""
        told = mask if self.arbitration == "dims" else np.zeros_like(mask)
        seen: dict[str, NDArray[Any]] = {
            "state": self._state[None],
            "operator_action": np.where(told, operator, np.float32(0))[None],
            "operator_mask": told[None].astype(np.int8),
        }
        start = np.array([self._steps == 0])
        action, self._memory = self.assistant.predict(seen, self._memory, start, deterministic=True)
        if action.shape != (1, len(mask)) or not np.isfinite(action).all():
            return np.zeros(len(mask), np.float32), "the assistant gave no finite action: its dimensions hold still"
        return np.clip(action[0], -1, 1), ""

    def _combine(self, operator: Array, assistant: Array, mask: Mask) -> Array:
        if self.arbitration == "off":
            return np.where(mask, operator, np.float32(0))
        if self.arbitration == "blend":
            operator = (self.weight * operator + (1 - self.weight) * assistant).astype(np.float32)
        return np.where(mask, operator, assistant)

    def _positions(self) -> NDArray[np.float64]:
        simulator: Any = self.kitchen.unwrapped
        return np.array(simulator.data.qpos)

    def _advance(self, executed: Array) -> None:
        self._state, reward, terminated, truncated, self._info = self.kitchen.step(executed)
        self._reward += float(reward)
        self._steps += 1
        self._ended = terminated or truncated
