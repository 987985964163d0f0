"""Trains an assistant with Stable-Baselines3 on `SharedControl`, and says over paired episodes what it is worth.

    python -m eval.sb3 [algorithm=sac] [channels=random-2] [env.objects=2] [seed=1]

The operator is part of the world, so SB3 sees an environment like any other; what it saves is an assistant as it is.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor
from tqdm import tqdm

from autonomy.assistants.zero import ZeroAssistant
from autonomy.checkpoint import load_policy
from autonomy.checks import whole
from autonomy.cli import main
from autonomy.facts import measure
from autonomy.run_directory import atomic_write
from autonomy.types import Array, Assistant, Channels, UserError
from envs.shared_control import SharedControl
from envs.world import World
from eval.play import one_thread, play
from eval.setting import Setting, channels_of, make_world, world_of
from eval.settings import usable_folder
from eval.stats import caveat, compare, mean_interval

Returns = NDArray[np.float64]


class RandomAssistant(Assistant):
    """Fills in uniform numbers in [-1, 1]."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Any]:
        mask = np.asarray(observation["operator_mask"], dtype=bool)
        drawn = self._rng.uniform(-1.0, 1.0, mask.shape)
        return np.where(mask, observation["operator_action"], drawn).astype(np.float32), state


class Misled(Assistant):
    """Another assistant that is shown the commands of the episode beside its own: what it owes to reading them."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Any]:
        commands = {key: np.roll(observation[key], 1, axis=0) for key in ("operator_action", "operator_mask")}
        return self._assistant.predict({**observation, **commands}, state, episode_start, deterministic)


class Bar(BaseCallback):
    """A progress bar over `steps`, with the mean return of the last hundred episodes."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._bar = tqdm(total=steps, desc="training", unit="step", dynamic_ncols=True)

    def _on_step(self) -> bool:
        self._bar.update(min(self.num_timesteps, self._bar.total) - self._bar.n)
        return True

    def _on_rollout_end(self) -> None:
        episodes = self.model.ep_info_buffer
        if episodes:
            self._bar.set_postfix_str(f"return {np.mean([episode['r'] for episode in episodes]):.2f}")

    def _on_training_end(self) -> None:
        self._bar.close()


def make_agent(cfg: DictConfig) -> BaseAlgorithm:
    """The untrained agent of a composed configs/sb3.yaml, in its world; writes the world's sizes into `cfg.env`.

    Environment i begins with the episode `seed` + i. Raises `UserError` for settings that SB3 refuses, and for another
    world than the reaching task's, since goals are counted here.
    """
    n, algorithm = whole("algorithm.environments", cfg.algorithm.environments, 1), cfg.algorithm.name
    measure(cfg.env)
    bare, operator, channels = make_world(cfg.env, n), instantiate(cfg.operator), channels_of(cfg.channels, cfg.env)
    if not hasattr(bare.simulators[0], "reached"):
        raise UserError(f"eval.sb3 counts the goals that are reached in env=reach, and env={cfg.env.name} counts none")
    world = VecMonitor(SharedControl(bare, operator, channels, cfg.seed))
    world.seed(cfg.seed)
    try:
        agent: BaseAlgorithm = instantiate(cfg.algorithm.agent)(env=world, seed=cfg.seed, device="cpu")
    except (AssertionError, TypeError, ValueError) as error:
        raise UserError(f"{algorithm} cannot be made with these settings of algorithm.agent: {error}") from error
    return agent


def train(agent: BaseAlgorithm, steps: int) -> BaseAlgorithm:
    """The agent itself, after at least `steps` environment steps on one thread."""
    with one_thread():
        return agent.learn(steps, callback=Bar(steps))


def played(setting: Setting, seeds: Sequence[int]) -> tuple[Returns, Returns]:
    """Return and number of goals reached of the reaching task's episodes `seeds`, (N,) each, played side by side."""
    reached = np.zeros(len(seeds))

    def count(world: World, _: Mapping[str, Any]) -> None:
        reached[:] = world.get_attr("reached")

    records = play(setting, seeds, len(seeds), count)
    return np.array([record.reward for record in records]), reached


def table(cfg: DictConfig, zip_file: Path) -> str:
    """The saved assistant of a composed configs/sb3.yaml beside nobody, chance, and an operator who holds it all."""
    seeds = range(cfg.evaluation.seed, cfg.evaluation.seed + cfg.evaluation.episodes)
    operator, world = partial(instantiate, cfg.operator), world_of(cfg.env)
    held, everything = (channels_of(one, cfg.env) for one in (cfg.channels, "all"))
    trained = partial(load_policy, zip_file)
    ours = f"operator and {cfg.algorithm.name.upper()}"
    rows: dict[str, tuple[Callable[[], Any], Channels]] = {
        "operator alone": (ZeroAssistant, held),
        "operator and chance": (partial(RandomAssistant, cfg.evaluation.seed), held),
        ours: (trained, held),
        f"{ours}, misled": (lambda: Misled(trained()), held),
        "operator on all dimensions": (ZeroAssistant, everything),
    }
    results = {
        row: played(Setting(row, who, operator, channels, world, cfg.env, cfg.evaluation.seed), seeds)
        for row, (who, channels) in rows.items()
    }
    what = f"Channels {held.name}, {len(seeds)} paired episodes"
    return render(results, ours, what, cfg.seed)


def render(results: Mapping[str, tuple[Returns, Returns]], ours: str, what: str, training_seed: int) -> str:
    """Markdown: a row for each of `results`, and the paired differences of the row `ours`."""
    lines = ["| who | return [95%] | goals reached [95%] |", "|---|---|---|"]
    lines += [f"| {row} | {mean_interval(a)} | {mean_interval(b)} |" for row, (a, b) in results.items()]
    for other in ("operator alone", f"{ours}, misled"):
        lines += ["", f"Return of {ours} minus {other}: {compare([results[ours][0]], [results[other][0]])}."]
    notes = [
        f"{what}. Return: 1 for every goal that is reached, and how much nearer the goals the hand came.",
        f"misled: the assistant is shown another episode's commands. {caveat([training_seed])}",
    ]
    return "\n".join([*lines, "", *notes])


@main("sb3")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/sb3.yaml."""
    for key, low in (("seed", 0), ("evaluation.seed", 0), ("evaluation.episodes", 1), ("algorithm.steps", 1)):
        whole(key, OmegaConf.select(cfg, key), low)
    agent = make_agent(cfg)
    cfg.out = cfg.out or f"runs/sb3/{cfg.algorithm.name}-{channels_of(cfg.channels, cfg.env).name}-seed{cfg.seed}"
    out, saved = usable_folder(Path(cfg.out)), io.BytesIO()
    out.mkdir(parents=True, exist_ok=True)
    train(agent, cfg.algorithm.steps).save(saved)
    atomic_write(out / "assistant.zip", saved.getvalue())
    atomic_write(out / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
    text = table(cfg, out / "assistant.zip")
    atomic_write(out / "table.md", f"{text}\n".encode())
    print(text)
    print(f"out: {out}")


if __name__ == "__main__":
    run()
