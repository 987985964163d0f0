"""Assistants: one contract of `predict` for all, and what each of them learns from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.bc import BC
from autonomy.assistants.conditional_bc import ConditionalBC
from autonomy.assistants.density import DensityAssistant
from autonomy.assistants.diffusion import DiffusionAssistant
from autonomy.assistants.explicit_bc import ExplicitBC
from autonomy.assistants.forward_diffusion import ForwardDiffusion
from autonomy.assistants.ibc import IBC
from autonomy.assistants.mac import MACAssistant
from autonomy.assistants.made import MADEAssistant
from autonomy.assistants.zero import ZeroAssistant
from autonomy.channels import FixedChannels
from autonomy.density.masks import CardinalityMasks, ChannelMasks
from autonomy.density.protocols import MarginalProtocol
from autonomy.energy.samplers import DerivativeFree, Langevin
from autonomy.types import Assistant, UserError

torch.set_num_threads(1)
STATE, DIM, ROWS = 5, 4, 12
Observation = dict[str, NDArray[Any]]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mac(select: str = "component", **options: Any) -> MACAssistant:
    options = {"width": 16, "depth": 2, "components": 3, "candidates": 4, **options}
    return MACAssistant(STATE, DIM, CardinalityMasks(DIM), select=select, **options)


BUILDERS: dict[str, Callable[[], TorchAssistant]] = {
    "bc": lambda: BC(STATE, DIM, width=16, depth=2),
    "conditional-bc": lambda: ConditionalBC(STATE, DIM, CardinalityMasks(DIM), width=16, depth=2),
    "made": lambda: MADEAssistant(STATE, DIM, width=16, depth=2, components=3),
    "explicit-bc": lambda: ExplicitBC(STATE, DIM, width=16, depth=2),
    "ibc": lambda: IBC(STATE, DIM, Langevin(samples=8, steps=5), 16, 2, spectral=False),
    "ibc-derivative-free": lambda: IBC(STATE, DIM, DerivativeFree(samples=64), 16, 2, spectral=False),
    "diffusion": lambda: DiffusionAssistant(STATE, DIM, width=16, depth=2),
    "forward-diffusion": lambda: ForwardDiffusion(STATE, DIM, width=16, depth=2),
    **{f"mac-{select}": lambda select=select: mac(select) for select in MACAssistant.SELECTS},  # type: ignore[misc]
}
DRAWING = ("mac-sample", "mac-best-of-n", "ibc", "ibc-derivative-free", "diffusion", "forward-diffusion")
SEEDED = (DensityAssistant, IBC, DiffusionAssistant, ForwardDiffusion)


def randomise(assistant: TorchAssistant, scale: float = 0.15) -> TorchAssistant:
    """Every weight random, so that every input matters, and small, so that few actions are clipped."""
    drawing = generator(7)
    with torch.no_grad():
        for weight in assistant.parameters():
            weight.copy_(scale * torch.randn(weight.shape, generator=drawing))
    return assistant.eval()


def build(name: str) -> TorchAssistant:
    return randomise(BUILDERS[name]())


def observation(n: int = ROWS, seed: int = 0) -> Observation:
    """Row 0 has an empty mask, row 1 a full one."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n, DIM)) < 0.5
    mask[0], mask[1:2] = False, True
    return {
        "state": rng.normal(size=(n, STATE)).astype(np.float32),
        "operator_action": rng.uniform(-1, 1, (n, DIM)).astype(np.float32),
        "operator_mask": mask,
    }


@pytest.fixture(params=BUILDERS)
def assistant(request: pytest.FixtureRequest) -> TorchAssistant:
    return build(request.param)


def test_actions_are_whole_and_keep_the_operator_s_values(assistant: TorchAssistant) -> None:
    assert isinstance(assistant, Assistant)
    seen = observation()
    before = {key: value.copy() for key, value in seen.items()}
    action, state = assistant.predict(seen, state="kept")
    assert isinstance(action, np.ndarray)
    assert action.shape == (ROWS, DIM)
    assert action.dtype == np.float32
    assert state == "kept"
    assert np.isfinite(action).all()
    assert np.abs(action).max() <= 1
    mask = seen["operator_mask"]
    assert action[mask].tobytes() == seen["operator_action"][mask].tobytes()
    assert (action[~mask] != seen["operator_action"][~mask]).all()
    for key, value in before.items():
        np.testing.assert_array_equal(seen[key], value)


def test_values_out_of_the_box_are_clipped(assistant: TorchAssistant) -> None:
    seen = observation()
    randomise(assistant, scale=5.0)
    seen["operator_action"] *= 10
    action, _ = assistant.predict(seen)
    assert np.abs(action).max() == 1
    mask = seen["operator_mask"]
    np.testing.assert_array_equal(action[mask], np.clip(seen["operator_action"], -1, 1)[mask])
    assert np.abs(action[~mask]).max() == 1


@pytest.mark.parametrize("name", sorted(set(BUILDERS) - set(DRAWING) - {"bc"}))
def test_the_operator_is_clipped_before_conditioning(name: str) -> None:
    seen = observation()
    far = {**seen, "operator_action": 10 * seen["operator_action"]}
    near = {**seen, "operator_action": np.clip(far["operator_action"], -1, 1)}
    np.testing.assert_array_equal(build(name).predict(far)[0], build(name).predict(near)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
def test_masks_and_values_of_any_dtype_are_read(assistant: TorchAssistant, dtype: type) -> None:
    seen = observation()
    other = {
        "state": seen["state"].astype(np.float64),
        "operator_action": seen["operator_action"].astype(np.float64),
        "operator_mask": seen["operator_mask"].astype(dtype),
    }
    expected = assistant.predict(seen)[0]
    if isinstance(assistant, SEEDED):
        assistant._generator.manual_seed(0)
    action = assistant.predict(other)[0]
    assert action.dtype == np.float32
    np.testing.assert_array_equal(action, expected)


@pytest.mark.parametrize(
    ("key", "width", "sentence"),
    [("state", STATE + 1, "got 6, 4 and 4"), ("operator_action", 3, "5, 3 and 4"), ("operator_mask", 5, "5, 4 and 5")],
)
def test_wrong_widths_are_refused(assistant: TorchAssistant, key: str, width: int, sentence: str) -> None:
    seen = {**observation(), key: np.zeros((ROWS, width), np.float32)}
    with pytest.raises(UserError, match=sentence) as caught:
        assistant.predict(seen)
    assert "states of width 5 and operator actions and masks of width 4" in str(caught.value)


def test_an_operator_who_holds_nothing_is_not_read(assistant: TorchAssistant) -> None:
    seen = observation(n=1)
    first = assistant.predict(seen)[0]
    if isinstance(assistant, SEEDED):
        assistant._generator.manual_seed(0)
    assert not seen["operator_mask"].any()
    changed = {**seen, "operator_action": np.full((1, DIM), np.nan, np.float32)}
    np.testing.assert_array_equal(assistant.predict(changed)[0], first)


def test_an_operator_who_holds_everything_acts_alone(assistant: TorchAssistant) -> None:
    seen = {**observation(), "operator_mask": np.ones((ROWS, DIM), bool)}
    np.testing.assert_array_equal(assistant.predict(seen)[0], seen["operator_action"])


@pytest.mark.parametrize("name", sorted(set(BUILDERS) - set(DRAWING)))
def test_deterministic_assistants_repeat_themselves(name: str) -> None:
    assistant, seen = build(name), observation()
    np.testing.assert_array_equal(assistant.predict(seen)[0], assistant.predict(seen)[0])


@pytest.mark.parametrize("select", ["sample", "best-of-n"])
def test_drawing_assistants_repeat_with_their_seed(select: str) -> None:
    seen = observation()
    torch.manual_seed(0)
    first, same, other = (randomise(mac(select, seed=seed)) for seed in (3, 3, 4))
    before = torch.get_rng_state()
    draws = [first.predict(seen)[0] for _ in range(2)]
    again = [same.predict(seen)[0] for _ in range(2)]
    np.testing.assert_array_equal(draws, again)
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], other.predict(seen)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_states_are_read_in_the_data_s_units(assistant: TorchAssistant) -> None:
    seen = observation()
    states = torch.from_numpy(seen["state"])
    actions = torch.from_numpy(seen["operator_action"])
    assistant.fit_normaliser(states, actions)
    expected = assistant.predict(seen)[0]
    rescaled = {**seen, "state": 7 * seen["state"] + 3}
    if isinstance(assistant, SEEDED):
        assistant._generator.manual_seed(0)
    assistant.fit_normaliser(torch.from_numpy(rescaled["state"]), actions)
    np.testing.assert_allclose(assistant.predict(rescaled)[0], expected, atol=1e-3)
    assert "normaliser.mean" in assistant.state_dict()


@pytest.mark.parametrize("select", ["", "median", "Component"])
def test_an_unknown_select_is_refused(select: str) -> None:
    with pytest.raises(
        UserError, match="the valid ones are mean, mode, sample, component, density, best-of-n"
    ) as caught:
        mac(select)
    assert repr(select) in str(caught.value)


def test_selects_choose_differently() -> None:
    seen = observation()
    actions = [build(f"mac-{select}").predict(seen)[0] for select in MACAssistant.SELECTS]
    assert len({action.tobytes() for action in actions}) == len(actions)


@pytest.mark.parametrize("name", ["bc", "explicit-bc"])
def test_bc_never_reads_the_operator(name: str) -> None:
    assistant, seen = build(name), observation()
    seen["operator_mask"][:] = [True, False, False, True]
    changed = {**seen, "operator_action": -seen["operator_action"]}
    free = [1, 2]
    alone = assistant.predict({**seen, "operator_mask": np.zeros((ROWS, DIM), bool)})[0]
    np.testing.assert_array_equal(assistant.predict(changed)[0][:, free], assistant.predict(seen)[0][:, free])
    np.testing.assert_array_equal(assistant.predict(seen)[0][:, free], alone[:, free])


@pytest.mark.parametrize("name", ["conditional-bc", "made", "mac-component", "mac-mean", "mac-mode", "mac-density"])
def test_the_others_listen_to_the_operator(name: str) -> None:
    assistant, seen = build(name), observation()
    seen["operator_mask"][:] = [True, False, False, True]
    changed = {**seen, "operator_action": -seen["operator_action"]}
    assert (assistant.predict(changed)[0] != assistant.predict(seen)[0])[:, [1, 2]].any(axis=1).all()


def rows(n: int = 64) -> tuple[Tensor, Tensor]:
    drawing = generator(2)
    return torch.randn(n, STATE, generator=drawing), torch.rand(n, DIM, generator=drawing) * 2 - 1


def test_bc_s_loss_is_the_mean_squared_error() -> None:
    assistant = build("bc")
    states, actions = rows()
    assistant.fit_normaliser(states * 3, actions)
    answers = assistant.complete(states, actions, torch.zeros_like(actions).bool())
    expected = ((answers - actions) ** 2).mean().item()
    assert assistant.loss(states, actions, generator()).item() == pytest.approx(expected)


def test_conditional_bc_is_trained_on_the_missing_dimensions_alone() -> None:
    masks = ChannelMasks(DIM, FixedChannels([0, 2], DIM))
    assistant = randomise(ConditionalBC(STATE, DIM, masks, width=16, depth=2))
    states, actions = rows()
    held = masks.sample(len(states), generator())
    answers = assistant.complete(states, actions, held)
    loss = assistant.loss(states, actions, generator())
    assert loss.item() == pytest.approx(((answers - actions)[:, [1, 3]] ** 2).mean().item())
    loss.backward()
    assert isinstance(assistant, ConditionalBC)
    gradient = assistant.trunk.exit.bias.grad
    assert gradient is not None
    assert (gradient != 0).tolist() == [False, True, False, True]


def test_conditional_bc_weighs_missing_values_alike() -> None:
    """A mean over missing values of the batch, not over rows; a batch with none missing costs nothing."""
    assistant = build("conditional-bc")
    states, actions = rows()
    mask = CardinalityMasks(DIM).sample(len(states), generator(3))
    error = (assistant.complete(states, actions, mask) - actions)[~mask]
    assert assistant.loss(states, actions, generator(3)).item() == pytest.approx((error**2).mean().item(), rel=1e-5)
    full = randomise(ConditionalBC(STATE, DIM, ChannelMasks(DIM, FixedChannels(range(DIM), DIM)), width=16, depth=2))
    assert full.loss(states, actions, generator()).item() == 0


def test_mac_s_options_reach_the_density() -> None:
    density = mac(floor=0.03, edge=0.1, evidence_noise=0.2, regression=0.3, dropout=0.4).density
    got = (density.head.floor, density.edge, density.evidence_noise, density.regression)
    assert got == (0.03, 0.1, 0.2, 0.3)
    assert {module.p for module in density.modules() if isinstance(module, torch.nn.Dropout)} == {0.4}


def test_mac_s_loss_is_its_density_s_of_normalised_states() -> None:
    assistant = build("mac-mean")
    assert isinstance(assistant, MACAssistant)
    states, actions = rows()
    assistant.fit_normaliser(states * 3 + 1, actions)
    expected = assistant.density.loss(actions, assistant.normaliser(states), generator(4)).item()
    assert assistant.loss(states, actions, generator(4)).item() == expected


def test_mac_is_covered_by_its_own_protocol_and_says_when_another_is_not() -> None:
    assert mac().coverage().untrained == 0
    narrow = MACAssistant(STATE, DIM, ChannelMasks(DIM, FixedChannels([0], DIM)), width=16, depth=2, components=3)
    assert narrow.coverage().untrained == 0
    elsewhere = narrow.coverage(ChannelMasks(DIM, FixedChannels([2], DIM)))
    assert elsewhere.untrained == 2 / 3  # {2} and {0, 2}, but {0, 1, 2} is on the path from {0}
    assert [node for node, _ in elsewhere.nodes] == [(0, 2), (2,)]
    marginal = mac(protocol=MarginalProtocol(CardinalityMasks(DIM, 1)))
    assert 0.2 < marginal.coverage().untrained < 0.6
    assert build("bc").coverage() is None


class World:
    """Two ways of acting in every state: a = +-(tanh of the state) with noise, the sign shared by all dimensions."""

    def sample(self, n: int, drawing: torch.Generator) -> tuple[Tensor, Tensor]:
        states = torch.randn(n, STATE, generator=drawing)
        sign = torch.where(torch.rand(n, 1, generator=drawing) < 0.5, -1.0, 1.0)
        noise = 0.05 * torch.randn(n, DIM, generator=drawing)
        return states, (sign * (0.5 + 0.3 * torch.tanh(states[:, :DIM])) + noise).clamp(-1, 1)


@pytest.fixture(scope="module")
def trained() -> dict[str, TorchAssistant]:
    """BC, ConditionalBC and MAC, each after a few hundred steps in the world."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assistants: dict[str, TorchAssistant] = {
            "bc": BC(STATE, DIM, 32, 2),
            "conditional-bc": ConditionalBC(STATE, DIM, CardinalityMasks(DIM), 32, 2),
            "mac": MACAssistant(
                STATE,
                DIM,
                CardinalityMasks(DIM),
                width=32,
                depth=2,
                components=4,
                floor=0.02,
                regression=0.0,
                select="component",
            ),
        }
    for assistant in assistants.values():
        drawing = generator(5)
        assistant.fit_normaliser(*World().sample(2000, drawing))
        optimiser = torch.optim.Adam(assistant.parameters(), 5e-3)
        for _ in range(300):
            optimiser.zero_grad()
            assistant.loss(*World().sample(256, drawing), drawing).backward()
            optimiser.step()
        assistant.eval()
    return assistants


def errors(assistant: TorchAssistant, held: list[int]) -> NDArray[np.float64]:
    """Root mean square of each row's error in the dimensions that the operator leaves."""
    states, actions = World().sample(500, generator(6))
    mask = np.tile(np.isin(np.arange(DIM), held), (500, 1))
    filled, _ = assistant.predict({"state": states.numpy(), "operator_action": actions.numpy(), "operator_mask": mask})
    missing = [dim for dim in range(DIM) if dim not in held]
    error: NDArray[np.float64] = np.sqrt(((filled - actions.numpy())[:, missing] ** 2).mean(axis=1))
    return error


@pytest.mark.parametrize("held", [[0], [3], [1, 2]])
def test_one_value_of_the_operator_tells_which_way_is_meant(
    trained: dict[str, TorchAssistant], held: list[int]
) -> None:
    """BC averages the two ways; those who listen follow the operator."""
    assert np.median(errors(trained["bc"], held)) > 0.4
    assert np.median(errors(trained["conditional-bc"], held)) < 0.15
    assert np.median(errors(trained["mac"], held)) < 0.15


def test_alone_only_mac_commits_to_one_way(trained: dict[str, TorchAssistant]) -> None:
    states, actions = World().sample(500, generator(6))
    nothing = {"operator_action": np.zeros((500, DIM)), "operator_mask": np.zeros((500, DIM), bool)}
    away = {
        name: np.abs(np.abs(assistant.predict({"state": states.numpy(), **nothing})[0]) - actions.abs().numpy()).mean()
        for name, assistant in trained.items()
    }
    assert away["mac"] < 0.12
    assert away["bc"] > 0.3
    assert away["conditional-bc"] > 0.3


@pytest.mark.parametrize("held", [[0], [1, 3], [0, 1, 2, 3]])
def test_intent_scores_tell_demonstrated_actions_from_shuffled_ones(
    trained: dict[str, TorchAssistant], held: list[int]
) -> None:
    assistant = trained["mac"]
    assert isinstance(assistant, MACAssistant)
    states, actions = World().sample(1000, generator(8))
    mask = torch.isin(torch.arange(DIM), torch.tensor(held)).expand(1000, -1)
    own = assistant.intent_score(states, actions, mask)
    shuffled = assistant.intent_score(states, actions.roll(1, 0), mask)
    assert own.shape == (1000,)
    assert not own.requires_grad
    assert (own.mean() - shuffled.mean()).item() > 1.0
    assert (own > shuffled).float().mean() > 0.75


def test_intent_scores_do_not_depend_on_what_the_operator_does_not_hold() -> None:
    assistant = build("mac-component")
    assert isinstance(assistant, MACAssistant)
    states, actions = rows()
    mask = torch.tensor([False, True, False, True]).expand(len(states), -1)
    assert torch.equal(
        assistant.intent_score(states, actions, mask),
        assistant.intent_score(states, torch.where(mask, actions, torch.nan), mask),
    )
    assert torch.equal(assistant.intent_score(states, actions, mask & False), torch.zeros(len(states)))


def test_the_zero_assistant_stands_still() -> None:
    seen = observation()
    action, _ = ZeroAssistant().predict(seen)
    mask = seen["operator_mask"]
    assert action.dtype == np.float32
    assert action[mask].tobytes() == seen["operator_action"][mask].tobytes()
    assert not action[~mask].any()
