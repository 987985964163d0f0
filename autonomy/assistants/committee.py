"""Several copies of any policy that answer together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autonomy.assistants.base import TorchAssistant
from autonomy.batches import Rows
from autonomy.checks import whole
from autonomy.density.coverage import Coverage
from autonomy.density.masks import MaskLaw
from autonomy.types import Array, UserError


class Committee(TorchAssistant):
    """`members` policies, each made by a call of `policy`, whose answer is the mean of theirs.

    Each is initialised on its own, by torch's generator; is trained on its own part of a batch; draws, where it does,
    from a generator of its own; and remembers on its own, where it does. Raises `UserError` when calls of `policy`
    return policies that share weights.
    """

    def __init__(self, policy: Callable[[], TorchAssistant], members: int) -> None:
        policies = [policy() for _ in range(whole("members", members, 1))]
        super().__init__(policies[0].state_dim, policies[0].action_dim)
        self.members, self.window = members, getattr(policies[0], "window", 1)
        self.policies = nn.ModuleList(policies)
        _refuse_shared(policies)
        for index, member in enumerate(policies):
            _draw_apart(member, index)

    def training_loss(self, batch: Rows, generator: torch.Generator) -> Tensor:
        """The mean of the members' losses, each of one of the equal parts that the batch consists of."""
        parts = zip(*(column.tensor_split(self.members) for column in batch), strict=True)
        pairs = zip(self._policies, parts, strict=True)
        return torch.stack([member.training_loss(Rows(*part), generator) for member, part in pairs]).mean()

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        return self.training_loss(Rows(states, actions), generator)

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """The mean (B, D) of the actions that the members would execute, which lie in the box."""
        answers = [member.complete(states, operator, mask).clamp(-1, 1) for member in self._policies]
        return torch.stack(answers).mean(0)

    def coverage(self, masks: MaskLaw | None = None) -> Coverage | None:
        return self._policies[0].coverage(masks)

    def fit_normaliser(self, states: Tensor, actions: Tensor) -> None:
        super().fit_normaliser(states, actions)
        for member in self._policies:
            member.fit_normaliser(states, actions)

    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Any]:
        """See `autonomy.types.Assistant`; `state` are the members' states, None before anything is seen.

        Raises `UserError` for a state, action or mask of the wrong width, and for states of another committee.
        """
        states = (None,) * self.members if state is None else state
        if not isinstance(states, tuple) or len(states) != self.members:
            raise UserError(f"the state of predict must be None or the {self.members} states that it returned")
        pairs = zip(self._policies, states, strict=True)
        answers = [member.predict(observation, own, episode_start, deterministic) for member, own in pairs]
        actions = np.stack([action for action, _ in answers])
        held = np.asarray(observation["operator_mask"]).astype(bool)
        return np.where(held, actions[0], actions.mean(0)), tuple(own for _, own in answers)

    @property
    def _policies(self) -> list[TorchAssistant]:
        return list(self.policies)  # type: ignore[arg-type]


def _refuse_shared(policies: list[TorchAssistant]) -> None:
    weights = [id(weight) for member in policies for weight in member.parameters()]
    if len(set(weights)) < len(weights):
        raise UserError("the members share weights; a module among the policy's arguments must be made anew for each")


def _draw_apart(member: nn.Module, index: int) -> None:
    """Seed every generator that the member or a part of it holds by its own seed and the member's number."""
    held = [value for module in member.modules() for value in vars(module).values()]
    for source in {id(value): value for value in held if isinstance(value, torch.Generator)}.values():
        source.manual_seed(source.initial_seed() + index)
