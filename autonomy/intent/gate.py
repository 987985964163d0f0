"""When to help: an assistant that is not sure what is meant may better hold still."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gated(filled: Tensor, share: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    """Scale the assistant's dimensions by how sure the belief is.

    `filled` (B, D) is the completion in [-1, 1], `share` (B,) the probability of the intent that it is for, `scores`
    (B, K + 1) are log p(a_held | s, z) in nats, and `mask` (B, D) says what the operator holds. A row becomes 0 where
    its command is less probable given every intent than under the uniform density on [-1, 1]. A row in which nothing
    is held stays as it is, since there is nobody to wait for.
    """
    held = mask.sum(1)
    known = scores.amax(1) >= -held * math.log(2)
    weight = torch.where(held > 0, share.to(filled) * known, 1.0)
    return filled * weight[:, None]
