"""Which numbers the matrix products of the training loss are worked out in."""

from __future__ import annotations

import torch

__all__ = ["PRECISIONS", "is_bfloat16"]

PRECISIONS = ("auto", "float32", "bfloat16")


def is_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether `precision` means bfloat16 on `device`.

    `precision` is one of `PRECISIONS`. auto: where the machine multiplies in it (a GPU or a processor with instructions
    for it); elsewhere it is slower than float32.
    """
    return precision == "bfloat16" or (precision == "auto" and _multiplies(device))


def _multiplies(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.4 does not tell
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
