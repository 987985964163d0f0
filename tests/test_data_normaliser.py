"""The normaliser's constants: right, floored, and part of the state dict."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autonomy.data.normaliser import STD_FLOOR, Normaliser


def test_states_become_standard() -> None:
    states = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 1.0, 30.0]) + 7.0
    z = Normaliser.fit(states)(states)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3), atol=1e-4, rtol=0.0)
    assert z.dtype == torch.float32


def test_a_dimension_that_hardly_moves_is_divided_by_the_floor() -> None:
    states = np.zeros((100, 2), np.float32)
    states[::2, 1] = 1e-3
    normaliser = Normaliser.fit(states)
    torch.testing.assert_close(normaliser.std, torch.full((2,), STD_FLOOR))
    moved = normaliser(torch.tensor([[0.3, 0.3]]))
    assert moved.abs().max() < 31.0
    torch.testing.assert_close(Normaliser.fit(states, floor=0.5).std, torch.full((2,), 0.5))


def test_constants_far_from_zero_keep_their_precision() -> None:
    states = torch.full((10_000, 1), 1000.0) + torch.linspace(-0.1, 0.1, 10_000)[:, None]
    torch.testing.assert_close(Normaliser.fit(states).std, torch.tensor([0.1 / 3**0.5]), atol=1e-4, rtol=0.0)


def test_the_state_dict_carries_the_constants() -> None:
    fitted = Normaliser.fit(torch.randn(50, 4, generator=torch.Generator().manual_seed(1)))
    fresh = Normaliser(torch.zeros(4), torch.ones(4))
    fresh.load_state_dict(fitted.state_dict())
    states = torch.arange(8.0).reshape(2, 4)
    torch.testing.assert_close(fresh(states), fitted(states), atol=0.0, rtol=0.0)
    assert set(fitted.state_dict()) == {"mean", "std"}
    assert not list(fitted.parameters())


@pytest.mark.parametrize("states", [torch.zeros(0, 3), torch.zeros(3), torch.tensor([[0.0, float("nan")]])])
def test_unusable_states_are_refused(states: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"\(N, S\), finite and N >= 1"):
        Normaliser.fit(states)


@pytest.mark.parametrize("std", [torch.ones(2), torch.zeros(3), torch.tensor([1.0, float("nan"), 1.0])])
def test_unusable_constants_are_refused(std: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="std > 0"):
        Normaliser(torch.zeros(3), std)
