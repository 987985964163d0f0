"""Filling in what held-out demonstrations did: exact laws, what is given, the tables, and `python -m eval.offline`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from autonomy.assistants.density import DensityAssistant
from autonomy.assistants.filled import filled_cdf, filled_log_prob
from autonomy.assistants.zero import ZeroAssistant
from autonomy.channels import FixedChannels, RandomChannels
from autonomy.configs import CONFIGS
from autonomy.density.masks import CardinalityMasks
from autonomy.intent.assistant import IntentAssistant
from autonomy.intent.persistence import Persistence
from autonomy.run_directory import RunDirectory
from autonomy.train import train
from autonomy.types import ActionBox, Demonstrations, Episode, UserError
from eval import offline
from eval.benchmark.trainings import plan_trainings
from eval.filling import Filled, fill, repeated
from eval.filling_tables import dimensions, frame, table
from eval.intent import judging_episodes
from eval.report import write_report
from eval.settings import compose_config
from tests.believers import Believer
from tests.densities import CONTEXT, DIM, gaussian_mixture
from tests.laws import generator

torch.set_num_threads(1)


def gaussian(inputs: int = CONTEXT) -> DensityAssistant:
    return DensityAssistant(gaussian_mixture(2, context=inputs), CardinalityMasks(DIM)).double()


def drawn(n: int, inputs: int = CONTEXT) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """States and actions of the law itself, and what is held of them: all sizes but all."""
    joint = gaussian_mixture(2, context=inputs).joint_sample(n, generator(1))
    return joint[:, DIM:], joint[:, :DIM], CardinalityMasks(DIM, 0, DIM - 1).sample(n, generator(2))


def test_the_law_of_what_is_filled_in_is_the_density_s_conditional() -> None:
    assistant, (states, actions, held) = gaussian(), drawn(3000)
    found = filled_log_prob(assistant, states, actions, held, None)
    torch.testing.assert_close(found, assistant.density.log_prob(actions, ~held, held, states))
    cdf = filled_cdf(assistant, states, actions, held, None)
    assert cdf is not None
    for band in (0.5, 0.9):  # what was drawn lies in a central band as often as the band is wide
        share = (2 * cdf[~held] - 1).abs().le(band).double().mean()
        assert abs(float(share) - band) < 0.02


def test_intents_are_marginalised_out_by_the_belief() -> None:
    assistant = IntentAssistant(
        gaussian(CONTEXT + 2), ("pour", "stir"), partial(Persistence, width=4, steps=1)
    ).double()
    _, actions, held = drawn(20)
    states = torch.randn(20, CONTEXT, generator=generator(3), dtype=torch.float64)
    belief = torch.rand(20, 3, generator=generator(4), dtype=torch.float64).softmax(1)
    belief[:, 1], belief[:5, 1] = 0.0, 2e-4  # too little to be asked about
    one_hot = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    laws, levels = [], []
    for z in (0, 2):
        inputs = torch.cat([states, one_hot[z].expand(20, -1)], 1)
        laws.append(assistant.policy.density.log_prob(actions, ~held, held, inputs).exp())
        levels.append(assistant.policy.density.cdf(actions, held, inputs))
    weights = belief[:, [0, 2]] / belief[:, [0, 2]].sum(1, keepdim=True)
    found = filled_log_prob(assistant, states, actions, held, belief)
    assert found is not None
    torch.testing.assert_close(found.exp(), (weights * torch.stack(laws, 1)).sum(1))
    torch.testing.assert_close(
        filled_cdf(assistant, states, actions, held, belief), (weights[..., None] * torch.stack(levels, 1)).sum(1)
    )


def test_an_assistant_without_a_density_says_nothing_of_it() -> None:
    states, actions, held = drawn(2)
    assert filled_log_prob(ZeroAssistant(), states, actions, held, None) is None
    assert filled_cdf(ZeroAssistant(), states, actions, held, None) is None


def demonstrations() -> Demonstrations:
    """Two episodes of three dimensions, of 3 and 2 steps; the second one has no labels."""
    actions = [
        np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]),
        np.array([[0.2, 0.2, 0.2], [0.6, 0.6, 0.6]]),
    ]
    first, second = (Episode(np.zeros((len(a), 5), np.float32), a.astype(np.float32)) for a in actions)
    labelled = Episode(first.states, first.actions, intents=np.array([0, 0, 1]))
    return Demonstrations((labelled, second), (), "two", ("kettle", "sink"), box=ActionBox((0, 0, -50), (2, 4, 150)))


def test_gaps_are_of_the_filled_dimensions_alone() -> None:
    found = fill(Believer("kettle"), demonstrations(), FixedChannels([0], 3), 0)
    assert found.episode.tolist() == [0, 0, 0, 1, 1]
    assert np.isnan(found.gaps[:, 0]).all()
    np.testing.assert_allclose(found.gaps[:, 1], [-0.2, -0.5, -0.8, -0.2, -0.6], rtol=1e-6)  # it moves nothing
    np.testing.assert_array_equal(found.right, [1, 1, 0, np.nan, np.nan])  # the sink has no name
    assert np.isnan(found.log_prob).all()
    np.testing.assert_allclose(found.by_episode(np.abs(found.gaps)), [(1.5 + 1.8) / 6, 0.4], rtol=1e-6)
    assert np.isnan(found.by_episode(found.log_prob)).all()
    last = repeated(demonstrations(), FixedChannels([0], 3), 0)
    np.testing.assert_allclose(last.gaps[:, 2], [-0.3, -0.3, -0.3, -0.2, -0.4], rtol=1e-6)
    drawn_alike = [who(demonstrations(), RandomChannels(1, 3), 4) for who in (partial(fill, ZeroAssistant()), repeated)]
    np.testing.assert_array_equal(*(np.isnan(one.gaps) for one in drawn_alike))
    with pytest.raises(UserError, match="nothing is filled in"):
        fill(ZeroAssistant(), demonstrations(), FixedChannels([0, 1, 2], 3), 0)


def test_tables_average_over_episodes_and_dimensions_in_their_units() -> None:
    channels = FixedChannels([0], 3, "thumb")
    found: dict[str, dict[str, Filled]] = {
        "thumb": {
            "zero": fill(ZeroAssistant(), demonstrations(), channels, 0),
            "last": repeated(demonstrations(), channels, 0),
        }
    }
    by_dimension = dimensions([found], demonstrations().box or ActionBox.unit(3), ("thumb", "palm", "wrist"))
    zero = by_dimension[by_dimension["assistant"] == "zero"].set_index("dimension")["error"]
    assert zero.to_dict() == pytest.approx({"palm": 2 * (0.2 + 0.5 + 0.8 + 0.2 + 0.6) / 5, "wrist": 100 * 2.6 / 5})
    episodes = frame(found)
    assert episodes["error"].tolist() == pytest.approx([0.55, 0.4, 1.7 / 6, 0.3], rel=1e-6)
    lines = table(episodes).splitlines()
    assert lines[2].startswith("| thumb | zero | 0.475 [")
    assert "| thumb | last | 0.292 [" in lines[3]
    assert "| -0.183 [" in lines[3]


def recording(path: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(120, 2))
    actions = np.stack([50 * states[:, 0], states[:, 1], states.sum(1)], 1)
    np.savez(path, states=states, actions=actions, episode_ends=np.arange(10, 121, 10))
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of any robot: a mac, a bc on the same episodes, and one that has seen others."""
    home = tmp_path_factory.mktemp("offline")
    file = recording(home / "robot.npz")
    small = ["training.steps=30", "training.validate_every=30", "model.width=16", "model.components=2"]
    world = ["env=recorded", "data=npz", f"data.path={file}", "training.validation_fraction=0.3", *small]
    masks = "masks@assistant.masks=uniform"
    options = {"mac": ["assistant=mac", masks], "bc": ["assistant=bc"], "other": ["assistant=bc", "seed=1"]}
    cases = {name: compose_config("train", [*world, *own, f"run={home / name}"]) for name, own in options.items()}
    return {name: train(cfg).path for name, cfg in cases.items()}


def program(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["eval.offline", *arguments])
    offline.run()


def test_runs_of_any_robot_are_judged(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(monkeypatch, f"run={runs['mac']}", f"peers=[{runs['bc']}]", "held=[[0],random-1,none]", "neighbours=3")
    text, folder = capsys.readouterr().out, runs["mac"] / "offline"
    assert "4 episodes that training has not seen" in text
    episodes = pd.read_csv(folder / "offline.csv")
    assert episodes.groupby("assistant").size().to_dict() == dict.fromkeys(
        ["mac", "bc", "3 nearest neighbours", "the last action again"], 12
    )
    assert episodes.dropna(subset="log_prob")["assistant"].unique().tolist() == ["mac"]
    assert set(episodes["channels"]) == {"dims-0", "random-1", "none"}
    by_dimension = pd.read_csv(folder / "dimensions.csv")
    assert set(by_dimension[by_dimension["channels"] == "dims-0"]["dimension"]) == {1, 2}
    alone = by_dimension[(by_dimension["channels"] == "none") & (by_dimension["assistant"] == "the last action again")]
    assert alone["error"].tolist()[0] > 20 * alone["error"].tolist()[1]  # in the robot's units
    assert (folder / "offline.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "offline.md").read_text().splitlines()[0] in text
    page = write_report(runs["mac"]).read_text(encoding="utf-8")
    assert "<td>3 nearest neighbours</td>" in page
    assert "mean error of each filled dimension" in page
    other = recording(runs["mac"].parent / "more.npz", seed=1)
    fresh = ["data=npz", f"data.path={other}", "episodes=7", "held=[none]"]
    program(monkeypatch, f"run={runs['mac']}", f"peers=[{runs['other']}]", *fresh)
    given = compose_config("offline", [f"run={runs['mac']}", *fresh])
    judging = judging_episodes(given, RunDirectory.open(runs["mac"]))
    assert max(np.abs(one.actions).max() for one in judging) <= 1  # recorded: up to some 150 of the robot's units
    assert judging.box is not None
    assert judging.box.high[0] > 50
    assert "7 episodes that training has not seen" in capsys.readouterr().out


def test_recordings_train_their_assistants_and_each_seed_judges_its_own_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["training.steps=20", "training.validate_every=20", "model.width=16", "model.components=2"]
    sizes = ["training.validation_fraction=0.3", "masks@assistant.masks=uniform", *small]
    given = ["env=recorded", "data=npz", f"data.path={recording(tmp_path / 'robot.npz')}", *sizes]
    train = f"train=[{','.join(map(repr, given))}]"
    options = ["assistants=[mac,conditional-bc]", "training_seeds=[0,1]", "held=[[0],none]", f"store={tmp_path}"]
    program(monkeypatch, "recordings=g1", train, *options, f"out={tmp_path / 'out'}")
    assert "8 episodes that training has not seen; 2 trained models each" in " ".join(capsys.readouterr().out.split())
    episodes = pd.read_csv(tmp_path / "out" / "offline.csv")
    assert episodes.groupby(["assistant", "model"]).size().unique().tolist() == [8]
    assert len(list((tmp_path / "trainings").glob("*.finished"))) == 4


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONFIGS / "recordings").glob("*.yaml")))
def test_what_is_trained_on_recordings_can_be_composed(name: str) -> None:
    cfg = compose_config("offline", [f"recordings={name}", "path=FILE"])
    assert (cfg.name, cfg.assistants[0]) == (name, "mac")
    for training in plan_trainings(cfg.assistants, [0], cfg.train, Path()):
        channels = training.config.env.channels
        assert training.config.data.path == "FILE"
        assert all(held in (*channels, "none", "random-3") for held in cfg.held)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["held=none"], "held must be a list"),
        (["held=[[3]]"], "0 to 2"),
        (["held=[all]"], "nothing is filled in"),
        (["held=[elbow]"], "random-3"),
        (["neighbours=-1"], "neighbours must be a whole number of at least 0"),
        (["episodes=0"], "episodes must be a whole number of at least 1"),
        (["peers=[OTHER]"], "trained on other episodes"),
        (["peers=[nowhere]"], "there is no run directory"),
        (["run=null", "recordings=g1", "path=x"], "x: there is no such file"),
        (["run=null", "recordings=g1", "path=x", "training_seeds=[]"], "training_seeds must be a list of one or more"),
        (["run=null", "recordings=g1", "path=x", "training_seeds=[1,1]"], "different from each other"),
        (["recordings=g1", "path=x"], "give run=DIR, or recordings=NAME path=FILE"),
    ],
)
def test_mistakes_are_one_sentence(
    runs: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    words: str,
) -> None:
    given = [override.replace("OTHER", str(runs["other"])) for override in overrides]
    with pytest.raises(SystemExit) as exit_of:
        program(monkeypatch, f"run={runs['bc']}", *given)
    assert exit_of.value.code == 2
    assert words in capsys.readouterr().err
    assert not (runs["bc"] / "offline").exists()


def test_it_is_the_very_predict_that_plays() -> None:
    """Memory is handed on from step to step, and what is held is given as it was done."""
    seen: list[Any] = []

    class Listening(Believer):
        def predict(self, observation: Any, state: Any = None, *rest: Any, **options: Any) -> Any:
            seen.append((observation, state))
            return super().predict(observation, state, *rest, **options)

        def __deepcopy__(self, memo: Any) -> Any:
            return self

    fill(Listening(), demonstrations(), FixedChannels([2], 3), 0)
    assert [state is None for _, state in seen] == [True, False, False]
    np.testing.assert_allclose(seen[1][0]["operator_action"], [[0, 0, 0.6], [0, 0, 0.6]], rtol=1e-6)
    assert "veto" not in seen[0][0]
