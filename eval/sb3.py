"""Trains an assistant with Stable-Baselines3 on `SharedControl`, and says over paired episodes what it is worth.

    python -m eval.sb3 [algorithm=sac] [channels=random-2] [env.objects=2] [seed=1]

The operator is part of the world, so SB3 sees an environment like any other; what it saves is an assistant as it is.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor
from tqdm import tqdm

import envs  # noqa: F401  (registers the ids)
from autonomy.assistants.zero import ZeroAssistant
from autonomy.checkpoint import load_policy
from autonomy.checks import whole
from autonomy.cli import main
from autonomy.run_directory import atomic_write
from autonomy.types import Array, Assistant, Channels, Operator, UserError
from envs.shared_control import SharedControl
from eval.play import channels_of, one_thread
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


def make_world(n: int, seed: int, operator: Operator, channels: Channels, objects: int) -> VecMonitor:
    """`n` reaching tasks with the operator in them; environment i begins with the episode `seed` + i."""
    make = partial(gymnasium.make, "autonomy/reach-v1", disable_env_checker=True, objects=objects)
    world = VecMonitor(SharedControl(DummyVecEnv([make] * n), operator, channels, seed))
    world.seed(seed)
    return world


def make_agent(cfg: DictConfig) -> BaseAlgorithm:
    """The untrained agent of a composed configs/sb3.yaml. Raises `UserError` for settings that SB3 refuses."""
    n, algorithm = whole("algorithm.environments", cfg.algorithm.environments, 1), cfg.algorithm.name
    world = make_world(n, cfg.seed, instantiate(cfg.operator), channels_of(cfg.channels, cfg.env), cfg.env.objects)
    try:
        agent: BaseAlgorithm = instantiate(cfg.algorithm.agent)(env=world, seed=cfg.seed, device="cpu")
    except (AssertionError, TypeError, ValueError) as error:
        raise UserError(f"{algorithm} cannot be made with these settings of algorithm.agent: {error}") from error
    return agent


def train(agent: BaseAlgorithm, steps: int) -> BaseAlgorithm:
    """The agent itself, after at least `steps` environment steps on one thread."""
    with one_thread():
        return agent.learn(steps, callback=Bar(steps))


def evaluate(assistant: Assistant, world: VecMonitor) -> tuple[Returns, Returns]:
    """Return and number of goals reached of every environment's first episode, in their order.

    SB3's `evaluate_policy` gives episodes in the order in which they end; all end at the same step here.
    """
    reached: list[float] = []

    def note(local: dict[str, Any], _: dict[str, Any]) -> None:
        if local["done"]:
            reached.append(local["info"]["reached"])

    with one_thread():
        returns, _ = evaluate_policy(
            assistant,  # type: ignore[arg-type]
            world,
            n_eval_episodes=world.num_envs,
            return_episode_rewards=True,
            callback=note,
        )
    return np.asarray(returns), np.asarray(reached, float)


def table(cfg: DictConfig, assistant: Assistant) -> str:
    """The assistant of a composed configs/sb3.yaml beside nobody, chance, and an operator who holds everything."""
    episodes, seed = cfg.evaluation.episodes, cfg.evaluation.seed
    channels, everything = (channels_of(one, cfg.env) for one in (cfg.channels, "all"))
    ours = f"operator and {cfg.algorithm.name.upper()}"
    rows: dict[str, tuple[Assistant, Channels]] = {
        "operator alone": (ZeroAssistant(), channels),
        "operator and chance": (RandomAssistant(seed), channels),
        ours: (assistant, channels),
        f"{ours}, misled": (Misled(assistant), channels),
        "operator on all dimensions": (ZeroAssistant(), everything),
    }
    results = {
        row: evaluate(who, make_world(episodes, seed, instantiate(cfg.operator), held, cfg.env.objects))
        for row, (who, held) in rows.items()
    }
    return render(results, ours, f"Channels {channels.name}, {episodes} paired episodes", cfg.seed)


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
    cfg.out = cfg.out or f"runs/sb3/{cfg.algorithm.name}-{channels_of(cfg.channels, cfg.env).name}-seed{cfg.seed}"
    out, agent, saved = usable_folder(Path(cfg.out)), make_agent(cfg), io.BytesIO()
    out.mkdir(parents=True, exist_ok=True)
    train(agent, cfg.algorithm.steps).save(saved)
    atomic_write(out / "assistant.zip", saved.getvalue())
    atomic_write(out / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
    text = table(cfg, load_policy(out / "assistant.zip"))
    atomic_write(out / "table.md", f"{text}\n".encode())
    print(text)
    print(f"out: {out}")


if __name__ == "__main__":
    run()
