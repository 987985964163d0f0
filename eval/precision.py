"""What int8 weights change beside float32 ones: log-likelihood and actions on held-out rows, reward on paired episodes.

python -m eval.precision run=DIR cell.channels=wrist episodes=40
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from omegaconf import DictConfig

from autonomy.assistants.density import DensityAssistant
from autonomy.checkpoint import PRECISIONS, load_assistant
from autonomy.checks import whole
from autonomy.cli import main
from autonomy.fit import Rows
from autonomy.intent.assistant import IntentAssistant
from autonomy.run_directory import RunDirectory
from autonomy.types import UserError
from eval.intent import held_out, some_of
from eval.rollout import evaluate
from eval.setting import channels_of
from eval.settings import setting_of
from eval.stats import compare

Compared = DensityAssistant | IntentAssistant
"""With a density: what of it is compared is what is said when no intent is known."""


@main("precision")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/precision.yaml."""
    episodes, seed = whole("episodes", cfg.episodes, 1), whole("seed", cfg.seed, 0)
    directory, pair = RunDirectory.open(cfg.run), [_load(cfg.run, precision) for precision in PRECISIONS]
    rows = some_of(held_out(directory), whole("rows", cfg.rows, 1), torch.Generator().manual_seed(0))
    lines = [likelihood(pair, rows)]
    env = directory.config().env
    for channels in [channels_of(one, env) for one in cfg.held]:
        mask = torch.from_numpy(channels.sample(len(rows.states), np.random.default_rng(seed)))
        lines.append(f"{channels.name}: {actions(pair, rows, mask)}")
    lines.append(reward(cfg, range(seed, seed + episodes), env))
    print("\n".join(lines))


def _load(run: str, precision: str) -> Compared:
    assistant = load_assistant(run, precision=precision)
    policy = assistant.policy if isinstance(assistant, IntentAssistant) else assistant
    if not isinstance(assistant, DensityAssistant | IntentAssistant) or not isinstance(policy, DensityAssistant):
        raise UserError(f"the assistant of {run} has no density to compare; give the run of a mac, any-order or made")
    return assistant


def likelihood(pair: Sequence[Compared], rows: Rows) -> str:
    """Mean log p(a | s) of both, and of the difference."""
    everything = torch.ones_like(rows.actions, dtype=torch.bool)
    plain, quick = (assistant.intent_score(rows.states, rows.actions, everything) for assistant in pair)
    change = f"{(quick - plain).mean():+.4f} (at most {(quick - plain).abs().max():.3f} a row)"
    means = f"float32 {plain.mean():.4f}, int8 {quick.mean():.4f}, change {change}"
    return f"log p(a | s) of {len(plain)} held-out rows, nats: {means}"


@torch.no_grad()
def actions(pair: Sequence[Compared], rows: Rows, mask: torch.Tensor) -> str:
    """The difference of what both fill in beside the demonstrated values of `mask`, in action units."""
    filled = (assistant.complete(rows.states, rows.actions, mask).clamp(-1, 1) for assistant in pair)
    plain, quick = (completed[~mask] for completed in filled)
    difference = plain - quick
    rms, most = difference.square().mean().sqrt(), difference.abs().max()
    return f"completed dimensions differ by {rms:.4f} rms, {most:.3f} at most"


def reward(cfg: DictConfig, seeds: Sequence[int], env: DictConfig) -> str:
    """Paired episodes with both: the means, and the difference with its 95% interval over episodes."""
    rewards, cell = [], [f"{part}={name}" for part, name in cfg.cell.items()]
    for precision in PRECISIONS:
        setting = setting_of(str(cfg.run), [*cell, f"precision={precision}"], env)
        records = evaluate(setting, seeds, processes=cfg.processes, label=precision)
        rewards.append(np.array([[record.reward for record in records]]))
    plain, quick = rewards
    difference = compare(quick, plain).difference
    change = f"change {difference.mean:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}] over episodes"
    what = f"reward of {len(seeds)} paired episodes, {' '.join(cell)}"
    return f"{what}: float32 {plain.mean():.2f}, int8 {quick.mean():.2f}, {change}"


if __name__ == "__main__":
    run()
