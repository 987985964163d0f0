"""One kitchen, one person, one assistant: a decision and a step at every tick."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.checks import choice, number
from autonomy.types import Array, Assistant, Mask
from eval.cockpit.copilot import Copilot, Suggestion
from eval.cockpit.devices import DeadMan, Reading
from eval.cockpit.handover import DEFAULT_STEP, Handover
from eval.cockpit.record import Recorder
from eval.cockpit.steering import Steering
from eval.cockpit.wishes import Belief

ARBITRATIONS = ("dims", "blend", "off")


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What happened at a tick. `state` (S,) is what both saw; `operator`, `assistant` and `executed` are (D,).

    `positions` (30,): of all joints, after it. `problem`: why somebody's dimensions hold still, or nothing. `ms`: of
    the decision. `helper` is who assisted, `memory` what it remembered before the tick, `belief` what it believed after
    it. `walking` (D,): dimensions that changed hands and have not caught up (see `Handover`).
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
    walking: Mask
    helper: Assistant
    memory: Any = None
    belief: Belief | None = None


class Session:
    """The control loop without a clock.

    Arbitration: `dims`, the operator moves what `mask` gives it and the assistant the rest; `blend`, on the operator's
    dimensions `weight` times its value and the rest of the assistant's own; `off`, nobody moves the rest. A command or
    an action that is not finite is refused, and what it would have moved holds still. Dimensions that change hands do
    not jump: `limits` (D,) are the largest steps of a `Handover`, by default `DEFAULT_STEP`.
    """

    def __init__(
        self,
        kitchen: Recorder,
        assistant: Assistant,
        pilot: DeadMan,
        steering: Steering,
        mask: Mask,
        seed: int = 0,
        limits: Array | None = None,
    ) -> None:
        self.kitchen, self.pilot, self.steering, self.mask = kitchen, pilot, steering, mask
        self.arbitration, self.weight = "dims", 0.5
        self.handover = Handover(np.full(len(mask), DEFAULT_STEP, np.float32))
        self.use(assistant, self.handover.limits if limits is None else limits)
        self.reset(seed)

    def use(self, assistant: Assistant, limits: Array) -> None:
        """From now on `assistant` helps, with the `limits` (D,) of its demonstrations. It remembers nothing yet, and
        has been told nothing."""
        self.copilot, self.handover.limits = Copilot(assistant), limits

    def reset(self, seed: int) -> None:
        """Begin the episode `seed`."""
        self._state, info = self.kitchen.reset(seed=seed)
        self._seed, self._steps, self._reward, self._ended = int(info["seed"]), 0, 0.0, False
        self._completed: tuple[str, ...] = ()
        self.copilot.reset()
        self.handover.reset()

    def arbitrate(self, arbitration: str | None = None, weight: float | None = None) -> None:
        """Change either from now on. Raises `UserError` for an unknown arbitration or a weight outside [0, 1]."""
        if arbitration is not None:
            self.arbitration = choice("arbitration", arbitration, ARBITRATIONS)
        if weight is not None:
            self.weight = number("weight", weight, 0, 1)

    def tick(self) -> Snapshot:
        """Read the person, ask the assistant, move. After the end of the episode nothing moves until `reset`."""
        mask, state, reading = self.mask.copy(), self._state.copy(), self.pilot.read()
        operator = np.clip(self.steering.action(reading.values, self.kitchen.unwrapped, mask), -1, 1).astype(np.float32)
        began = time.perf_counter()
        suggestion = self.copilot.suggest(state, operator, mask, alone=self.arbitration == "blend")
        ms = 1e3 * (time.perf_counter() - began)
        executed = self._combine(operator, suggestion.action, mask)
        if not self._ended:
            executed = self.handover.follow(executed, *self._hands(reading, suggestion, mask))
            self.kitchen.note(
                operator_action=operator, operator_mask=mask, assistant_action=suggestion.action, decision_ms=ms,
                handed_over=self.handover.walking,
            )  # fmt: skip
            self.kitchen.note_belief(suggestion.belief)
            self._advance(executed, suggestion)
        return Snapshot(
            self._steps, self._seed, state, self._positions(), mask, operator, suggestion.action, executed,
            reading.problem or suggestion.problem, ms, self._reward, self._completed, self._ended,
            self.handover.walking.copy(), self.copilot.assistant, suggestion.before, suggestion.belief,
        )  # fmt: skip

    def _combine(self, operator: Array, assistant: Array, mask: Mask) -> Array:
        if self.arbitration == "off":
            return np.where(mask, operator, np.float32(0))
        if self.arbitration == "blend":
            operator = (self.weight * operator + (1 - self.weight) * assistant).astype(np.float32)
        return np.where(mask, operator, assistant)

    def _hands(self, reading: Reading, suggestion: Suggestion, mask: Mask) -> tuple[list[Hashable], Mask]:
        """Who moves each dimension, and which must stop at once since whoever moves them has failed."""
        belief, blended = suggestion.belief, self.arbitration == "blend"
        person: Hashable = (reading.holder, reading.failed, self.arbitration)
        minds = (self.copilot.wishes.key, None if belief is None else belief.committed)
        helper: Hashable = (id(self.copilot), suggestion.problem, self.arbitration, self.weight, minds)
        both: Hashable = (person, helper)
        failed = reading.failed or (blended and bool(suggestion.problem))
        hands = [(both if blended else person) if held else helper for held in mask]
        return hands, np.where(mask, failed, bool(suggestion.problem))

    def _positions(self) -> NDArray[np.float64]:
        simulator: Any = self.kitchen.unwrapped
        return np.array(simulator.data.qpos)

    def _advance(self, executed: Array, suggestion: Suggestion) -> None:
        self._state, reward, terminated, truncated, info = self.kitchen.step(executed)
        self._reward += float(reward)
        self._steps += 1
        self._ended, self._completed = terminated or truncated, tuple(info["completed"])
        self.copilot.remember(suggestion)
        self.copilot.wishes.forget(self._completed)
