"""Every configuration composes, and everything in it that names a class can be made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from autonomy.configs import CONFIGS
from autonomy.types import Assistant, UserError

PROGRAMS = sorted(file.stem for file in CONFIGS.glob("*.yaml"))
ROOTS = {CONFIGS, CONFIGS / "benchmark", CONFIGS / "cockpit", CONFIGS / "density"}
"""Folders of programs; some have groups of their own, and tests of their own."""
SMALL = ["model.width=16", "model.depth=2", "model.components=3"]
# What has no default because only the user knows it.
NEEDED = {
    "data=d4rl": ["data.path=FILE"],
    "data=hdf5": ["data.path=FILE"],
    "data=npz": ["data.path=FILE"],
    "data=mix": ["data.sources=[{_target_: autonomy.data.npz.NpzSource, path: FILE}]"],
    "operator=replay": ["data@operator.source=d4rl", "operator.source.path=FILE"],
}


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (CONFIGS / group).glob("*.yaml"))


@pytest.fixture(autouse=True, scope="module")
def _hydra() -> Iterator[None]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        yield


def composed(program: str, *overrides: str) -> DictConfig:
    return compose(program, [*overrides, *(extra for override in overrides for extra in NEEDED.get(override, []))])


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_compose_and_are_quiet(program: str) -> None:
    hydra = compose(program, return_hydra_config=True).hydra
    assert hydra.output_subdir is None, "a program writes no logs of Hydra's"
    assert hydra.run.dir == "."
    assert hydra.job_logging.root is None


def test_there_is_one_configuration_per_program(root: Path) -> None:
    assert {"data", "rollout", "train"} <= set(PROGRAMS)
    sources = "".join(file.read_text() for package in ("autonomy", "eval") for file in (root / package).rglob("*.py"))
    assert [program for program in PROGRAMS if f'@main("{program}")' not in sources] == []


@pytest.mark.parametrize("file", sorted(CONFIGS.rglob("*.yaml")), ids=lambda file: str(file.relative_to(CONFIGS)))
def test_files_are_short(file: Path) -> None:
    limit = 50 if file.parent in ROOTS else 30
    assert len(file.read_text().splitlines()) <= limit
    assert yaml.safe_load(file.read_text()) is not None


@pytest.mark.parametrize("masks", options("masks"))
@pytest.mark.parametrize("name", options("assistant"))
def test_assistants(name: str, masks: str) -> None:
    has_masks = "masks" in composed("train", f"assistant={name}").assistant
    with_masks = [f"masks@assistant.masks={masks}"] if has_masks else []
    cfg = composed("train", f"assistant={name}", *with_masks, *SMALL)
    assert cfg.name == name
    assert isinstance(instantiate(cfg.assistant), Assistant)


@pytest.mark.parametrize("protocol", options("protocol"))
def test_protocols(protocol: str) -> None:
    cfg = composed("train", f"protocol@assistant.density.protocol={protocol}", *SMALL)
    assistant = instantiate(cfg.assistant)
    assert type(assistant.density.protocol).__name__.lower().startswith(protocol.replace("-", ""))
    assert (assistant.coverage().untrained > 0) == (protocol == "marginal")


def test_any_order_differs_from_mac_in_the_law_of_its_masks_alone() -> None:
    mac, peer = (OmegaConf.to_container(composed("train", f"assistant={name}")) for name in ("mac", "any-order"))
    ours, theirs = mac["assistant"]["density"], peer["assistant"]["density"]
    assert theirs.pop("protocol")["_target_"].endswith("AnyOrderProtocol")
    assert (ours.pop("edge"), theirs.pop("edge")) == (0.5, 0.0)
    del ours["protocol"]
    assert (mac.pop("name"), peer.pop("name")) == ("mac", "any-order")
    assert peer == mac
    assert instantiate(composed("train", "assistant=any-order", *SMALL).assistant).coverage().untrained == 0


@pytest.mark.parametrize("schedule", options("schedule"))
@pytest.mark.parametrize("model", options("model"))
def test_models_and_schedules(model: str, schedule: str) -> None:
    cfg = composed("train", f"model={model}", f"schedule={schedule}")
    assert cfg.model.name == model
    assert instantiate(cfg.training).schedule(0, 10) == 1.0


def test_the_papers_preset() -> None:
    cfg = composed("train", "model=paper")
    network = cfg.assistant.density.network
    assert (network.width, network.depth, network.components) == (2048, 8, 20)
    settings = instantiate(cfg.training)
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (300, 4096, 5e-4)
    assert settings.total_steps(136_950) == 10_031


@pytest.mark.parametrize("preset", options("preset"))
def test_presets(preset: str) -> None:
    name, _, model = preset.rpartition("-")
    cfg = composed("train", f"assistant={name}", f"model={model}")
    assert isinstance(instantiate(cfg.assistant), Assistant)
    assert instantiate(cfg.training).schedule(0, 10) == 1.0
    content = yaml.safe_load((CONFIGS / "preset" / f"{preset}.yaml").read_text())
    content.pop("defaults", None)
    assert OmegaConf.merge(cfg, content) == cfg


@pytest.mark.parametrize("data", options("data"))
def test_data_sources(data: str) -> None:
    assert callable(instantiate(composed("train", f"data={data}").data).load)


@pytest.mark.parametrize("env", [env for env in options("env") if env.startswith("kitchen")])
def test_environments(env: str) -> None:
    from eval.setting import make_world

    cfg = composed("train", f"env={env}").env
    assert cfg.name == env
    world = make_world(cfg, 1)
    assert world.observation_space.shape == (cfg.state_dim,)
    assert world.action_space.shape == (cfg.action_dim,)
    assert set(world.tasks) == set(cfg.tasks)
    assert {name: list(dims) for name, dims in world.channels.items()} == cfg.channels
    world.close()


@pytest.mark.parametrize("operator", options("operator"))
def test_operators(operator: str, d4rl_file: Path, tmp_path: Path) -> None:
    cfg = composed("rollout", "env=kitchen-mixed", f"operator={operator}", "run=DIR")
    if operator == "policy":
        cfg.operator.policy.path = str(tmp_path / "nothing")
        with pytest.raises(Exception, match="neither a run directory nor a zip") as caught:
            instantiate(cfg.operator)
        assert isinstance(caught.value.__cause__, UserError)
        return
    if operator == "replay":
        cfg.operator.source.path = str(d4rl_file)
    made = instantiate(cfg.operator)
    assert callable(made.act)
    assert callable(made.intent)


def test_the_paper_experiment_is_the_paper_s() -> None:
    cfg = composed("train", "experiment=paper", "data=d4rl", "data.path=file.hdf5")
    network = cfg.assistant.density.network
    assert (network.width, network.depth, network.components) == (2048, 8, 20)
    assert (cfg.training.epochs, cfg.training.batch_size, cfg.training.learning_rate) == (300, 4096, 5e-4)
    assert cfg.training.precision == "bfloat16"


def test_the_smoke_experiment_is_small() -> None:
    cfg = composed("train", "experiment=smoke")
    assert instantiate(cfg.training).steps <= 500
    assert isinstance(instantiate(cfg.assistant), Assistant)
    assert cfg.evaluation.episodes > 0
