"""One world, one person, one assistant: a decision and a step at every tick."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.channels import FixedChannels
from autonomy.checks import choice, number
from autonomy.types import Array, Assistant, Mask
from envs.arbitration import ARBITRATIONS, DIMS, arbitration_of
from envs.shared_control import SharedControl
from eval.cockpit.copilot import Copilot, Suggestion
from eval.cockpit.devices import Reading
from eval.cockpit.handover import DEFAULT_STEP, Handover, Smooth
from eval.cockpit.person import Person
from eval.cockpit.record import Recorder
from eval.cockpit.stage import is_mujoco
from eval.cockpit.wishes import Belief


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What happened at a tick. `state` (S,) is what both saw; `operator`, `assistant` and `executed` are (D,).

    `positions`: MuJoCo's of all joints, after it; empty where there is no MuJoCo. `problem`: why somebody's dimensions
    hold still, or nothing. `ms`: of the decision. `helper` is who assisted, `memory` what it remembered before the
    tick, `belief` what it believed after it. `walking` (D,): dimensions that changed hands and have not caught up (see
    `Handover`). `picture`: what the world's camera sees, (height, width, 3), where that is how it is shown.
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
    picture: NDArray[np.uint8] | None = None


class Session:
    """The control loop without a clock, on a `SharedControl` whose operator is the `person`.

    Arbitration: one of `ARBITRATIONS`, see `envs.arbitration`; `mask` (D,) is what the person holds. A command or an
    action that is not finite is refused, and what it would have moved holds still. Dimensions that change hands do not
    jump: `limits` (D,) are the largest steps of a `Handover`, by default `DEFAULT_STEP`.
    """

    def __init__(
        self,
        recorder: Recorder,
        assistant: Assistant,
        person: Person,
        seed: int = 0,
        limits: Array | None = None,
    ) -> None:
        self.person, self._weight = person, 0.5
        self.handover = Handover(np.full(len(person.mask), DEFAULT_STEP, np.float32))
        self._smooth = Smooth(DIMS, self.handover)
        self.use(assistant, self.handover.limits if limits is None else limits)
        self.move_to(recorder, seed)

    def use(self, assistant: Assistant, limits: Array) -> None:
        """From now on `assistant` helps, with the `limits` (D,) of its demonstrations. It remembers nothing yet, and
        has been told nothing."""
        self.copilot, self.handover.limits = Copilot(assistant), limits

    def move_to(self, recorder: Recorder, seed: int) -> None:
        """From now on play in the world that `recorder` records, first the episode `seed`."""
        self.recorder, self.world = recorder, recorder.world
        self.shared = SharedControl(self.world, self.person, self._channels(), arbitration=self._smooth)
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin the episode `seed`."""
        self.world.stage([seed])
        self._state = self.shared.reset()["state"][0]
        self._seed, self._steps, self._reward, self._ended = seed, 0, 0.0, False
        self._completed: tuple[str, ...] = ()
        self._fault = ""
        self.copilot.reset()
        self.handover.reset()
        self.recorder.begin(seed, self._state)

    @property
    def mask(self) -> Mask:
        """What the person holds, (D,); to be set at any time."""
        return self.person.mask

    @mask.setter
    def mask(self, mask: Mask) -> None:
        self.person.mask = mask
        self.shared.channels = self._channels()
        self.shared.hold(mask[None])

    def _channels(self) -> FixedChannels:
        return FixedChannels(np.flatnonzero(self.mask).tolist(), len(self.mask))

    @property
    def arbitration(self) -> str:
        """The name of the present one."""
        return self._smooth.inner.name

    def arbitrate(self, arbitration: str | None = None, weight: float | None = None) -> None:
        """Change either from now on. Raises `UserError` for an unknown arbitration or a weight outside [0, 1]."""
        name = choice("arbitration", arbitration or self.arbitration, ARBITRATIONS)
        self._weight = self._weight if weight is None else number("weight", weight, 0, 1)
        self._smooth.inner = arbitration_of(name, self._weight)

    def tick(self) -> Snapshot:
        """Read the person, ask the assistant, move. After the end of the episode nothing moves until `reset`."""
        seen: Any = {**self.shared.observe(), "state": self._state[None]}
        reading, mask, operator, state = self.person.reading, self.mask.copy(), self.shared.command[0], self._state
        began = time.perf_counter()
        suggestion = self.copilot.suggest(seen, alone=self._smooth.inner.alone)
        ms, executed = 1e3 * (time.perf_counter() - began), np.zeros_like(operator)
        if not self._ended:
            self._smooth.hands, self._smooth.stopped = self._hands(reading, suggestion, mask)
            executed = self._advance(suggestion, ms)
        return Snapshot(
            self._steps, self._seed, state, self._positions(), mask, operator, suggestion.action, executed,
            reading.problem or suggestion.problem or self._fault, ms, self._reward, self._completed, self._ended,
            self.handover.walking.copy(), self.copilot.assistant, suggestion.before, suggestion.belief, self._picture(),
        )  # fmt: skip

    def _hands(self, reading: Reading, suggestion: Suggestion, mask: Mask) -> tuple[list[Hashable], Mask]:
        """Who moves each dimension, and which must stop at once since whoever moves them has failed."""
        belief, arbitration = suggestion.belief, self._smooth.inner
        person: Hashable = (reading.holder, reading.failed, arbitration.name)
        minds = (self.copilot.wishes.key, None if belief is None else belief.committed)
        helper: Hashable = (id(self.copilot), suggestion.problem, arbitration, minds)
        both: Hashable = (person, helper)
        failed = reading.failed or (arbitration.alone and bool(suggestion.problem))
        hands = [(both if arbitration.alone else person) if held else helper for held in mask]
        return hands, np.where(mask, failed, bool(suggestion.problem))

    def _advance(self, suggestion: Suggestion, ms: float) -> Array:
        """One step; what was executed (D,)."""
        shown: Any
        shown, rewards, dones, infos = self.shared.step(suggestion.action[None])
        info, reward = infos[0], float(rewards[0])
        self._ended = bool(dones[0])
        self._state = info["terminal_observation"]["state"] if self._ended else shown["state"][0]
        self._reward, self._steps, self._completed = self._reward + reward, self._steps + 1, tuple(info["completed"])
        self._fault = str(info.get("world_error", ""))
        self.recorder.add(self._state, reward, self._ended, info, ms, self.handover.walking, suggestion.belief)
        self.copilot.remember(suggestion)
        self.copilot.wishes.forget(self._completed)
        executed: Array = info["executed_action"]
        return executed

    def _positions(self) -> NDArray[np.float64]:
        simulator = self.world.simulators[0]
        return np.array(simulator.data.qpos) if is_mujoco(simulator) else np.zeros(0)

    def _picture(self) -> NDArray[np.uint8] | None:
        seen = self.world.render_mode == "rgb_array" and not is_mujoco(self.world.simulators[0])
        return self.world.frame(0) if seen else None
