"""From the benchmark's configuration to what has to be trained and played."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from autonomy.checks import choice, whole
from autonomy.facts import is_playable, measure
from autonomy.types import UserError
from eval.benchmark.cells import Cell
from eval.benchmark.frame import of_people
from eval.benchmark.ideas import with_ideas
from eval.benchmark.trainings import TRAININGS, Training, check_lists, filled, plan_trainings
from eval.setting import channels_of
from eval.settings import ZERO, compose_rollout, setting_of, usable_folder

STAGES = ("all", "data", "train", "play")


@dataclasses.dataclass(frozen=True)
class Place:
    """A row of the table: `overrides` of configs/rollout.yaml, and where it is on a `curve`."""

    overrides: tuple[str, ...]
    curve: str | None = None
    strength: float | None = None


class Amount(NamedTuple):
    """A place on a curve over trainings: the `overrides` of these, its `value` on the axis, and the training seeds."""

    overrides: tuple[str, ...]
    value: float | None
    seeds: Sequence[int]


class Plan:
    """A checked configuration (configs/benchmark/benchmark.yaml). Raises `UserError` for what cannot be trained or
    played: before hours of training, not after."""

    def __init__(self, cfg: DictConfig) -> None:
        cfg = with_ideas(cfg).copy()
        _check(_plain(cfg, ("assistants", "training_seeds", "processes", "stage", "shards", "shard", "partner_seed")))
        self.out, self.store = (usable_folder(Path(str(cfg[key]))) for key in ("out", "store"))
        first = whole("seed", cfg.seed, 0)
        self.seeds = list(range(first, first + whole("episodes", cfg.episodes, 1)))
        config = _plain(cfg, ("train", "budget", "variants", "training_seeds", "assistants", "seeds_of"))
        _check_seeds_of(config["seeds_of"])
        learn = [*config["train"], *config["budget"]]
        self.assistants: list[str] = config["assistants"]
        self.training_seeds: list[int] = config["training_seeds"]
        folder, grow = self.store / TRAININGS, _plain(cfg, ("grow",))["grow"]
        partner = [] if cfg.partner_seed is None else plan_trainings(["bc"], [cfg.partner_seed], learn, folder)
        self.assisting = _assisting(config, _amounts(grow, self.training_seeds), learn, folder)
        self.grows: str | None = None if grow is None else str(grow["name"])
        self.trainings: list[Training] = [*partner, *self.assisting]
        self.env: DictConfig = self.assisting[0].config.env
        if is_playable(self.env) and self.env.get("period") is None:
            measure(self.env)
        self.name, self.published = str(cfg.name), _plain(cfg, ("published",))["published"]
        self.people = [Path(str(folder)) for folder in _plain(cfg, ("people",))["people"]]
        of_people(self.people)
        self.calibration_rows = whole("calibration", cfg.calibration, 0)
        self.gallery = whole("gallery", cfg.gallery, 0)
        if partner:
            cfg.partner = str(partner[0].run)
        self.places, self.references = _places(_plain(cfg, ("cells", "references", "curves")), self.env)
        if self.grows and any(place.curve for place in self.places):
            raise UserError("a benchmark has curves or it grows, not both: set curves={} or grow=null")

    @property
    def channels(self) -> list[str]:
        """The words for channels that are played off the curves, in order; but not `none`."""
        overrides = [override for place in self.places if place.curve is None for override in place.overrides]
        names = [name for key, _, name in (override.partition("=") for override in overrides) if key == "channels"]
        return [name for name in dict.fromkeys(names) if name != "none" and not name.startswith("[")]

    def cells(self) -> list[Cell]:
        """Every place with every trained assistant, then the references. Needs the run directories of `trainings`."""
        played = [self._trained(place, training) for place in self.places for training in self.assisting]
        return played + [self._cell(place, "nobody", None, ZERO) for place in self.references]

    def _trained(self, place: Place, training: Training) -> Cell:
        if training.amount is not None:
            place = dataclasses.replace(place, curve=self.grows, strength=training.amount)
        place = dataclasses.replace(place, overrides=(*place.overrides, *training.play))
        return self._cell(place, training.assistant, training.seed, str(training.run))

    def _cell(self, place: Place, assistant: str, seed: int | None, run: str) -> Cell:
        setting = setting_of(run, place.overrides, self.env)
        _, operator, channels = setting.labels()
        row = f"{operator}-{channels}" if place.strength is None else f"{operator}-{channels}-{place.strength:g}"
        return Cell(row, assistant, seed, run, setting, place.curve, place.strength)


def _plain(cfg: DictConfig, keys: Sequence[str]) -> dict[str, Any]:
    """Plain values of some keys. Raises `UserError` when something that has to be given was not."""
    try:
        values = {key: cfg[key] for key in keys}
        return {
            key: OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
            if isinstance(value, DictConfig | ListConfig)
            else value
            for key, value in values.items()
        }
    except InterpolationToMissingValueError as error:
        key = str(error).splitlines()[0].rpartition(": ")[2]
        raise UserError(f"{key} has no value; give {key}=...") from error


def _check(config: dict[str, Any]) -> None:
    """Raise `UserError` for a number out of its range or an empty list."""
    check_lists(config["assistants"], config["training_seeds"])
    for key, least in (("processes", 1), ("partner_seed", 0)):
        if config[key] is not None:
            whole(key, config[key], least)
    choice("stage", config["stage"], STAGES)
    shards = whole("shards", config["shards"], 1)
    if whole("shard", config["shard"], 0) >= shards:
        raise UserError(f"shard must be below shards={shards}, got {config['shard']}")


def _check_seeds_of(seeds_of: Any) -> None:
    """Raise `UserError` unless it maps names of assistants to lists of seeds."""
    if not isinstance(seeds_of, dict):
        raise UserError(f"seeds_of must give assistants their training seeds, as {{ibc: [0,1,2]}}, got {seeds_of!r}")
    for name, seeds in seeds_of.items():
        filled(f"seeds_of.{name}", seeds)
        for seed in seeds:
            whole(f"seeds_of.{name}", seed, 0)


def _assisting(
    config: Mapping[str, Any], amounts: Iterable[Amount], learn: Sequence[str], folder: Path
) -> list[Training]:
    """Every training of an assistant, for each of the amounts."""
    variants, seeds_of = config["variants"], config["seeds_of"]
    return [
        training
        for one in amounts
        for training in plan_trainings(
            config["assistants"], one.seeds, [*learn, *one.overrides], folder, variants, one.value, seeds_of
        )
    ]


def _places(config: dict[str, Any], env: DictConfig) -> tuple[list[Place], list[Place]]:
    """The places of the cells and curves, and those of the references, all of which can be played in `env`."""
    curves = [place for name, curve in config["curves"].items() for place in _curve(name, curve)]
    if not curves:
        filled("cells", config["cells"])
    cells, references = ([Place(_overrides(key, entry)) for entry in config[key]] for key in ("cells", "references"))
    _check_places([*cells, *references, *curves], env)
    return [*cells, *curves], references


def _check_places(places: Sequence[Place], env: DictConfig) -> None:
    """Raise `UserError` or Hydra's error for a place that cannot be played in `env`."""
    for place in places:
        channels_of(compose_rollout([*place.overrides, "run=zero"]).channels, env)


def _curve(name: str, curve: Any) -> Iterator[Place]:
    if not isinstance(curve, dict) or set(curve) != {"play", "key", "values"}:
        raise UserError(f"the curve {name} needs play, key and values, got {curve!r}")
    filled(f"curves.{name}.values", curve["values"])
    for value in curve["values"]:
        more = curve["key"].format(value) if "{}" in curve["key"] else f"{curve['key']}={value}"
        yield Place((*_overrides(name, curve["play"]), more), name, float(value))


def _overrides(key: str, entry: Any) -> tuple[str, ...]:
    if not isinstance(entry, list) or not all(isinstance(override, str) for override in entry):
        raise UserError(f"{key} must be lists such as [operator=expert, channels=shoulder], got {entry!r}")
    return tuple(entry)


def _amounts(grow: Any, training_seeds: Sequence[int]) -> list[Amount]:
    """The amounts of a curve over trainings; without one, the one amount that changes nothing."""
    if grow is None:
        return [Amount((), None, training_seeds)]
    if not isinstance(grow, dict) or not {"name", "key", "values"} <= set(grow) <= {"name", "key", "values", "fewer"}:
        raise UserError(f"grow needs name, key and values, and may have fewer, got {grow!r}")
    groups = [(grow["values"], training_seeds)]
    if fewer := grow.get("fewer"):
        if not isinstance(fewer, dict) or set(fewer) != {"values", "training_seeds"}:
            raise UserError(f"grow.fewer needs values and training_seeds, got {fewer!r}")
        groups.append((fewer["values"], fewer["training_seeds"]))
    for values, seeds in groups:
        filled("the values and training seeds of grow", values)
        filled("the values and training seeds of grow", seeds)
    return [Amount((f"{grow['key']}={one}",), float(one), seeds) for values, seeds in groups for one in values]
