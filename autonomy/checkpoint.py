"""Run directory -> assistant. The configuration names classes to build: load only runs that you trust."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from autonomy.assistants.build import build_assistant
from autonomy.checks import choice
from autonomy.density.int8 import quantise
from autonomy.intent.assistant import MODES, IntentAssistant
from autonomy.run_directory import RunDirectory
from autonomy.training_state import load_weights
from autonomy.types import Assistant, UserError

PRECISIONS = ("float32", "int8")
SB3_ALGORITHMS = ("A2C", "DDPG", "PPO", "SAC", "TD3")  # the ones that act in a Box


def load_assistant(
    run: str | Path, device: str | torch.device = "cpu", precision: str = "float32", intent: str | None = None
) -> Assistant:
    """The trained assistant of a run directory, ready to predict.

    `intent`: filter, gated, told or none, for an assistant that has learned intents; None for what the run says.
    `precision`: float32, or int8 for decisions within the control period by a wide network on a CPU; what that changes
    is printed by `python -m eval.precision`. Raises `UserError` for another one, and when the directory or one of its
    files is missing, corrupted or does not fit the others.
    """
    choice("precision", precision, PRECISIONS)
    directory = RunDirectory.open(run)
    config = directory.config()
    directory.require(directory.model_file)
    try:
        assistant = build_assistant(config)
    except InstantiationException as error:
        raise directory.broken(directory.config_file, error.__cause__ or error) from error
    if not isinstance(assistant, torch.nn.Module) or not isinstance(assistant, Assistant):
        raise directory.broken(directory.config_file, f"{config.assistant.get('_target_')} is not an assistant")
    load_weights(assistant, directory)
    if intent is not None:
        _set_mode(assistant, intent, directory)
    assistant.to(device).eval()
    if precision == "int8":
        quantise(assistant)
    return assistant


def _set_mode(assistant: torch.nn.Module, intent: str, directory: RunDirectory) -> None:
    """How the assistant knows the intent. Raises `UserError` for an unknown way, and for one without intents."""
    choice("intent", intent, MODES)
    if isinstance(assistant, IntentAssistant):
        assistant.mode = intent
    elif intent != "none":
        raise UserError(f"the assistant of {directory.path} has learned no intents; the valid one is intent=none")


def check_compatible(run: str | Path, env: DictConfig) -> None:
    """Raise `UserError` unless the run was trained on the environment `env` (a config of configs/env)."""
    trained = RunDirectory.open(run).config().env
    directory = RunDirectory(run)
    if missing := [key for key in ("name", "tasks", "state_dim", "action_dim") if key not in trained]:
        raise directory.broken(directory.config_file, f"it lacks env.{missing[0]}")
    for key in ("name", "world.id", "obs", "state_dim", "action_dim"):  # not the tasks: the same actions do any of them
        theirs, ours = OmegaConf.select(trained, key), OmegaConf.select(env, key)
        if theirs != ours and not (ours is None and "dim" in key):  # a size that the world itself knows
            raise UserError(
                f"the run {run} was trained with env.{key}={theirs}, not {ours}; use env={trained.get('name')}"
            )


def load_policy(path: str | Path, algorithm: str | None = None) -> Any:
    """Anything with Stable-Baselines3's `predict`: a run directory of ours, or a zip that one of SB3's agents saved.

    `algorithm` names the agent of a zip; None guesses it from the settings in there. Raises `UserError` for a path that
    is neither, or an unknown algorithm. SB3's zips hold pickles: load only those that you trust.
    """
    path = Path(path)
    if path.is_dir():
        return load_assistant(path)
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is neither a run directory nor a zip of a Stable-Baselines3 agent")
    import stable_baselines3

    name = choice("algorithm", algorithm or _guess_algorithm(path), SB3_ALGORITHMS)
    return getattr(stable_baselines3, name).load(path, device="cpu")


def _guess_algorithm(path: Path) -> str:
    """Guess the algorithm from the settings that only one has. Raises `UserError` where none of them is there."""
    try:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("data"))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a zip of a Stable-Baselines3 agent: {error}") from error
    for key, name in (
        ("clip_range", "PPO"),
        ("gae_lambda", "A2C"),
        ("ent_coef", "SAC"),
        ("target_policy_noise", "TD3"),
    ):
        if key in settings:
            return name
    raise UserError(f"cannot tell which agent saved {path}; give algorithm=, one of {', '.join(SB3_ALGORITHMS)}")
