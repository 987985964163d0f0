"""Log-likelihoods of many queries: one batched pass beside a loop of D passes and the product of the matrices alone."""

from __future__ import annotations

import torch
from torch import Tensor

from autonomy.density.mac import MAC
from autonomy.density.masks import CardinalityMasks, FixedMasks, MaskLaw
from autonomy.density.networks.mixture import MixtureNetwork
from autonomy.density.protocols import MarginalProtocol
from eval.speed.timing import Row, matrix_rate, medians

DIM, CONTEXT = 9, 30


def measure(batch: int, repeats: int) -> list[Row]:
    """Joints, and marginals of the paper's masks, of the small network (512 x 4, 20 components) at D = 9."""
    torch.manual_seed(0)
    model = MAC(MixtureNetwork(DIM, CONTEXT), MarginalProtocol(CardinalityMasks(DIM, 1))).eval()
    laws: dict[str, MaskLaw] = {"joint": FixedMasks([list(range(DIM))], DIM), "marginals": CardinalityMasks(DIM, 1)}
    return [
        _row(model, name, law.sample(batch, torch.Generator().manual_seed(0)), repeats) for name, law in laws.items()
    ]


def _row(model: MAC, name: str, query: Tensor, repeats: int) -> Row:
    batch = len(query)
    x, context = torch.randn(batch, DIM), torch.randn(batch, CONTEXT)
    nothing = torch.zeros_like(query)
    with torch.no_grad():
        difference = model.log_prob(x, query, nothing, context) - _loop(model, x, query, context)
        assert difference.abs().max() < 1e-3, "the two ways disagree"
        ours, loop = medians(
            [lambda: model.log_prob(x, query, nothing, context), lambda: _loop(model, x, query, context)], repeats
        )
    rate = matrix_rate(batch, _layers(model)[0].out_features, repeats)
    limit = int(query.sum()) * _operations(model) / rate
    return Row(
        f"log_prob of {batch} {name}, D = {DIM}", ours, loop, f"a loop of {DIM} passes", limit, "matrix products"
    )


def _loop(model: MAC, x: Tensor, query: Tensor, context: Tensor) -> Tensor:
    """The plain way: a pass for each dimension, all rows and all outputs of them."""
    total, known = x.new_zeros(len(x)), torch.zeros_like(query)
    for dim in range(DIM):
        step = model.conditionals(x, known, context).log_prob(x)[:, dim]
        total = total + torch.where(query[:, dim], step, 0.0)
        known = known.clone()
        known[:, dim] = query[:, dim]
    return total


def _operations(model: MAC) -> int:
    """Floating-point operations of the matrix products that a step needs: all layers, but one dimension's outputs."""
    weights = [layer.weight for layer in _layers(model)]
    return 2 * (sum(weight.numel() for weight in weights[:-1]) + weights[-1].numel() // DIM)


def _layers(model: MAC) -> list[torch.nn.Linear]:
    return [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
