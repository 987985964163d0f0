"""Every experiment of the benchmark composes, and everything in it can be trained and played."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from autonomy.budget import inner
from autonomy.configs import CONFIGS
from autonomy.facts import measure
from autonomy.types import Assistant, UserError
from eval.benchmark.ideas import with_ideas
from eval.benchmark.plan import Plan
from eval.benchmark.trainings import parted
from eval.settings import compose_config, compose_rollout

ROOT = CONFIGS / "benchmark"
EXPERIMENTS = sorted(file.stem for file in (ROOT / "experiment").glob("*.yaml"))
IDEAS = list(OmegaConf.load(ROOT / "ideas.yaml").catalogue)
WRIST, DRAWN = ["operator=expert", "channels=wrist"], ["operator=expert", "channels=random-3"]
ALONE = ["operator=zero", "channels=none"]
SMALL = ["model.width=16", "model.depth=2", "model.components=3"]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        return compose("benchmark", list(overrides))


def test_the_program_is_quiet() -> None:
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        hydra = compose("benchmark", return_hydra_config=True).hydra
    assert hydra.output_subdir is None, "a program writes no logs of Hydra's"
    assert hydra.run.dir == "."
    assert hydra.job_logging.root is None


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_cells_of_every_experiment_can_be_played(experiment: str) -> None:
    cfg = composed(f"experiment={experiment}", "+data.path=FILE")
    plan = Plan(cfg)
    assert plan.places
    for place in [*plan.places, *plan.references]:
        assert compose_rollout([*place.overrides, "run=zero"]).channels


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_assistant_of_an_experiment_can_be_trained(experiment: str) -> None:
    cfg = with_ideas(composed(f"experiment={experiment}", "+data.path=FILE"))
    assert set(cfg.variants) <= set(cfg.assistants)
    for name in cfg.assistants:
        learn, _ = parted(cfg.variants.get(name, [f"assistant={name}"]))
        config = compose_config("train", [*cfg.train, *learn, *SMALL])
        measure(config.env)
        assert isinstance(instantiate(config.assistant), Assistant)


@pytest.mark.parametrize("idea", IDEAS)
def test_every_variant_of_an_idea_changes_something(idea: str) -> None:
    cfg = with_ideas(composed("experiment=ablate", f"ideas=[{idea}]"))
    assert (cfg.name, cfg.out) == (f"ablate-{idea}", f"runs/benchmark/ablate-{idea}")
    assert cfg.assistants[0] == "mac"
    assert list(cfg.assistants[1:]) == list(cfg.variants) != []
    plain = compose_config("train", cfg.train), compose_config("rollout", ["run=zero"])
    for overrides in cfg.variants.values():
        learn, play = parted(overrides)
        assert (compose_config("train", [*cfg.train, *learn]), compose_config("rollout", ["run=zero", *play])) != plain


def test_ideas_share_a_table() -> None:
    given = composed("experiment=ablate", "ideas=[members,edge,swap]")
    cfg = with_ideas(given)
    assert cfg.name == "ablate-members-edge-swap"
    others = ["walked-edge", "all-edges", "swap-0", "swap-0.9"]
    assert list(cfg.assistants) == ["mac", "members-2", "members-4", "members-8", *others]
    assert cfg.cells == [WRIST, DRAWN, ALONE]
    plan = Plan(given)
    assert [training.assistant for training in plan.assisting][::3] == cfg.assistants
    assert plan.out.name == "ablate-members-edge-swap"


def test_all_ideas_are_those_that_the_same_cells_judge() -> None:
    cfg = with_ideas(composed("experiment=ablate"))
    assert cfg.name == "ablate-all"
    assert cfg.cells == [WRIST, DRAWN]
    assert len(cfg.variants) == 18
    assert not {"gated", "members-2", "swap-0"} & set(cfg.variants)


def test_what_is_given_by_hand_stands_beside_ideas() -> None:
    wide = "+variants.wide=['assistant=mac','model.width=2048']"
    mine = ["assistants=[mac,step,wide]", wide, f"cells=[{ALONE}]"]
    cfg = with_ideas(composed("experiment=ablate", "name=mine", *mine))
    assert (cfg.name, cfg.assistants, cfg.cells) == ("mine-all", ["mac", "step", "wide"], [ALONE])
    assert cfg.variants.wide == ["assistant=mac", "model.width=2048"]


@pytest.mark.parametrize(
    ("ideas", "words"),
    [
        ("[gate,glue]", "unknown idea 'glue'; the valid ones are steps, keep, capacity"),
        ("[all,gate]", "unknown idea 'all'"),
        ("gate", "ideas must be all or a list such as .gate,members., got 'gate'"),
        ("[]", "ideas must be all or a list"),
        ("null", "ideas must be all or a list"),
        ("[gate,gate]", "ideas must be different from each other"),
    ],
)
def test_what_is_no_idea_is_one_sentence(ideas: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        with_ideas(composed("experiment=ablate", f"ideas={ideas}"))


@pytest.mark.parametrize("assistant", ["mac", "ibc", "explicit-bc", "diffusion"])
def test_an_equal_budget_overrules_presets(assistant: str) -> None:
    cfg = composed("experiment=intent", "budget=equal", f"assistants=[{assistant}]")
    learned = Plan(cfg).assisting[0].config
    assert (learned.training.steps, learned.training.batch_size) == (4000, 256)
    assert (inner(learned.assistant, "width"), inner(learned.assistant, "depth")) == (512, 4)


def test_a_cell_with_a_partner_that_nobody_gave_is_refused() -> None:
    with pytest.raises(UserError, match="partner has no value; give partner="):
        Plan(composed("experiment=paper-table", "+data.path=FILE", "partner_seed=null"))


def test_the_partner_may_be_ones_own_run(tmp_path: Path) -> None:
    plan = Plan(composed("experiment=paper-table", "+data.path=FILE", "partner_seed=null", f"partner={tmp_path}"))
    assert f"operator.policy.path={tmp_path}" in plan.places[1].overrides
    assert {training.assistant for training in plan.trainings} == {"mac", "bc", "explicit-bc", "ibc"}


def test_a_benchmark_that_grows_trains_everyone_with_each_amount() -> None:
    plan = Plan(composed("experiment=demonstrations", "training_seeds=[0,1]", "grow.values=[50]"))
    found = [(training.assistant, training.seed, training.amount) for training in plan.assisting]
    assert found[:2] == [("mac", 0, 50), ("mac", 1, 50)]
    assert len(found) == 4 * 3
    assert {training.seed for training in plan.assisting if training.amount == 1350} == {0}
    assert {training.amount for training in plan.assisting} == {50, 1350}
    assert all(training.config.data.n_episodes == training.amount for training in plan.assisting[::5])
    assert plan.grows == "demonstrations"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["~grow.values"], "grow needs name, key and values"),
        (["grow.values=50"], "values and training seeds of grow must be a list of one or more"),
        (["grow.fewer.training_seeds=[]"], "values and training seeds of grow must be a list of one or more"),
        (["~grow.fewer.values"], "grow.fewer needs values and training_seeds"),
        (["+curves.k={play: ['channels=random-1'], key: draws, values: [1]}"], "curves or it grows, not both"),
    ],
)
def test_what_cannot_grow_is_one_sentence(overrides: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Plan(composed("experiment=demonstrations", "training_seeds=[0]", *overrides))
