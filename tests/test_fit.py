"""The training loop: it learns, reaches known optima, resumes bit for bit, and survives divergence and full disks."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from autonomy.fit import Rows, TrainingSettings, fit
from autonomy.run_directory import RunDirectory
from autonomy.schedules import Constant, Cosine, Step
from autonomy.training_state import read_tensors
from autonomy.types import UserError

CONFIG = OmegaConf.create({"env": {}, "assistant": {}})


class Regression(nn.Module):
    """Mean squared error of a small network; the dropout draws from torch's global generator."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        jitter = 0.01 * torch.randn(states.shape, generator=generator)
        return (self.network(states + jitter) - actions).square().mean()


def rows(n: int = 512, seed: int = 0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    states = torch.rand(n, 3, generator=generator) * 2 - 1
    return Rows(states, torch.stack([states[:, 0], -0.5 * states[:, 2]], 1))


def network(seed: int = 0, dropout: float = 0.0) -> Regression:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Regression(nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Dropout(dropout), nn.Linear(32, 2)))


def settings(**changes: object) -> TrainingSettings:
    return TrainingSettings(**{"steps": 60, "batch_size": 32, "learning_rate": 1e-2, "validate_every": 20} | changes)


def new_run(path: Path) -> RunDirectory:
    return RunDirectory.create(path, CONFIG)


def test_it_learns(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    fit(network(), rows(), rows(seed=1), settings(steps=400, schedule=Cosine(warmup=10)), run)
    losses = [record["validation_loss"] for record in run.metrics()]
    assert losses[-1] < 0.05 * losses[0]
    assert [record["step"] for record in run.metrics()] == list(range(20, 401, 20))
    assert list((run.path / "tensorboard").iterdir())


def test_half_the_precision_learns_as_well_with_weights_and_validation_in_single(tmp_path: Path) -> None:
    half, single = new_run(tmp_path / "half"), new_run(tmp_path / "single")
    model = fit(network(), rows(), rows(seed=1), settings(steps=400, precision="bfloat16", schedule=Cosine()), half)
    fit(network(), rows(), rows(seed=1), settings(steps=400, schedule=Cosine()), single)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    losses = [[record[key] for record in half.metrics()] for key in ("train_loss", "validation_loss")]
    assert losses[1][-1] < 0.05 * losses[1][0]
    assert losses[1] != [record["validation_loss"] for record in single.metrics()]
    held = rows(seed=1)
    exact = model.loss(held.states, held.actions, torch.Generator().manual_seed(0))  # type: ignore[operator]
    assert exact.item() == pytest.approx(losses[1][-1])


@pytest.mark.parametrize(("able", "means"), [({"avx512_bf16": True}, "bfloat16"), ({"avx2": True}, "float32")])
def test_precision_is_what_the_machine_multiplies_in(
    able: dict[str, bool], means: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    weights = [
        fit(network(), rows(), rows(seed=1), settings(precision=name), new_run(tmp_path / name)).state_dict()
        for name in ("auto", means)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_linear_regression_reaches_its_optimum(tmp_path: Path) -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map = nn.Linear(3, 2)

        def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
            return (self.map(states) - actions).square().mean()

    model = Linear()
    fit(
        model,
        rows(),
        rows(seed=1),
        settings(steps=600, learning_rate=3e-2, schedule=Cosine()),
        new_run(tmp_path / "run"),
    )
    torch.testing.assert_close(model.map.weight, torch.tensor([[1.0, 0, 0], [0, 0, -0.5]]), atol=2e-3, rtol=0)
    torch.testing.assert_close(model.map.bias, torch.zeros(2), atol=2e-3, rtol=0)


class KilledError(Exception):
    """Stands for a signal, where a test needs to choose the step."""


class Doomed(Regression):
    """Stops the program at its `budget`-th loss in training."""

    budget = 0

    def loss(self, states: Tensor, actions: Tensor, generator: torch.Generator) -> Tensor:
        self.budget -= self.training
        if self.budget < 0:
            raise KilledError
        return super().loss(states, actions, generator)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ema": 0.9, "keep": "last"},
        {"state_noise": 0.1, "schedule": Step(7, 0.9)},
        {"precision": "bfloat16"},
    ],
)
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path, changes: dict[str, object]) -> None:
    whole, broken = new_run(tmp_path / "whole"), new_run(tmp_path / "broken")
    fit(network(dropout=0.2), rows(), rows(seed=1), settings(**changes), whole, seed=3)
    for steps in (5, 33, 1, 25):
        saved = broken.training_file.exists()
        doomed = Doomed(
            network(seed=9 if saved else 0, dropout=0.2).network
        )  # a resumed run's own start doesn't matter
        doomed.budget = steps
        with pytest.raises(KilledError):
            fit(doomed, rows(), rows(seed=1), settings(**changes), broken, seed=3)
    fit(network(seed=9, dropout=0.2), rows(), rows(seed=1), settings(**changes), broken, seed=3)
    assert broken.model_file.read_bytes() == whole.model_file.read_bytes()
    strip = [{key: value for key, value in record.items() if key != "seconds"} for record in whole.metrics()]
    assert [{k: v for k, v in record.items() if k != "seconds"} for record in broken.metrics()] == strip


def test_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    fit(network(dropout=0.5), rows(), rows(seed=1), settings(steps=3), new_run(tmp_path / "run"))
    assert torch.equal(before, torch.get_rng_state())


def test_best_keeps_the_weights_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    """The last steps have a huge learning rate, which spoils them."""

    class Spoil:
        def __call__(self, step: int, steps: int) -> float:
            return 1.0 if step < 40 else 300.0

    for keep in ("best", "last"):
        run = new_run(tmp_path / keep)
        model = fit(network(), rows(), rows(seed=1), settings(schedule=Spoil(), keep=keep), run)
        tensors, note = read_tensors(run, run.model_file)
        assert note["step"] == {"best": 40, "last": 60}[keep]
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.state_dict().items())


def test_ema_averages_the_weights(tmp_path: Path) -> None:
    """With a decay of 0.5 and a gradient that is always 1 under plain averaging, the mean lags behind the weights."""
    plain, averaged = (new_run(tmp_path / name) for name in ("plain", "averaged"))
    for run, ema in ((plain, None), (averaged, 0.999)):
        fit(network(), rows(), rows(seed=1), settings(ema=ema, keep="last"), run)
    start = network().state_dict()
    moved = {
        run.path.name: sum((read_tensors(run, run.model_file)[0][name] - start[name]).norm() for name in start)
        for run in (plain, averaged)
    }
    assert 0 < moved["averaged"] < 0.5 * moved["plain"]


def test_divergence_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    run, model = new_run(tmp_path / "run"), network()
    original, calls = model.loss, 0

    def loss(*batch: Tensor) -> Tensor:
        nonlocal calls
        calls += model.training
        return original(*batch) * (float("nan") if calls > 30 else 1.0)

    model.loss = loss  # type: ignore[method-assign, assignment]
    with pytest.raises(UserError, match=r"diverged at step 30: the loss is nan .* is intact; try a smaller"):
        fit(model, rows(), rows(seed=1), settings(), run)
    assert read_tensors(run, run.model_file)[1]["step"] == 20
    assert all(torch.isfinite(tensor).all() for tensor in read_tensors(run, run.model_file)[0].values())


FULL_DISK = """
    import resource, signal, sys
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails like one on a full disk
    sys.path.insert(0, {tests!r})
    from test_fit import *
    run = RunDirectory(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (run.training_file.stat().st_size - 100,) * 2)
    try:
        fit(network(), rows(), rows(seed=1), settings(steps=120), run)
    except UserError as error:
        print(error)
"""


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    fit(network(), rows(), rows(seed=1), settings(), run)
    before = {file.name: file.read_bytes() for file in (run.training_file, run.model_file)}
    script = textwrap.dedent(FULL_DISK.format(tests=str(Path(__file__).parent)))
    done = subprocess.run([sys.executable, "-c", script, run.path], capture_output=True, text=True, check=True)
    assert "training.safetensors: File too large; what was saved before is intact" in done.stdout
    assert {name: (run.path / name).read_bytes() for name in before} == before
    assert not list(run.path.glob(".*.tmp"))
    fit(network(), rows(), rows(seed=1), settings(steps=120), run)  # with room again, it goes on
    assert run.metrics()[-1]["step"] == 120


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 0}, "training.steps must be a whole number of at least 1, got 0"),
        ({"steps": "00143"}, "training.steps must be a whole number of at least 1, got '00143'"),
        ({"steps": 1.5}, "training.steps must be a whole number"),
        ({"steps": None}, "exactly one of training.steps and training.epochs"),
        ({"epochs": 3}, "exactly one of training.steps and training.epochs"),
        ({"batch_size": -1}, "training.batch_size must be"),
        ({"learning_rate": 0}, "training.learning_rate must be a number above 0, got 0"),
        ({"learning_rate": float("nan")}, "training.learning_rate must be a number above 0, got nan"),
        ({"ema": 1.0}, "training.ema must be"),
        ({"clip": -1}, "training.clip must be"),
        ({"validation_fraction": 1.0}, "training.validation_fraction must be"),
        ({"keep": "middle"}, "unknown training.keep 'middle'; the valid ones are best, last"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace(".", r"\.")):
        settings(**changes)


def test_epochs_are_passes_over_the_rows() -> None:
    assert TrainingSettings(epochs=3, batch_size=100).total_steps(250) == 8
    assert TrainingSettings(steps=7).total_steps(250) == 7


def test_schedules() -> None:
    assert [Constant()(step, 10) for step in (0, 9)] == [1, 1]
    assert [Step(every=2, decay=0.5)(step, 9) for step in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    cosine = Cosine(warmup=3, final=0.1)
    assert [cosine(step, 103) for step in (0, 1, 2, 3)] == [0.25, 0.5, 0.75, 1.0]
    assert cosine(53, 103) == pytest.approx(0.55)
    assert cosine(103, 103) == pytest.approx(0.1)
    with pytest.raises(UserError, match=r"schedule\.warmup"):
        Cosine(warmup=-1)
