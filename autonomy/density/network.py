"""The trunk shared by the models: a pre-activation residual multilayer perceptron, and what it reads."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from autonomy.types import UserError

LARGE = 32
"""Rows of a member from which on a CPU multiplies one member after the other faster than all in one batched product."""


def known_inputs(x: Tensor, known: Tensor, context: Tensor) -> Tensor:
    """(B, 2D + C): the known values, the mask (a value of 0 is otherwise ambiguous), the context."""
    return torch.cat([torch.where(known, x, 0.0), known.to(x.dtype), context], 1)


class Linear(nn.Linear):
    """x W' + b for one network, or for `members` of them side by side: W is (E, out, in) and x (E, N, in) then."""

    def __init__(self, inputs: int, outputs: int, members: int = 1) -> None:
        super().__init__(inputs, outputs)
        self.members = members
        if members > 1:
            drawn = [nn.Linear(inputs, outputs) for _ in range(members)]
            self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in drawn]))
            self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in drawn]))

    def forward(self, x: Tensor) -> Tensor:
        if self.members == 1:
            return super().forward(x)
        if x.shape[1] < LARGE:
            return torch.baddbmm(self.bias[:, None], x, self.weight.mT)
        parts = zip(x, self.weight, self.bias, strict=True)
        return torch.stack([nn.functional.linear(*part) for part in parts])


class LayerNorm(nn.LayerNorm):
    """torch's, with a gain and an offset for each of `members` networks side by side."""

    def __init__(self, width: int, members: int = 1) -> None:
        super().__init__(width)
        self.members = members
        if members > 1:
            self.weight = nn.Parameter(torch.ones(members, 1, width))
            self.bias = nn.Parameter(torch.zeros(members, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        if self.members == 1:
            return super().forward(x)
        plain = nn.functional.layer_norm(x, self.normalized_shape, eps=self.eps)
        return torch.addcmul(self.bias, plain, self.weight)


class ResidualBlock(nn.Module):
    """h + W2 relu(W1 relu(norm(h))), pre-activation (He et al., 2016, arXiv:1603.05027); W2 starts at zero."""

    def __init__(self, width: int, dropout: float, members: int = 1) -> None:
        super().__init__()
        self.norm = LayerNorm(width, members)
        self.first = Linear(width, width, members)
        self.second = Linear(width, width, members)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = torch.relu_(self.first(torch.relu_(self.norm(hidden))))
        result: Tensor = hidden + self.second(self.dropout(inner))
        return result


class ResidualMLP(nn.Module):
    """(B, inputs) -> (B, outputs) with `depth` hidden layers of `width` units; `depth` is even, two layers a block.

    `members` networks of that size, initialised independently, answer side by side in one batched product a layer. The
    last input column says which of them, 0 to members - 1, answers a row; it is no input of theirs.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, depth: int, dropout: float = 0.0, members: int = 1
    ) -> None:
        super().__init__()
        if depth < 2 or depth % 2:
            raise ValueError(f"depth must be even and at least 2 (two layers a residual block), got {depth}")
        self.members = members
        self.entry = Linear(inputs - (members > 1), width, members)
        self.blocks = nn.Sequential(*(ResidualBlock(width, dropout, members) for _ in range(depth // 2)))
        self.norm = LayerNorm(width, members)
        self.exit = Linear(width, outputs, members)

    def _features(self, inputs: Tensor) -> Tensor:
        """What the last layer reads, for inputs (B, I) of one network or (E, N, I) of several."""
        return torch.relu_(self.norm(self.blocks(self.entry(inputs))))

    def forward(self, inputs: Tensor) -> Tensor:
        if self.members == 1:
            result: Tensor = self.exit(self._features(inputs))
            return result
        lots = Lots.of(inputs, self.members)
        return lots.gather(self.exit(self._features(lots.inputs)))

    def part(self, inputs: Tensor, which: Tensor, parts: int) -> Tensor:
        """Of outputs in `parts` equal parts only number `which` (B,) of each row, (B, outputs / parts)."""
        if self.members > 1:
            return self._part_of_members(inputs, which, parts)
        features = self._features(inputs)
        weights, biases = (tensor.unflatten(0, (parts, -1)) for tensor in (self.exit.weight, self.exit.bias))
        if len(which) == 1:
            return nn.functional.linear(features, weights[int(which)], biases[int(which)])
        order = which.argsort(stable=True)
        lots = features[order].split(torch.bincount(which, minlength=parts).tolist())
        outputs = [nn.functional.linear(lot, weights[i], biases[i]) for i, lot in enumerate(lots) if len(lot)]
        return torch.cat([*outputs, features.new_zeros(0, weights.shape[1])])[order.argsort()]

    def _part_of_members(self, inputs: Tensor, which: Tensor, parts: int) -> Tensor:
        """As `part`: one product for the rows of each part, which all members answer together."""
        lots = Lots.of(inputs, self.members)
        features, weights = self._features(lots.inputs), self.exit.weight.unflatten(1, (parts, -1))
        biases, asked = self.exit.bias.unflatten(1, (parts, -1)), lots.spread(which)
        outputs = features.new_empty(*features.shape[:2], weights.shape[2])
        for index in which.unique().tolist():
            rows = (asked == index).any(0).nonzero().squeeze(1)
            answer = torch.baddbmm(biases[:, index, None], features[:, rows], weights[:, index].mT)
            mine = (asked[:, rows] == index)[..., None]
            outputs[:, rows] = answer if bool(mine.all()) else torch.where(mine, answer, outputs[:, rows])
        return lots.gather(outputs)


class Lots(NamedTuple):
    """Rows sorted by the member that answers them: `inputs` (E, N, I), padded, and the place (B,) of each row there."""

    inputs: Tensor
    places: Tensor

    @classmethod
    def of(cls, rows: Tensor, members: int) -> Lots:
        """The rows (B, I + 1), whose last column is the member. Raises `UserError` for a member that there is not."""
        who = rows[:, -1].long()
        counts = torch.bincount(who, minlength=members) if not len(who) or int(who.min()) >= 0 else who
        if len(counts) != members or len(who) != int(counts.sum()):
            raise UserError(f"the last column must name one of {members} members, 0 to {members - 1}")
        size = int(counts.max())
        order = who.argsort(stable=True)
        offsets = torch.arange(members, device=rows.device) * size - (counts.cumsum(0) - counts)
        places = torch.empty_like(order)
        places[order] = torch.arange(len(rows), device=rows.device) + offsets[who[order]]
        inputs = rows.new_zeros(members * size, rows.shape[1] - 1).index_copy(0, places, rows[:, :-1])
        return cls(inputs.view(members, size, -1), places)

    def spread(self, values: Tensor) -> Tensor:
        """Whole numbers (B,) in the places of the rows, (E, N); -1 in the padding."""
        members, size, _ = self.inputs.shape
        return values.new_full((members * size,), -1).index_copy(0, self.places, values).view(members, size)

    def gather(self, outputs: Tensor) -> Tensor:
        """What was answered, (E, N, O), in the order of the rows, (B, O)."""
        return outputs.flatten(0, 1)[self.places]
