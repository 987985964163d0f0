"""Rollouts: paired, sharded by episode, the same for any number of processes, and honest about what they count."""

from __future__ import annotations

import dataclasses
import functools
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig

from autonomy.assistants.zero import ZeroAssistant
from autonomy.channels import FixedChannels
from autonomy.types import UserError
from envs.gym import GymWorld
from envs.operators import RandomOperator
from eval.episodes import EpisodeRecord, Tally, read_episodes, summarise, table, write_episodes
from eval.play import play
from eval.probe import Intent
from eval.rollout import evaluate, save
from eval.setting import Factory, Setting
from eval.settings import compose_rollout, rollout_setting, seeds_of, setting_of
from eval.short import short_evaluation


class Sampler:
    """An assistant that fills in random numbers from a generator of its own, made when it is."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def predict(
        self, observation: Mapping[str, Any], state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        mask = np.asarray(observation["operator_mask"], dtype=bool)
        drawn = self._rng.uniform(-1, 1, mask.shape)
        return np.where(mask, observation["operator_action"], drawn).astype(np.float32), state


def short_env(steps: int = 12) -> DictConfig:
    env = compose_rollout(["run=zero", "env=kitchen-mixed"]).env
    env.max_episode_steps = steps
    return env


def setting(*overrides: str, steps: int = 12) -> Setting:
    return setting_of("zero", list(overrides) or ["operator=random", "channels=random-3"], short_env(steps))


def test_records_are_the_same_for_one_and_for_three_processes_and_for_a_second_time() -> None:
    expert = setting("operator=expert", "channels=random-3")
    alone = evaluate(expert, range(7), processes=1, batch=3)
    assert alone == evaluate(expert, range(7), processes=3, batch=3)
    assert alone == evaluate(expert, range(7), processes=1, batch=3)
    assert [record.seed for record in alone] == list(range(7))
    assert len({record.mask for record in alone}) > 1
    assert {sum(record.mask) for record in alone} == {3}
    assert len({record.intended for record in alone}) > 1


def test_an_assistant_that_samples_does_not_depend_on_what_was_played_before() -> None:
    plain = setting()
    sampler = dataclasses.replace(plain, name="sampler", assistant=Sampler)
    assert evaluate(sampler, [1, 2, 3, 4], processes=1, batch=2)[2:] == play(sampler, [3, 4], 2)


def test_seeds_pair_the_assistants() -> None:
    """What the operator holds and means depends on the episode seed only, not on its place in a batch."""
    expert = setting("operator=expert", "channels=random-3")
    forward, backward = play(expert, [5, 6, 7], 3), play(expert, [7, 5], 2)
    pick = [(record.mask, record.intended) for record in forward]
    assert [(record.mask, record.intended) for record in backward] == [pick[2], pick[0]]


def test_full_expert_does_tasks_and_the_zero_assistant_alone_does_none() -> None:
    full = evaluate(
        setting("operator=expert", "operator.order=[microwave]", "channels=all", steps=90), [1], processes=1
    )[0]
    assert full.completed == ("microwave",)
    assert full.first_intended is True
    assert full.deviation is None
    nothing = evaluate(setting("operator=zero", "channels=none"), [1], processes=1)[0]
    assert (nothing.reward, nothing.first_intended, nothing.deviation) == (0.0, None, None)


def _info(**changes: Any) -> dict[str, Any]:
    info = {
        "operator_mask": np.array([True, False, False]),
        "operator_action": np.array([1.0, 0.5, 0.0]),
        "executed_action": np.array([1.0, 0.0, 0.25]),
        "completed": ("kettle", "microwave"),
        "intent": ("kettle",),
        "success": True,
    }
    return {**info, **changes}


def test_tally_counts_deviation_on_filled_dims_only_and_leaves_refused_steps_out() -> None:
    tally = Tally()
    tally.add(1.0, _info(), 2.0)
    tally.add(1.0, _info(operator_error="NaN", operator_action=np.full(3, 9.0)), 4.0)
    record = tally.record(_info(), ("mac", "expert", "base"), 7)
    assert record.deviation == pytest.approx((0.5 + 0.25) / 2)
    assert (record.reward, record.length, record.ms, record.operator_error) == (2.0, 2, 3.0, "NaN")
    assert record.first_intended is True
    assert tally.record(_info(intent=("microwave",)), ("", "", ""), 7).first_intended is False
    assert tally.record(_info(completed=()), ("", "", ""), 7).first_intended is False
    assert tally.record(_info(intent=()), ("", "", ""), 7).first_intended is None


def test_tally_counts_improbable_commands_among_the_measured_ones() -> None:
    tally = Tally()
    for intent in (Intent(-2.0, 0.05), None, Intent(1.0, 0.051), Intent(1.0, 1.0), None, Intent(2.0, 0.01)):
        tally.add(0.0, _info(), 1.0, intent)
    record = tally.record(_info(), ("mac", "expert", "base"), 7)
    assert (record.success, record.intent_score, record.improbable) == (True, 0.5, 0.5)


def record_of(seed: int, reward: float, **changes: Any) -> EpisodeRecord:
    values: dict[str, Any] = {
        "assistant": "mac", "operator": "expert", "channels": "base", "mask": (1, 0), "seed": seed, "reward": reward,
        "length": 10, "completed": ("kettle",) if reward else (), "intended": ("kettle",), "first_intended": reward > 0,
        "deviation": 0.25, "operator_error": None, "ms": 1.0, "ms_p50": 1.0, "ms_p99": 2.0,
    }  # fmt: skip
    return EpisodeRecord(**{**values, **changes})


def test_summary_of_known_records_and_the_files_round_trip(tmp_path: Path) -> None:
    records = [record_of(seed, float(seed % 2), success=seed < 2, improbable=0.25) for seed in range(10)]
    summary = save(tmp_path, [records], {"tasks": ["kettle", "microwave"]})[0]
    assert summary["reward"]["mean"] == 0.5
    assert summary["reward"]["low"] < 0.5 < summary["reward"]["high"]
    assert summary["tasks"] == {"kettle": 0.5, "microwave": 0.0}
    assert summary["first_intended"]["mean"] == 0.5
    assert summary["seeds"] == [0, 9]
    assert (summary["success"]["mean"], summary["improbable"]["mean"]) == (0.2, 0.25)
    assert summary["intent_score"] is None
    assert read_episodes(tmp_path / "episodes.jsonl") == records
    assert json.loads((tmp_path / "summary.json").read_text()) == [summary]
    text = table([summary])
    assert "0.50 [" in text
    assert "0.50            0.25       0.25        1.0 (2.0)" in text  # first intended, deviation, improbable, ms
    assert "seeds" in text or "0 to 9" in text


def test_summary_without_intent_and_with_refused_commands() -> None:
    records = [record_of(0, 1.0, first_intended=None, deviation=None, operator_error="NaN")]
    summary = summarise(records, {"tasks": ["kettle"]})
    assert summary["first_intended"] is None
    assert summary["deviation"] is None
    assert "refused in 1 episodes" in table([summary])


def test_an_episode_that_the_simulator_broke_is_marked() -> None:
    tally = Tally()
    info = _info(world_error="state or reward is not finite in step 3")
    tally.add(1.0, info, 2.0)
    record = tally.record(info, ("mac", "expert", "base"), 3)
    assert record.world_error == info["world_error"]
    assert "not finite in 1 episodes" in table([summarise([record], {"tasks": ["kettle"]})])


def test_a_damaged_file_of_episodes_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "episodes.jsonl"
    write_episodes(path, [record_of(0, 1.0)])
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UserError, match="is not a file of evaluated episodes"):
        read_episodes(path)


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1]])
def test_seeds_must_be_different_and_not_negative(seeds: list[int]) -> None:
    with pytest.raises(UserError, match="different seeds"):
        evaluate(setting(), seeds, processes=1)


@pytest.mark.parametrize("override", ["episodes=0", "seed=-1", "processes=0", "batch=0", "episodes=1.5"])
def test_numbers_out_of_range_are_refused(override: str) -> None:
    with pytest.raises(UserError, match=override.partition("=")[0]):
        seeds_of(compose_rollout(["run=zero", override]))


def test_operators_and_channels_see_the_environment(tmp_path: Path) -> None:
    cfg = compose_rollout(["run=zero", "env=kitchen-complete", "operator=expert", f"out={tmp_path}"])
    found, folder = rollout_setting(cfg)
    assert isinstance(found.operator, Factory)
    assert "slide cabinet" in found.operator.config["tasks"]
    assert folder == tmp_path
    assert found.labels() == ("zero", "expert", "shoulder")


def test_a_missing_run_directory_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "eval.rollout", f"run={tmp_path / 'nothing'}"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no run directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, d4rl_file: Path, program: Callable[..., Any]) -> Path:
    """A run directory of a few steps on small data."""
    run = tmp_path_factory.mktemp("rollout") / "run"
    small = ["training.steps=2", "training.validate_every=2", "model.width=8", "env.max_episode_steps=6"]
    done = program(
        "autonomy.train", "data=d4rl", f"data.path={d4rl_file}", f"run={run}", "evaluation.episodes=0", *small
    )
    assert done.returncode == 0, done.stderr
    return run


def test_the_program_plays_a_run_in_its_own_environment(trained: Path, program: Callable[..., Any]) -> None:
    done = program("eval.rollout", f"run={trained}", "episodes=2", "processes=1")
    assert done.returncode == 0, done.stderr
    out = trained / "rollouts" / "expert-shoulder-2-episodes-seed1000"
    assert done.stdout.splitlines()[-1] == f"out: {out}"
    records = read_episodes(out / "episodes.jsonl")
    assert [(r.assistant, r.length, r.mask[:4]) for r in records] == [("mac", 6, (1, 1, 1, 1))] * 2


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["env=kitchen-complete"], "env=kitchen-mixed"),
        (["operator=nobody"], "expert"),
        (["channels=elbow"], "shoulder"),
        (["channels=[9]"], "0 to 8"),
        (["operator.order=[sink]"], "microwave"),
        (["operator=policy"], "operator.policy.path"),
    ],
)
def test_mistakes_are_one_sentence_that_names_the_valid_choices(
    trained: Path, program: Callable[..., Any], overrides: list[str], words: str
) -> None:
    done = program("eval.rollout", f"run={trained}", "episodes=2", f"out={trained / 'not-written'}", *overrides)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (trained / "not-written").exists()


def test_the_short_evaluation_writes_its_files_and_prints_five_rows(
    trained: Path, capsys: pytest.CaptureFixture
) -> None:
    text = short_evaluation(trained, {"episodes": 2, "seed": 5, "processes": 1, "video": False})
    assert text in capsys.readouterr().out
    summaries = json.loads((trained / "summary.json").read_text())
    rows = [(s["assistant"], s["operator"], s["channels"]) for s in summaries]
    assert rows[0] == ("mac", "zero", "none")
    assert rows[1] == ("zero", "expert", "shoulder")
    assert rows[2:] == [("mac", "expert", channels) for channels in ("shoulder", "wrist", "random-3")]
    assert len(read_episodes(trained / "episodes.jsonl")) == 10


def test_a_setting_of_one_s_own_is_made_of_any_callables() -> None:
    world = functools.partial(GymWorld, id="Pendulum-v1", max_episode_steps=7)
    hand = functools.partial(RandomOperator, dim=1)
    own = Setting("nobody", ZeroAssistant, hand, FixedChannels([0], 1, "all"), world, {"tasks": []})
    (record,) = evaluate(own, [3], processes=1)
    assert (record.operator, record.channels, record.length) == ("random", "all", 7)
    with pytest.raises(TypeError, match="made of factories"):
        own.description()


def test_factories_are_equal_by_what_they_describe_and_raise_the_sentences_of_what_they_make() -> None:
    wide = {"_target_": "autonomy.channels.FixedChannels", "dims": [0], "dim": 3}
    assert pickle.loads(pickle.dumps(Factory(wide))) == Factory(dict(wide))
    assert Factory(wide)(dim=2).sample(1, np.random.default_rng(0)).tolist() == [[True, False]]
    with pytest.raises(UserError, match="not distinct action dimensions"):
        Factory({**wide, "dims": [9]})()
