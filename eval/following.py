"""Lets an assistant follow demonstrations step by step, as if an operator held channels of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from autonomy.checks import choice
from autonomy.types import Array, Channels, Demonstrations, Episode, Mask, UserError
from eval.recognition import Course, index_of

MEANT = ("episode", "all")


class Step(NamedTuple):
    """What an assistant does in a step of B episodes, (B, D), and what it believes after it, where it has a belief."""

    actions: Array
    memory: Any


def courses(
    assistant: Any, demonstrations: Demonstrations, channels: Sequence[Channels], seed: int, meant: str = "all"
) -> dict[str, list[Course]]:
    """`{name of the channels: the course of each episode}`: what `assistant` believes while it sees the states of
    `demonstrations` and, on the dimensions that each of `channels` holds, their actions.

    It is the very `predict` that plays. All episodes and channels are rows of one batch; those that have ended repeat
    their last step, which is not looked at. `meant` says what the assistant knows of a demonstrator's intents: `all`
    of them may be meant, also those that cannot be in the assistant's own world, or those of the `episode`, in
    whichever order, as in play, where the tasks are known. Channels are drawn with `seed`. Raises `UserError` for an
    assistant without a belief, and for episodes without labels.
    """
    choice("meant", meant, MEANT)
    if not getattr(assistant, "intents", ()):
        raise UserError(
            "this assistant has no belief over intents; give a run that was trained on labels, intent=filter"
        )
    episodes = [episode for episode in demonstrations if episode.intents is not None]
    if not episodes:
        raise UserError(f"{demonstrations.source} has no labels of intents to compare a belief with")
    masks = [one.sample(len(episodes), np.random.default_rng(seed)) for one in channels]
    names = tuple(assistant.intents)
    truths = [truths_of(episode, demonstrations.intents, names) for episode in episodes]
    veto = np.stack([~np.isin(np.arange(len(names)), truth) & (meant == "episode") for truth in truths])
    rows = episodes * len(channels), np.concatenate(masks), np.tile(veto, (len(channels), 1))
    memories = [step.memory for step in followed(open_to_all(assistant), *rows)]
    beliefs = np.stack([memory.belief for memory in memories], 1)
    committed = np.stack([memory.intent for memory in memories], 1)
    found = [
        Course(names, beliefs[row, : len(truth)], committed[row, : len(truth)], truth)
        for row, truth in enumerate(truths * len(channels))
    ]
    groups = (found[first : first + len(episodes)] for first in range(0, len(found), len(episodes)))
    return {one.name: group for one, group in zip(channels, groups, strict=True)}


def open_to_all(assistant: Any) -> Any:
    """A copy of the assistant for which every intent can be meant."""
    changed = copy.deepcopy(assistant)
    if hasattr(changed, "filter"):
        changed.filter.meant.fill_(True)
    return changed


def truths_of(episode: Episode, labels: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """The labels of an episode, (T,), as indices of the assistant's `names`; their number stands for none of them."""
    places = np.array([*(index_of(label, names) for label in labels), len(names)])
    return cast(NDArray[np.int64], places[np.asarray(episode.intents)])  # -1 is the last


def followed(assistant: Any, episodes: Sequence[Episode], masks: Mask, veto: Mask | None = None) -> Iterator[Step]:
    """What the assistant does and believes in each step of the longest of B episodes, while `masks` (B, D) are held.

    Episodes that have ended repeat their last step. `veto` (B, K): intents that are not meant.
    """
    state, starts = None, np.ones(len(episodes), np.bool_)
    vetoed = {} if veto is None else {"veto": veto}
    for step in range(max(map(len, episodes))):
        states, actions = (
            np.stack([getattr(episode, part)[min(step, len(episode) - 1)] for episode in episodes])
            for part in ("states", "actions")
        )
        held, command = masks.astype(np.int8), np.where(masks, actions, np.float32(0))
        observation = {"state": states, "operator_action": command, "operator_mask": held, **vetoed}
        filled, state = assistant.predict(observation, state, starts, deterministic=True)
        yield Step(filled, copy.deepcopy(state) if hasattr(state, "belief") else None)
        starts = np.zeros(len(episodes), np.bool_)
