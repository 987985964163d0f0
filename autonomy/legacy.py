"""Run directories of older versions, whose classes, environments and weights had other names."""

from __future__ import annotations

from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from autonomy import configs

Value = TypeVar("Value")
_DENSITIES = "autonomy.density"
_OF_ASSISTANT = ("masks", "select", "candidates", "seed")
_OF_NETWORK = ("width", "depth", "components", "floor", "dropout", "centred")
_SIZES = {"state_dim": "context_dim", "action_dim": "dim"}
_MOVED = {
    "envs.expert.": "envs.kitchen.expert.",
    "envs.vector.": "envs.kitchen.world.",
    "envs.operators.ExpertOperator": "envs.kitchen.operator.ExpertOperator",
    "autonomy.data.d4rl.D4RLSource": "autonomy.data.hdf5.HDF5Source",
}
"""Beginnings of dotted names, and what they are today."""


def modern(config: DictConfig) -> DictConfig:
    """The resolved configuration of a run as it is written today, but for its assistant: see `modern_assistant`."""
    config = _renamed(config)
    if "world" not in config.env and "name" in config.env:
        config.env = _environment(config.env)
    if "data" in config and "tasks" in config.data and "reading" in config.env:
        config.data = _read_by(config.data, config.env.reading)
    return config


def _renamed(config: DictConfig) -> DictConfig:
    """Everything that `_MOVED` names by today's name."""

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: moved(entry) if key == "_target_" and isinstance(entry, str) else renamed(entry)
                for key, entry in value.items()
            }
        return [renamed(entry) for entry in value] if isinstance(value, list) else value

    def moved(name: str) -> str:
        return next((new + name.removeprefix(old) for old, new in _MOVED.items() if name.startswith(old)), name)

    return DictConfig(renamed(OmegaConf.to_container(config)))


def _environment(env: DictConfig) -> DictConfig:
    """What an environment of that name is today, with the options of `env`; `env` itself when there is none."""
    if not configs.has("env", env.name):
        return env
    whole = OmegaConf.create({"env": OmegaConf.merge(configs.read("env", env.name), env)})
    OmegaConf.resolve(whole)
    return DictConfig(whole.env)


def _read_by(data: DictConfig, reading: DictConfig) -> DictConfig:
    """A source that knew its world's tasks, as one that is told how the world reads its recordings."""
    kept = {key: value for key, value in data.items() if key not in ("tasks", "obs", "mixture")}
    if "mixture" in data:
        kept["generate"] = {**data.generate, "mixture": data.mixture}
    return OmegaConf.create({**kept, "reading": {**reading, "tasks": data.tasks, "obs": data.get("obs", "pose")}})


def modern_assistant(config: DictConfig) -> DictConfig:
    """The configuration of an assistant as it is written today; one that is of today comes back as it is."""
    target = str(config.get("_target_"))
    if target == "autonomy.assistants.mac.MACAssistant":
        return _assistant(config, _mac(config))
    if target == "autonomy.assistants.made.MADEAssistant":
        keys = [*_SIZES, "width", "depth", "components", "floor", "connectivities"]
        masks = {"_target_": f"{_DENSITIES}.masks.CardinalityMasks", "dim": config.action_dim}
        made = {"_target_": f"{_DENSITIES}.made.MADE", **_chosen(config, keys)}
        return _assistant(OmegaConf.create({**config, "masks": masks}), made)
    return config


def _mac(config: DictConfig) -> dict[str, object]:
    network = {"_target_": f"{_DENSITIES}.networks.mixture.MixtureNetwork", **_chosen(config, [*_SIZES, *_OF_NETWORK])}
    completion = {"_target_": f"{_DENSITIES}.protocols.CompletionProtocol", "masks": config.masks}
    return {
        "_target_": f"{_DENSITIES}.mac.MAC",
        "network": {"floor": 0.1, **network},
        "protocol": config.get("protocol") or completion,
        "edge": 0.5,
        "regression": 50.0,
        **_chosen(config, ["edge", "evidence_noise", "regression"]),
    }


def _assistant(config: DictConfig, density: dict[str, object]) -> DictConfig:
    whole = {"_target_": "autonomy.assistants.density.DensityAssistant", "density": density}
    return OmegaConf.create({**whole, **_chosen(config, _OF_ASSISTANT)})


def _chosen(config: DictConfig, keys: list[str] | tuple[str, ...]) -> dict[str, object]:
    return {_SIZES.get(key, key): config[key] for key in keys if key in config}


def modern_names(tensors: dict[str, Value]) -> dict[str, Value]:
    """Weights by the names of today: a MAC's head and trunk are parts of its network."""
    if not any("density.trunk." in name for name in tensors):
        return tensors
    for part in ("trunk", "head"):
        tensors = {name.replace(f"density.{part}.", f"density.network.{part}."): t for name, t in tensors.items()}
    return tensors
