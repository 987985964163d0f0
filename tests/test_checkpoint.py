"""Run directory -> assistant, and what is said when the two do not fit."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import stable_baselines3
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from torch.nn import Module

from autonomy.checkpoint import check_compatible, load_assistant, load_policy
from autonomy.configs import CONFIGS
from autonomy.run_directory import RunDirectory
from autonomy.training_state import read_tensors, snapshot, write_tensors
from autonomy.types import Assistant, UserError

SMALL = ["model.width=16", "model.depth=2", "model.components=3"]


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", [*SMALL, *overrides])


def saved(path: Path, *overrides: str) -> tuple[RunDirectory, Module]:
    from hydra.utils import instantiate

    run = RunDirectory.create(path, config(*overrides))
    assistant = instantiate(run.config().assistant)
    write_tensors(run.model_file, snapshot(assistant), {"step": 1})
    return run, assistant


def observation(n: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    mask = rng.random((n, 9)) < 0.5
    return {
        "state": rng.normal(size=(n, 30)).astype(np.float32),
        "operator_action": rng.uniform(-1, 1, (n, 9)).astype(np.float32),
        "operator_mask": mask,
    }


@pytest.mark.parametrize(
    "name",
    ["mac", "any-order", "made", "bc", "conditional-bc", "explicit-bc", "ibc", "diffusion", "forward-diffusion"],
)
def test_an_assistant_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    run, assistant = saved(tmp_path / "run", f"assistant={name}")
    loaded = load_assistant(run.path)
    assert isinstance(loaded, Assistant)
    assert isinstance(assistant, Assistant)
    assert isinstance(loaded, Module)
    assert not loaded.training
    np.testing.assert_array_equal(loaded.predict(observation())[0], assistant.eval().predict(observation())[0])


def test_equal_tensors_make_equal_files(tmp_path: Path) -> None:
    tensors = {name: torch.arange(n).float() for name, n in (("b", 3), ("a", 5), ("c", 1))}
    for name, order in (("one", tensors), ("two", dict(reversed(tensors.items())))):
        write_tensors(tmp_path / name, order, {"step": 3, "loss": 0.1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    run = RunDirectory(tmp_path)
    assert read_tensors(run, tmp_path / "one")[1] == {"step": 3, "loss": 0.1}


@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "empty"])
def test_damaged_weights(tmp_path: Path, damage: str) -> None:
    run, _ = saved(tmp_path / "run")
    content = run.model_file.read_bytes()
    damaged = {"truncated": content[:-100], "garbage": b"x" * 1000, "empty": b""}
    run.model_file.unlink()
    if damage in damaged:
        run.model_file.write_bytes(damaged[damage])
    sentence = (
        "has no model.safetensors" if damage == "missing" else "model.safetensors is corrupted or of another program"
    )
    with pytest.raises(UserError, match=sentence.replace(".", r"\.")):
        load_assistant(run.path)


def test_weights_of_another_model(tmp_path: Path) -> None:
    run, _ = saved(tmp_path / "run", "assistant=bc")
    other, _ = saved(tmp_path / "other", "assistant=bc", "model.width=32")
    run.model_file.write_bytes(other.model_file.read_bytes())
    with pytest.raises(UserError, match=r"model\.safetensors does not fit the model of .*config\.yaml: size mismatch"):
        load_assistant(run.path)


def test_a_configuration_of_something_else(tmp_path: Path) -> None:
    run, _ = saved(tmp_path / "run", "assistant=bc")
    broken = run.config()
    broken.assistant = {"_target_": "builtins.dict"}
    run.config_file.write_text(OmegaConf.to_yaml(broken))
    with pytest.raises(UserError, match=r"builtins\.dict is not an assistant"):
        load_assistant(run.path)


def test_a_run_of_another_environment(tmp_path: Path) -> None:
    run, _ = saved(tmp_path / "run", "assistant=bc")
    check_compatible(run.path, config().env)
    with pytest.raises(
        UserError, match=r"trained with env\.name=kitchen-mixed, not kitchen-partial; use env=kitchen-mixed"
    ):
        check_compatible(run.path, config("env=kitchen-partial").env)
    with pytest.raises(UserError, match=r"trained with env\.action_dim=9, not 7"):
        check_compatible(run.path, config("env.action_dim=7").env)


def test_policies_of_stable_baselines3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = gymnasium.make("Pendulum-v1")
    for name in ("PPO", "A2C", "SAC", "TD3"):
        agent = getattr(stable_baselines3, name)(
            "MlpPolicy", env, device="cpu", **({"buffer_size": 10} if name in ("SAC", "TD3") else {})
        )
        agent.save(tmp_path / name)
        loaded = load_policy(tmp_path / f"{name}.zip")
        assert type(loaded) is type(agent)
        np.testing.assert_array_equal(
            *(a.predict(np.ones(3, np.float32), deterministic=True)[0] for a in (agent, loaded))
        )
    with pytest.raises(UserError, match="unknown algorithm 'DQN2'; the valid ones are A2C"):
        load_policy(tmp_path / "PPO.zip", algorithm="DQN2")


def test_what_is_no_policy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    for path in (tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(UserError, match="neither a run directory nor a zip"):
            load_policy(path)
    with pytest.raises(UserError, match=r"has no config\.yaml"):
        load_policy(tmp_path)


def test_a_run_directory_is_a_policy(tmp_path: Path) -> None:
    run, _ = saved(tmp_path / "run", "assistant=bc")
    assert load_policy(run.path).predict(observation())[0].shape == (4, 9)
