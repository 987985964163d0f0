"""The data card: what a set of demonstrations holds, at a glance and as plain values for a report."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from autonomy.data.intent_facts import NO_INTENTS, IntentFacts
from autonomy.types import Array, Demonstrations

SATURATED = 0.999
"""An action this large, either way, is at its limit; D4RL clips to it."""
LARGEST_STEP = 0.999
"""Which quantile of the steps between actions counts as the largest: single jumps are mistakes of a recording."""


@dataclasses.dataclass(frozen=True)
class Card:
    """Facts about demonstrations. `reward`: the mean number of the environment's `tasks` that an episode completes.

    `lengths`: the shortest, the median and the longest, in steps. `completions`: task -> episodes that completed it,
    the environment's tasks first. `orders`: (order, episodes), the most frequent first. `saturated`: share of actions
    at their limit, one for each action dimension. `action_steps`: for each action dimension the size of the step from
    one action to the next, in the same episode, that 99.9% do not exceed. `constant`: the action dimensions that never
    change. `clipped`: the share of each dimension's recorded actions that lay beyond the box that they were scaled by,
    () when none did. `intents`: what the labels say, when there are any. `content_hash`: see the function.
    """

    source: str
    tasks: tuple[str, ...]
    episodes: int
    steps: int
    state_dim: int
    lengths: tuple[int, float, int]
    reward: float
    completions: dict[str, int]
    orders: tuple[tuple[tuple[str, ...], int], ...]
    saturated: tuple[float, ...]
    action_steps: tuple[float, ...]
    constant: tuple[str, ...]
    clipped: tuple[float, ...]
    intents: IntentFacts | None
    content_hash: str

    @classmethod
    def of(cls, demonstrations: Demonstrations) -> Card:
        """The card of at least one episode."""
        lengths = [len(episode) for episode in demonstrations]
        orders = Counter(episode.completed for episode in demonstrations)
        counts = Counter(task for episode in demonstrations for task in episode.completed)
        _, actions = demonstrations.rows()
        return cls(
            source=demonstrations.source,
            tasks=demonstrations.tasks,
            episodes=len(demonstrations),
            steps=demonstrations.steps,
            state_dim=demonstrations.episodes[0].states.shape[1],
            lengths=(min(lengths), float(np.median(lengths)), max(lengths)),
            reward=sum(counts[task] for task in demonstrations.tasks) / len(demonstrations),
            completions={task: counts[task] for task in dict.fromkeys((*demonstrations.tasks, *sorted(counts)))},
            orders=tuple(sorted(orders.items(), key=lambda item: (-item[1], item[0]))),
            saturated=tuple(float(share) for share in (np.abs(actions) >= np.float32(SATURATED)).mean(axis=0)),
            action_steps=action_steps(demonstrations),
            constant=_constant(actions, demonstrations.labels),
            clipped=demonstrations.clipped,
            intents=IntentFacts.of(demonstrations) if demonstrations.intents else None,
            content_hash=content_hash(demonstrations),
        )

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values that JSON can hold."""
        return {
            **dataclasses.asdict(self),
            "tasks": list(self.tasks),
            "lengths": dict(zip(("min", "median", "max"), self.lengths, strict=True)),
            "orders": [{"order": list(order), "episodes": count} for order, count in self.orders],
            "saturated": list(self.saturated),
            "action_steps": list(self.action_steps),
            "constant": list(self.constant),
            "clipped": list(self.clipped),
            "intents": None if self.intents is None else self.intents.as_dict(),
        }

    def text(self, top: int = 10) -> str:
        """The card for a terminal, with the `top` most frequent orders."""
        shortest, median, longest = self.lengths
        lines = [
            f"source        {self.source}",
            f"episodes      {self.episodes:,}",
            f"transitions   {self.steps:,}",
            f"lengths       {shortest} to {longest}, median {median:g}",
            f"state dims    {self.state_dim}",
            *(self._tasks(top) if self.tasks else []),
        ]
        if self.constant:
            lines.append(f"constant      {', '.join(self.constant)}: these action dimensions never change")
        if self.clipped:
            beyond = "  ".join(f"{dim}: {share:.1%}" for dim, share in enumerate(self.clipped) if share)
            lines.append(f"clipped       {beyond}")
        shares = "  ".join(f"{dim}: {share:.1%}" for dim, share in enumerate(self.saturated))
        sizes = "  ".join(f"{dim}: {size:.2f}" for dim, size in enumerate(self.action_steps))
        if self.constant:
            lines.append(f"constant      {', '.join(self.constant)}: these action dimensions never change")
        if self.clipped:
            beyond = "  ".join(f"{dim}: {share:.1%}" for dim, share in enumerate(self.clipped) if share)
            lines.append(f"clipped       {beyond}")
        labels = [NO_INTENTS] if self.intents is None else self.intents.lines(top)
        return "\n".join(
            [*lines, *labels, f"saturated     {shares}", f"action steps  {sizes}", f"content hash  {self.content_hash}"]
        )

    def _tasks(self, top: int) -> list[str]:
        """The lines about tasks."""
        lines = [
            f"reward        {self.reward:.2f} of {len(self.tasks)} on average ({', '.join(self.tasks)})",
            "completed     episodes",
            *(f"  {task:<14}{count:>5}" for task, count in self.completions.items()),
            "orders        episodes",
            *(f"  {count:>5}  {', '.join(order) or 'nothing'}" for order, count in self.orders[:top]),
        ]
        return lines + ([f"         and {len(self.orders) - top} more"] if len(self.orders) > top else [])


def _constant(actions: Array, labels: Sequence[str]) -> tuple[str, ...]:
    """The names, or the numbers, of the dimensions of actions (N, D) that never change."""
    fixed = np.flatnonzero((actions == actions[:1]).all(0)).tolist()
    return tuple(labels[dim] if labels else str(dim) for dim in fixed)


def action_steps(demonstrations: Demonstrations) -> tuple[float, ...]:
    """Return for each action dimension the 99.9% quantile of |a_t - a_(t-1)| within episodes.

    It is 2, the whole range of actions, when no episode has two steps.
    """
    steps = np.concatenate([np.abs(np.diff(episode.actions, axis=0)) for episode in demonstrations])
    if not len(steps):
        return tuple([2.0] * steps.shape[1])
    return tuple(float(size) for size in np.quantile(steps, LARGEST_STEP, axis=0))


def content_hash(demonstrations: Demonstrations) -> str:
    """SHA-256 over the shapes and bytes (little-endian float32) of every episode's states and actions."""
    digest = hashlib.sha256()
    for episode in demonstrations:
        for array in (episode.states, episode.actions):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return digest.hexdigest()
