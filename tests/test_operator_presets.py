"""The presets of configs/operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
import numpy as np
import omegaconf
import pytest
from stable_baselines3 import PPO

from autonomy.types import Operator
from envs.fetch import FetchOperator
from envs.habits import Hesitant, Wandering
from envs.imperfections import Biased, Delayed, DropOut, Laggy, Noisy
from envs.kitchen.operator import ExpertOperator
from envs.operators import (
    HoldOperator,
    RandomOperator,
    ZeroOperator,
)
from envs.reach import ReachOperator
from tests.operators import DIM, Plain, begin, states

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def preset(name: str, *overrides: str) -> Any:
    with hydra.initialize_config_dir(str(CONFIGS), version_base=None):
        return hydra.compose(overrides=["+env=kitchen-mixed", f"+operator={name}", *overrides]).operator


@pytest.mark.parametrize(
    ("name", "kind", "label"),
    [
        ("expert", ExpertOperator, "expert"),
        ("random", RandomOperator, "random"),
        ("zero", ZeroOperator, "zero"),
        ("hold", HoldOperator, "hold"),
        ("noisy", Noisy, "noisy-0.3-expert"),
        ("laggy", Laggy, "laggy-0.8-expert"),
        ("delayed", Delayed, "delayed-3-expert"),
        ("biased", Biased, "biased-0.1-expert"),
        ("drop-out", DropOut, "drop-out-0.1-expert"),
        ("wandering", Wandering, "wandering-0.01-expert"),
        ("hesitant", Hesitant, "hesitant-0.01-expert"),
        ("fetch", FetchOperator, "fetch"),
        ("reach", ReachOperator, "reach"),
    ],
)
def test_presets_make_operators(name: str, kind: type, label: str) -> None:
    operator = hydra.utils.instantiate(preset(name))
    assert type(operator) is kind
    assert operator.name == label
    assert isinstance(operator, Operator)


def test_there_are_no_other_presets() -> None:
    names = {"expert", "policy", "replay", "random", "zero", "hold", "noisy", "laggy", "delayed", "biased", "drop-out"}
    names |= {"wandering", "hesitant", "fetch", "reach"}
    assert {path.stem for path in (CONFIGS / "operator").glob("*.yaml")} == names


def test_the_expert_preset_demonstrates_as_the_recordings_do() -> None:
    from envs.kitchen.expert.recipe import Recipe

    config, recipe = preset("expert"), Recipe()
    assert (config.speed, config.smooth, config.jitter) == (recipe.speed, recipe.smooth, recipe.jitter)


def test_an_order_on_the_command_line() -> None:
    operator = hydra.utils.instantiate(preset("expert", "operator.order=[light switch,kettle]"))
    begin(operator, 1)
    assert operator.intent(0) == ("light switch", "kettle")
    with pytest.raises(hydra.errors.InstantiationException, match="the tasks are microwave"):
        hydra.utils.instantiate(preset("expert", "operator.order=[toaster]"))


def test_wrappers_nest_on_the_command_line() -> None:
    config = preset("noisy", "operator@operator.operator=delayed", "operator@operator.operator.operator=zero")
    assert hydra.utils.instantiate(config).name == "noisy-0.3-delayed-3-zero"
    config = preset("laggy", "operator.p=0.5", "operator.operator.order=[kettle]", "operator.operator.aware=true")
    assert hydra.utils.instantiate(config).name == "laggy-0.5-aware-expert"
    config = preset("hesitant", "operator@operator.operator=wandering", "operator.operator.operator.aware=true")
    assert hydra.utils.instantiate(config).name == "hesitant-0.01-wandering-0.01-aware-expert"
    config = preset("noisy", "operator@operator.operator=hesitant", "operator.operator.spell=25")
    assert hydra.utils.instantiate(config).name == "noisy-0.3-hesitant-0.01-expert"


def test_a_habit_of_an_operator_that_cannot_be_led_is_one_sentence() -> None:
    config = preset("wandering", "operator@operator.operator=noisy")
    with pytest.raises(hydra.errors.InstantiationException, match="must be round expert, wandering or hesitant"):
        hydra.utils.instantiate(config)


def test_the_policy_preset_loads_a_policy(tmp_path: Path) -> None:
    agent = PPO("MlpPolicy", Plain(), device="cpu", policy_kwargs={"net_arch": [8]})
    agent.save(tmp_path / "agent.zip")
    operator = hydra.utils.instantiate(preset("policy", f"operator.policy.path={tmp_path / 'agent.zip'}"))
    begin(operator, 2)
    assert (operator.act(states(2), []) == agent.predict(states(2), deterministic=True)[0]).all()


def test_the_policy_preset_asks_for_a_path() -> None:
    with pytest.raises(omegaconf.MissingMandatoryValue, match=r"operator\.policy\.path"):
        hydra.utils.instantiate(preset("policy"))


def test_a_replay_speaks_the_worlds_units(tmp_path: Path) -> None:
    actions = np.tile(np.linspace(0.0, 4.0, 9)[:, None], (1, 9))
    np.savez(tmp_path / "a.npz", states=np.zeros((9, 30)), actions=actions)
    box = "+env.box={low: [-4,-4,-4,-4,-4,-4,-4,-4,-4], high: [4,4,4,4,4,4,4,4,4]}"
    config = preset("replay", "data@operator.source=npz", f"operator.source.path={tmp_path / 'a.npz'}", box)
    config.source.reading = None
    operator = hydra.utils.instantiate(config)
    begin(operator, 1)
    played = np.concatenate([operator.act(states(1), []) for _ in range(9)])
    np.testing.assert_allclose(played, actions / 4, atol=1e-6)


def test_the_replay_preset_takes_any_data_source() -> None:
    for source in ("scripted", "d4rl", "minari"):
        config = preset("replay", f"data@operator.source={source}")
        assert config.source["_target_"].startswith("autonomy.data.")
    assert config.dim == DIM
