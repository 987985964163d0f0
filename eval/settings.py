"""From composed configuration and run directories to the settings that are played."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict

from autonomy.checkpoint import check_compatible
from autonomy.checks import switch, whole
from autonomy.configs import CONFIGS
from autonomy.facts import measure
from autonomy.run_directory import RunDirectory
from autonomy.types import UserError
from eval.setting import Factory, Setting, channels_of, world_of

ZERO = "zero"
_ZERO_ASSISTANT = {"_target_": "autonomy.assistants.zero.ZeroAssistant"}


def compose_config(name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose configs/<name>.yaml with `overrides`, as the command line would; inside a program or outside."""
    if GlobalHydra.instance().is_initialized():
        return compose(name, list(overrides))
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(name, list(overrides))


def compose_rollout(overrides: Sequence[str]) -> DictConfig:
    """Compose configs/rollout.yaml with `overrides`, as the command line of `eval.rollout` would."""
    return compose_config("rollout", overrides)


def assistant_name(run: str | Path) -> str:
    """What records call the assistant of a run directory: the `name` in its configuration."""
    return str(_config(str(run)).get("name", "assistant"))


def rollout_setting(cfg: DictConfig, env: DictConfig | None = None) -> tuple[Setting, Path]:
    """The setting of a composed configs/rollout.yaml and the folder for its results.

    The environment is `cfg.env` when it was given, otherwise `env`, otherwise the one the run was trained on. Raises
    `UserError` for a run directory that is missing, damaged, or of another environment or action size.
    """
    alone = cfg.run == ZERO
    default = compose_config("train", []) if alone else _config(cfg.run)
    env = cfg.get("env") or env or default.env
    if env.get("state_dim") is None:
        measure(env)
    if not alone:
        check_compatible(cfg.run, cast(DictConfig, env))
    parts = with_env(cfg, cast(DictConfig, env))
    assistant = _ZERO_ASSISTANT if alone else _trained(cfg)
    name = "zero" if alone else assistant_name(cfg.run)
    draws = whole("draws", cfg.draws, 0)
    channels, world = channels_of(parts["channels"], parts["env"]), world_of(parts["env"])
    setting = Setting(name, Factory(assistant), Factory(parts["operator"]), channels, world, parts["env"], draws)
    return setting, _folder(cfg, setting)


def _trained(cfg: DictConfig) -> dict[str, Any]:
    """How to make the assistant; float32 goes without saying, as in the settings of older rollouts."""
    made = {"_target_": "autonomy.checkpoint.load_assistant", "run": str(cfg.run)}
    intent = cfg.get("intent")  # a configuration of the group; that of `none` says nothing else
    options = {
        "precision": cfg.get("precision", "float32"),
        "intent": None if intent is None else intent.get("mode", "none"),
    }
    return {**made, **{key: value for key, value in options.items() if value not in ("float32", None)}}


def _config(run: str) -> DictConfig:
    return RunDirectory.open(run).config()


def with_env(cfg: DictConfig, env: DictConfig) -> dict[str, Any]:
    """`cfg` as plain containers, with `env` in it: operators refer to its tasks and sizes."""
    whole_cfg = cfg.copy()
    with open_dict(whole_cfg):
        whole_cfg.env = env
    return cast(dict[str, Any], OmegaConf.to_container(whole_cfg, resolve=True, throw_on_missing=True))


def usable_folder(path: Path) -> Path:
    """`path` itself. Raises `UserError` when no folder can be made there, or nothing written into the one there is."""
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(
            f"cannot write to out={path}: {there} is not a folder that you may write to; give another out=..."
        )
    return path


def _folder(cfg: DictConfig, setting: Setting) -> Path:
    if cfg.out:
        return Path(str(cfg.out))
    _, operator, channels = setting.labels()
    home = Path("runs", "zero") if cfg.run == ZERO else Path(cfg.run)
    return home / "rollouts" / f"{operator}-{channels}-{cfg.episodes}-episodes-seed{cfg.seed}"


def seeds_of(cfg: DictConfig) -> list[int]:
    """The episode seeds `seed`, `seed` + 1, ... Raises `UserError` for a number out of its range."""
    if cfg.processes is not None:
        whole("processes", cfg.processes, 1)
    whole("batch", cfg.batch, 1)
    switch("video", cfg.video)
    seed = whole("seed", cfg.seed, 0)
    return list(range(seed, seed + whole("episodes", cfg.episodes, 1)))


def short_settings(run: Path) -> list[Setting]:
    """What a run's environment has as `cases`: each an operator, channels and, where it is not the run, who assists.

    An assistant `zero` means that the other dimensions stand still.
    """
    env = _config(str(run)).env
    return [
        setting_of(who[0] if who else str(run), [f"operator={operator}", f"channels={channels}"], env)
        for operator, channels, *who in env.cases
    ]


def setting_of(run: str, overrides: Sequence[str], env: DictConfig) -> Setting:
    """The setting of run directory `run` (or "zero") in `env` (a config of configs/env), by `overrides` otherwise."""
    cfg = compose_rollout([*overrides, "run=zero"])
    cfg.run = run
    if "env" in cfg:
        raise UserError("the environment is the run's: leave env= out of the overrides")
    return rollout_setting(cfg, env)[0]
