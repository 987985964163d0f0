"""Ranks of highest density: exact laws, one law for draws and densities, probes in rollouts, and calibration."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from scipy.stats import chi2, kstest
from torch import Tensor

from autonomy.assistants.mac import MACAssistant
from autonomy.density.base import Density
from autonomy.density.gaussian import GaussianMixture
from autonomy.density.masks import CardinalityMasks
from autonomy.run_directory import RunDirectory
from autonomy.train import train
from autonomy.types import UserError
from eval import intent
from eval.episodes import read_episodes
from eval.intent import calibration, distance, held_out
from eval.play import Setting, play
from eval.probe import DRAWS, EVERY, IMPROBABLE, Probe
from eval.settings import compose_config, compose_rollout, setting_of
from tests.densities import BUILDERS, CONDITIONAL, DIM, build, gaussian_mixture, rows, some_of
from tests.laws import generator

torch.set_num_threads(1)
SMALL = ["training.steps=2", "training.validate_every=2", "model.width=8", "model.depth=2", "evaluation.episodes=0"]


def drawn(density: GaussianMixture, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values and context of the law itself, with queries and evidence of all sizes."""
    joint = density.joint_sample(n, generator(5))
    evidence = CardinalityMasks(DIM, 0, DIM - 1).sample(n, generator(6))
    return joint[:, :DIM], some_of(~evidence), evidence, joint[:, DIM:]


def uniformity(ranks: Tensor, n: int) -> float:
    """Kolmogorov's p-value, the steps of the law filled in with uniform noise."""
    noise = torch.rand(ranks.shape, generator=generator(7), dtype=torch.float64)
    return float(kstest((ranks - noise / (n + 1)).numpy(), "uniform").pvalue)


@pytest.mark.parametrize("components", [1, 3])
def test_ranks_of_a_density_s_own_draws_are_uniform(components: int) -> None:
    density = gaussian_mixture(components)
    x, query, evidence, context = drawn(density, 2000)
    ranks = density.highest_density_rank(x, query, evidence, context, 19, generator(8))
    assert ranks.dtype == torch.float64
    assert uniformity(ranks, 19) > 1e-3
    wider = torch.where(query, 1.5 * x, x)
    assert uniformity(density.highest_density_rank(wider, query, evidence, context, 19, generator(8)), 19) < 1e-6


def mahalanobis(density: GaussianMixture, x: Tensor, asked: Tensor, given: Tensor) -> float:
    """Squared, of x_asked under the conditional by the textbook; `x` (P,) and the masks (P,) with the context."""
    mean, s = density.means[0], density.covariances[0]
    gain = s[asked][:, given] @ torch.linalg.inv(s[given][:, given])
    off = (x - mean)[asked] - gain @ (x - mean)[given]
    return float(off @ torch.linalg.inv(s[asked][:, asked] - gain @ s[given][:, asked]) @ off)


def test_the_rank_under_a_gaussian_is_the_chi_square_tail_of_the_mahalanobis_distance() -> None:
    density, n = gaussian_mixture(1), 4000
    x, query, evidence, context = drawn(density, 25)
    ranks = density.highest_density_rank(x, query, evidence, context, n, generator(9))
    everything, known = torch.cat([x, context], 1), torch.ones_like(context, dtype=torch.bool)
    asked, given = torch.cat([query, ~known], 1), torch.cat([evidence, known], 1)
    tails = [
        chi2.sf(mahalanobis(density, *row), int(row[1].sum())) for row in zip(everything, asked, given, strict=True)
    ]
    assert len({int(size) for size in query.sum(1)}) > 2
    assert min(tails) < 0.2
    assert max(tails) > 0.8
    np.testing.assert_allclose(ranks.numpy(), tails, atol=4 * 0.5 / n**0.5)


def test_the_mode_has_the_highest_rank_and_what_is_far_off_the_lowest() -> None:
    density = gaussian_mixture(1)
    x, query, evidence, context = drawn(density, 30)
    ranks = density.highest_density_rank(torch.where(query, x + 100, x), query, evidence, context, 19, generator())
    assert torch.equal(ranks, torch.full((30,), 1 / 20, dtype=torch.float64))
    nothing = torch.zeros_like(evidence)
    mode = density.mode(x, nothing, context)
    ranks = density.highest_density_rank(mode, ~nothing, nothing, context, 19, generator())
    assert torch.equal(ranks, torch.ones(30).double())


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_from_no_evidence_drawing_walks_as_log_prob_does(name: str) -> None:
    density, (x, evidence, context) = build(name), rows()
    nothing = torch.zeros_like(evidence)
    query = ~nothing if density.joint_only else some_of(~nothing)
    along = None if density.protocol is None else density.protocol.ranks.expand(len(x), -1)
    torch.testing.assert_close(
        density.log_prob(x, query, nothing, context), density.log_prob(x, query, nothing, context, along)
    )
    ranks = density.highest_density_rank(x, query, nothing, context, 9, generator())
    assert bool(((ranks > 0) & (ranks <= 1)).all())
    assert torch.equal(ranks, density.highest_density_rank(x, query, nothing, context, 9, generator()))


def tails(density: Density, x: Tensor, query: Tensor, context: Tensor) -> Tensor:
    """P(log p(x') <= log p(x)) for rows x, by quadrature of exp(log_prob) over the two dimensions of the query."""
    points = 201
    side = torch.linspace(-14, 14, points).double()
    grid = torch.zeros(points**2, DIM).double()
    grid[:, query] = torch.cartesian_prod(side, side)
    with torch.no_grad():
        heights, own = (
            density.log_prob(v, query.expand(len(v), -1), torch.zeros_like(v) > 0, context.expand(len(v), -1))
            for v in (grid, x)
        )
    return (heights.exp() * (heights <= own[:, None])).sum(1) * (side[1] - side[0]) ** 2


@pytest.mark.parametrize("name", sorted(set(CONDITIONAL) - {"ace"}))
def test_draws_are_of_the_law_that_log_prob_integrates_to(name: str) -> None:
    """Also for networks whose marginals are not those of their joint: dimensions 1 and 3 by quadrature."""
    density, (x, _, context) = build(name, 0.5), rows(8)
    context, query, n = context[:1], torch.tensor([False, True, False, True]), 4000
    ranks = density.highest_density_rank(
        x, query.expand(8, -1), torch.zeros_like(x) > 0, context.expand(8, -1), n, generator(3)
    )
    torch.testing.assert_close(ranks, tails(density, x, query, context), atol=0.035, rtol=0.0)


def test_the_marginal_of_completions_would_be_another_law() -> None:
    density, (x, evidence, context) = build("mac-completion", 0.5), rows(8)
    query, nothing, n = torch.tensor([False, True, False, True]), torch.zeros_like(evidence), 4000
    context = context[:1].expand(8, -1)
    with torch.no_grad():
        completed = density.sample(x, nothing, context, n, generator(3)).flatten(0, 1)
        many = density.log_prob(completed, query.expand(8 * n, -1), nothing.repeat(n, 1), context.repeat(n, 1))
        own = density.log_prob(x, query.expand(8, -1), nothing, context)
    shares = (many.view(n, 8) <= own).double().mean(0)
    assert (shares - tails(density, x, query, context[:1])).abs().max() > 0.1


@pytest.mark.parametrize("name", ["mac-marginal-ordered", "made", "standardised"])
def test_a_batch_of_mixed_masks_is_each_row_by_itself(name: str) -> None:
    density, (x, evidence, context) = build(name, 0.3), rows(6)
    query = some_of(~evidence)
    assert len({int(size) for size in query.sum(1)}) > 1
    together = density.highest_density_rank(x, query, evidence, context, 3000, generator(1))
    alone = torch.cat(
        [
            density.highest_density_rank(*row, 3000, generator(row_seed))
            for row_seed, row in enumerate(zip(*(p.split(1) for p in (x, query, evidence, context)), strict=True))
        ]
    )
    torch.testing.assert_close(together, alone, atol=4 * 0.5 * (2 / 3000) ** 0.5, rtol=0.0)


def assistant(select: str = "sample") -> MACAssistant:
    """Random weights, for the kitchen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = MACAssistant(30, 9, CardinalityMasks(9), width=16, depth=2, components=3, select=select)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(0.1 * torch.randn(weight.shape, generator=generator(2)))
    return made.eval()


class Silent:
    """The same assistant, but nobody can ask it about intents."""

    def __init__(self) -> None:
        self._inner = assistant()

    def predict(self, *arguments: Any, **options: Any) -> Any:
        return self._inner.predict(*arguments, **options)


def test_the_assistant_ranks_what_is_held_and_leaves_its_own_draws_alone() -> None:
    made, states = assistant(), torch.randn(5, 30, generator=generator(1))
    operator = torch.randn(5, 9, generator=generator(2)).clamp(-1, 1)
    operator[:3] = operator[:3].sign()  # saturated
    mask = CardinalityMasks(9, 1, 5).sample(5, generator(3))
    mask[2] = False
    before = made._generator.get_state()
    ranks = made.intent_rank(states, torch.where(mask, operator, torch.nan), mask, 19, generator(4))
    assert torch.equal(ranks.isnan(), torch.arange(5) == 2)
    assert torch.equal(ranks.nan_to_num(), made.intent_rank(states, operator, mask, 19, generator(4)).nan_to_num())
    assert torch.equal(before, made._generator.get_state())
    assert made.intent_rank(states, operator, mask & False, 19, generator(4)).isnan().all()


def test_the_probe_looks_at_every_tenth_step_and_at_held_rows_only() -> None:
    rng = np.random.default_rng(0)
    seen = {
        "state": rng.normal(size=(4, 30)).astype(np.float32),
        "operator_action": np.ones((4, 9), np.float32),
        "operator_mask": np.tile(np.arange(9) < 4, (4, 1)).astype(np.int8),
    }
    seen["operator_mask"][1] = 0
    probe, made = Probe(assistant(), [0, 1]), assistant()
    found = [probe.measure(seen, [0, 1, 3]) for _ in range(2 * EVERY + 1)]
    assert [list(intents) for intents in found] == ([[0, 3]] + (EVERY - 1) * [[]]) * 2 + [[0, 3]]
    score = made.intent_score(*(torch.from_numpy(seen[key][3:]) for key in ("state", "operator_action")),
                              torch.from_numpy(seen["operator_mask"][3:]) > 0)  # fmt: skip
    assert found[0][3].score == pytest.approx(score.item() / 4)
    assert found[0] == Probe(assistant(), [0, 1]).measure(seen, [0, 3])
    assert Probe(Silent(), [0]).measure(seen, [0, 3]) == {}
    assert (IMPROBABLE * (DRAWS + 1)).is_integer()


def settings(who: str, *overrides: str) -> Setting:
    env = compose_rollout(["run=zero", "env=kitchen-mixed"]).env
    env.max_episode_steps = 12
    zero = setting_of("zero", list(overrides) or ["operator=noisy", "channels=random-3"], env)
    return dataclasses.replace(zero, name="mac", assistant={"_target_": f"{__name__}.{who}"})


def test_probing_changes_no_other_metric() -> None:
    """With an assistant whose actions are draws of a generator of its own."""
    probed, silent = (play(settings(who), [3, 4, 5], 3) for who in ("assistant", "Silent"))
    assert probed == play(settings("assistant"), [3, 4, 5], 3)
    assert all(record.intent_score is not None and record.improbable is not None for record in probed)
    assert all(record.intent_score is None and record.improbable is None for record in silent)
    assert [dataclasses.replace(record, intent_score=None, improbable=None) for record in probed] == silent
    assert not any(record.success for record in probed)


def test_nothing_is_measured_where_nothing_is_held_or_every_command_is_refused() -> None:
    (autonomous,) = play(settings("assistant", "operator=zero", "channels=none"), [3], 1)
    assert (autonomous.intent_score, autonomous.improbable) == (None, None)
    broken = settings("assistant", "operator=zero", f"operator._target_={__name__}.Broken", "channels=base")
    (refused,) = play(broken, [3], 1)
    assert refused.operator_error is not None
    assert (refused.intent_score, refused.improbable) == (None, None)


class Broken:
    """An operator whose commands are no numbers."""

    name = "broken"

    def __init__(self, dim: int) -> None:
        self._dim = dim

    def reset(self, index: int, rng: np.random.Generator, mask: Any) -> None:
        pass

    def act(self, states: Any, simulators: Any) -> Any:
        return np.full((len(states), self._dim), np.nan, np.float32)

    def intent(self, index: int) -> tuple[str, ...]:
        return ()


def trained(path: Path, d4rl_file: Path, *overrides: str) -> Path:
    cfg = compose_config("train", ["data=d4rl", f"data.path={d4rl_file}", *SMALL, f"run={path}", *overrides])
    return train(cfg).path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, d4rl_file: Path) -> Path:
    return trained(tmp_path_factory.mktemp("intent") / "mac", d4rl_file, "model.components=3", "seed=5")


def test_calibration_ranks_held_out_rows_only(run: Path, d4rl_file: Path) -> None:
    """The run's seed decides which of the eight episodes are held out, as it did in training."""
    directory = RunDirectory.open(run)
    kept = held_out(directory)
    everything = instantiate(directory.config().data).load()
    matching = [np.array_equal(kept.actions.numpy(), episode.actions) for episode in everything]
    assert sum(matching) == 1
    assert matching != [np.array_equal(_other(run).numpy(), episode.actions) for episode in everything]
    ranks = calibration(run, ["base", "random-3"], 20, generator(1), 9)
    again = calibration(str(run), ["base", "random-3"], 20, generator(1), 9)
    assert list(ranks) == ["base", "random-3"]
    for name, values in ranks.items():
        assert values.shape == (20,)
        assert set(np.round(10 * values).astype(int)) <= set(range(1, 11))
        np.testing.assert_array_equal(values, again[name])
    assert len(calibration(run, ["base"], 10_000, generator(1), 1)["base"]) == len(kept.actions)


def _other(run: Path) -> Tensor:
    """What another seed would have held out."""
    config = RunDirectory.open(run).config()
    config.seed = 6
    return intent.split_rows(instantiate(config.data).load(), config, torch.device("cpu"))[1].actions


def test_kolmogorov_s_distance_is_over_the_values_that_a_rank_takes() -> None:
    even = np.arange(1, 21) / 20
    assert distance(even, 19) == pytest.approx(0.0, abs=1e-12)
    assert distance(np.ones(7), 19) == pytest.approx(0.95)
    assert distance(np.full(7, 0.05), 19) == pytest.approx(0.95)
    assert distance(np.repeat([0.25, 1.0], 10), 3) == pytest.approx(0.25)


def call(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    monkeypatch.setattr(sys, "argv", ["eval.intent", *overrides])
    intent.run()


def test_the_program_prints_a_table_and_writes_ranks_and_figure(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, f"run={run}", "held=[shoulder,fingers]", "rows=30", "draws=19", f"out={tmp_path / 'new'}")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["channels", "n"]
    written = pd.read_csv(tmp_path / "new" / "intent.csv")
    assert written.groupby("channels").size().to_dict() == {"shoulder": 30, "fingers": 30}
    for line, name in zip(lines[1:], ["shoulder", "fingers"], strict=False):
        share = (written["rank"][written["channels"] == name] <= 0.05).mean()
        assert line.split()[:3] == [name, "30", f"{share:.3f}"]
    assert lines[-1] == f"out: {tmp_path / 'new'}"
    assert (tmp_path / "new" / "intent.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["rows=0"], "rows must be a whole number of at least 1"),
        (["draws=0"], "draws must be a whole number of at least 1"),
        (["held=[elbow]"], "shoulder"),
        (["held=shoulder"], "held must be a list"),
        (["run=nothing"], "there is no run directory"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    overrides: list[str],
    words: str,
) -> None:
    with pytest.raises(SystemExit) as exit_of:
        call(monkeypatch, f"run={run}", *overrides)
    assert exit_of.value.code == 2
    assert words in capsys.readouterr().err
    assert not (run / "intent").exists()


def test_an_assistant_without_a_density_and_changed_data_are_refused(
    run: Path, d4rl_file: Path, tmp_path: Path
) -> None:
    bc = trained(tmp_path / "bc", d4rl_file, "assistant=bc")
    with pytest.raises(UserError, match="does not know p"):
        calibration(bc, ["base"], 5, generator(), 9)
    card = json.loads((bc / "card.json").read_text())
    (bc / "card.json").write_text(json.dumps({**card, "content_hash": "other"}))
    with pytest.raises(UserError, match="data changed"):
        held_out(RunDirectory.open(bc))


def test_records_of_older_versions_are_read_and_new_ones_come_back(tmp_path: Path) -> None:
    (record,) = play(settings("assistant"), [3], 1)
    new, old = dataclasses.asdict(record), dataclasses.asdict(record)
    for key in ("success", "intent_score", "improbable"):
        del old[key]
    path = tmp_path / "episodes.jsonl"
    path.write_text(f"{json.dumps(new)}\n{json.dumps(old)}\n")
    assert read_episodes(path) == [
        record,
        dataclasses.replace(record, success=None, intent_score=None, improbable=None),
    ]
