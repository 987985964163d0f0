"""The assistant that works out what the operator is after, commits to it, and completes the action for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.batches import Rows
from autonomy.checks import choice, number
from autonomy.density.conformal import Conformal
from autonomy.density.coverage import Coverage
from autonomy.density.masks import MaskLaw
from autonomy.intent.belief import BeliefFilter, BeliefState, read_memory
from autonomy.intent.calibration import fit_filter
from autonomy.intent.counterfactual import Counterfactual
from autonomy.intent.evidence import evidence_of
from autonomy.intent.gate import gated
from autonomy.intent.persistence import ALIKE, Persistence
from autonomy.types import Array, UserError

MODES = ("filter", "gated", "told", "none")


class IntentAssistant(TorchAssistant):
    """Any policy whose inputs are a state and the one-hot of an intent (K numbers), told the intent by a belief filter.

    policy: what completes the action, with `state_dim` = S + K. In training a row's intent is left out with the
        probability `drop`, so that all zeros mean "it is not known which".
    intents: the K names. tasks: those of them that can be meant here; all when there is none among them.
    mode: `filter` (find it out), `gated` (find it out, and help less where that is not sure: `autonomy.intent.gate`),
        `told` (take the observation's "intent" for the truth) or `none` (know nothing).
    change, hysteresis: see `autonomy.intent.belief.BeliefFilter`.
    concerns, swap: see `autonomy.intent.counterfactual.Counterfactual`.
    """

    def __init__(
        self,
        policy: TorchAssistant,
        intents: Sequence[str],
        persistence: Callable[..., Persistence],
        tasks: Sequence[str] = (),
        mode: str = "filter",
        change: float = 0.03,
        hysteresis: float = 0.0,
        drop: float = 0.1,
        concerns: Sequence[Sequence[int]] = (),
        swap: float = 0.5,
    ) -> None:
        super().__init__(policy.state_dim - len(intents), policy.action_dim)
        self.policy, self.intents = policy, tuple(intents)
        self.mode, self.drop = choice("intent", mode, MODES), number("intent.drop", drop, 0, 1)
        meant = [name in tasks for name in self.intents]
        self.filter = BeliefFilter(meant if any(meant) else [True] * len(meant), change, hysteresis)
        self.counterfactual = Counterfactual(concerns or [()] * len(self.intents), self.state_dim, swap)
        self.persistence = persistence(
            self.state_dim, len(self.intents), counterfactual=self.counterfactual
        ).requires_grad_(False)
        self.evidence = evidence_of(policy)
        self.conformal = Conformal(self.state_dim, self.action_dim)

    @property
    def members(self) -> int:
        """The number of equal parts of a batch that the policy wants."""
        return int(getattr(self.policy, "members", 1))

    @property
    def told(self) -> bool:
        """Whether it takes the observation's "intent" for the truth."""
        return self.mode == "told"

    @property
    def acts_on_belief(self) -> bool:
        """Whether it completes actions for the intent that its belief has committed to."""
        return self.mode in ("filter", "gated")

    def inputs(self, states: Tensor, intents: Tensor) -> Tensor:
        """What the policy reads, (B, S + K): the states and a one-hot, of zeros where `intents` (B,) is K or -1."""
        return torch.cat([states, (intents[:, None] == torch.arange(len(self.intents)).to(intents)).to(states)], 1)

    def fit_rows(self, rows: Rows) -> None:
        """Take from the training rows what is taken without a gradient, for the policy too."""
        self.fit_normaliser(rows.states, rows.actions)
        self.policy.fit_normaliser(self.inputs(rows.states, rows.intents), rows.actions)

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        """The policy's, of rows whose intents are not known."""
        return self.training_loss(Rows(states, actions), generator)

    def training_loss(self, batch: Rows, generator: torch.Generator) -> Tensor:
        states, intents = batch.states, batch.intents
        if self.training:
            dropped = (torch.rand(len(intents), generator=generator) < self.drop).to(intents.device)
            states = self.counterfactual(states, intents, ~dropped, generator)
            intents = torch.where(dropped, -1, intents)
        return self.policy.training_loss(
            Rows(self.inputs(states, intents), batch.actions, intents, batch.before, batch.first), generator
        )

    def complete(self, states: Tensor, operator: Tensor, mask: Tensor) -> Tensor:
        """The policy's completion when nothing is known of the intent."""
        return self.complete_for(states, operator, mask, torch.full((len(states),), -1, device=states.device))

    def complete_for(self, states: Tensor, operator: Tensor, mask: Tensor, intents: Tensor) -> Tensor:
        """The policy's completion for `intents` (B,), K or -1 for none of them, (B, D)."""
        return self.policy.complete(self.inputs(states, intents), operator, mask)

    def calibrate(self, training: Rows, held_out: Rows, generator: torch.Generator) -> None:
        """Fit the evidence and the belief to `held_out` rows; half of them are said to be of an unknown intent."""
        asked = torch.where(torch.rand(len(held_out.states), generator=generator) < 0.5, -1, held_out.intents.cpu())
        asked = asked.to(held_out.states.device)
        seen = Rows(self.inputs(held_out.states, asked), held_out.actions, asked, held_out.before, held_out.first)
        self.evidence.fit(training, seen, generator)
        fit_filter(self, training, held_out, generator)
        self.conformal.fit(held_out, generator)

    def coverage(self, masks: MaskLaw | None = None) -> Coverage | None:
        return self.policy.coverage(masks)

    def log_evidence(self, states: Tensor, operator: Tensor, mask: Tensor, meant: Tensor | None = None) -> Tensor:
        """log p(a_held | s, z) in nats, (B, K + 1), the last column for an intent that is not known.

        Where no row of `meant` (B, K + 1) has an intent its column is not worked out, and holds -inf.
        """
        width = len(self.intents) + 1
        asked = torch.arange(width) if meant is None else meant.any(0).nonzero().squeeze(1)
        rows = torch.arange(max(len(asked), ALIKE)).clamp(max=len(asked) - 1)
        columns = asked[rows].to(states.device)
        parts = [part.repeat_interleave(len(columns), 0) for part in (states, operator, mask)]
        scores: Tensor = self.evidence(self.inputs(parts[0], columns.repeat(len(states))), *parts[1:])
        result = scores.new_full((len(states), width), -torch.inf)
        result[:, columns] = scores.view(len(states), -1)
        return result

    @torch.no_grad()
    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Any]:
        """As `autonomy.types.Assistant` says; `state` is a `BeliefState`.

        The observation may hold "intent" (B,), the index of an intent that the assistant is told, -1 where it is not,
        and "veto" (B, K) bool, intents that are not meant. Raises `UserError` for those out of range or of another
        shape, and for a belief of another width.
        """
        states, operator, mask = self.read(observation)
        starts = np.zeros(len(states), bool) if episode_start is None else np.asarray(episode_start, bool)
        told, meant = self._said(observation, len(states))
        memory = read_memory(state, starts, self.filter.first(meant).numpy())
        scores, memory = self.remembered(states, operator, mask, memory, told, meant)
        intents = torch.as_tensor(memory.intent) if self.acts_on_belief else told
        filled = self.complete_for(states, operator, mask, intents).clamp(-1, 1)
        if self.mode == "gated":
            share = torch.as_tensor(memory.belief).gather(1, torch.as_tensor(memory.intent)[:, None]).squeeze(1)
            filled = gated(filled, share, scores, mask)
        return torch.where(mask, operator, filled).cpu().numpy(), memory

    def remembered(
        self, states: Tensor, operator: Tensor, mask: Tensor, memory: BeliefState, told: Tensor, meant: Tensor
    ) -> tuple[Tensor, BeliefState]:
        """The log evidence (B, K + 1) of this step and the memory after it."""
        belief, intent, since = (torch.as_tensor(part) for part in memory)
        overdue = torch.where(since > self.filter.patience[intent], intent, -1)
        transition = self.persistence.transition(states)
        prior = self.filter.predicted(belief, overdue, transition, meant)
        scores = self.log_evidence(states, operator, mask, meant)
        belief = self.filter.updated(prior, scores, mask.sum(1))
        certain = torch.nn.functional.one_hot(told.clamp(min=0), belief.shape[1]).double()
        belief = torch.where(told[:, None] >= 0, certain, belief)
        chosen = self.filter.committed(belief, intent)
        since = torch.where(chosen == intent, since + 1, 0)
        return scores, BeliefState(belief.numpy(), chosen.numpy(), since.numpy())

    def _said(self, observation: Mapping[str, NDArray[Any]], rows: int) -> tuple[Tensor, Tensor]:
        """What the assistant is told, (B,) with -1 for nothing, and what can be meant, (B, K + 1)."""
        width, names = len(self.intents), ", ".join(self.intents)
        told = np.asarray(observation.get("intent", np.full(rows, -1)))
        veto = np.asarray(observation.get("veto", np.zeros((rows, width), bool)), bool)
        if told.shape != (rows,) or veto.shape != (rows, width):
            raise UserError(f"intent and veto must be ({rows},) and ({rows}, {width}), got {told.shape}, {veto.shape}")
        if told.dtype.kind not in "iu" or not ((told >= -1) & (told < width)).all():
            raise UserError(f"the told intent must be -1 or an index of {names}, 0 to {width - 1}, got {told.tolist()}")
        keep = torch.from_numpy(np.concatenate([~veto, np.ones((rows, 1), bool)], 1))
        return torch.from_numpy(told.astype(np.int64)), keep & self.filter.meant

    def index(self, name: str) -> int:
        """The index of the intent `name`. Raises `UserError` for an unknown one."""
        return self.intents.index(choice("intent", name, self.intents))

    def intent_score(self, states: Tensor, operator: Tensor, mask: Tensor, intents: Tensor | None = None) -> Tensor:
        """log p(a_operator | s) in nats, (B,), or given `intents` (B,); 0 for an empty mask."""
        unknown = torch.full((len(states),), -1, device=states.device)
        inputs = self.inputs(states, unknown if intents is None else intents)
        scores: Tensor = self.evidence(inputs, operator, mask)
        return scores

    def intent_rank(
        self,
        states: Tensor,
        operator: Tensor,
        mask: Tensor,
        n: int = 99,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """How probable the operator's action is, whatever its intent, (B,) in (0, 1]; NaN for an empty mask.

        Of demonstrated actions a share a has a rank <= a: see `autonomy.density.conformal.Conformal`. A run that has
        not been calibrated ranks it beside `n` draws.
        """
        if self.conformal.fitted:
            return self.conformal.p_value(self._plausibility, states, operator, mask, generator)
        return self.evidence.rank(self._of_any(states), operator, mask, n, generator)

    def _plausibility(
        self, states: Tensor, operator: Tensor, mask: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        return self.evidence.plausibility(self._of_any(states), operator, mask, generator)

    def _of_any(self, states: Tensor) -> Tensor:
        """The policy's inputs when nothing is known of the intent."""
        return self.inputs(states, torch.full((len(states),), -1, device=states.device))
