"""Assistants: one contract of `predict` for all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autonomy.assistants.base import TorchAssistant
from autonomy.assistants.density import DensityAssistant
from autonomy.assistants.diffusion import DiffusionAssistant
from autonomy.assistants.forward_diffusion import ForwardDiffusion
from autonomy.assistants.ibc import IBC
from autonomy.types import Assistant, UserError
from tests.assistants import BUILDERS, DIM, ROWS, SELECTS, STATE, build, mac, observation, randomise

torch.set_num_threads(1)


DRAWING = ("mac-sample", "mac-best-of-n", "ibc", "ibc-derivative-free", "diffusion", "forward-diffusion")
SEEDED = (DensityAssistant, IBC, DiffusionAssistant, ForwardDiffusion)


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
    actions = [build(f"mac-{select}").predict(seen)[0] for select in SELECTS]
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
