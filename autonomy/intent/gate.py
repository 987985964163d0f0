"""When to help: an assistant that is not sure what is meant may better hold still."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Gate:
    """The assistant's dimensions move in proportion to how sure the belief is.

    They hold still where what the operator does is less probable given every intent than anything at all would be.
    Where the operator holds nothing they move as ever: nobody is there to wait for.
    """

    def __call__(self, filled: Tensor, share: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """`filled` (B, D) by the belief's `share` (B,) of its intent; `scores` (B, K + 1) are log p(a_held | s, z)."""
        held = mask.sum(1)
        known = scores.amax(1) >= -held * math.log(2)
        weight = torch.where(held > 0, share.to(filled) * known, 1.0)
        return filled * weight[:, None]
