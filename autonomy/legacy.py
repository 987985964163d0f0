"""Run directories of version 0.1, whose assistants and weights had other names."""

from __future__ import annotations

from typing import TypeVar

from omegaconf import DictConfig, OmegaConf

Value = TypeVar("Value")
_DENSITIES = "autonomy.density"
_OF_ASSISTANT = ("masks", "select", "candidates", "seed")
_OF_NETWORK = ("width", "depth", "components", "floor", "dropout", "centred")
_SIZES = {"state_dim": "context_dim", "action_dim": "dim"}


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
