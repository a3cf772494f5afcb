"""Which precisions a device computes natively."""

from __future__ import annotations

import functools

import torch


@functools.cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16; processors without take ten times as long in it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # from torch 2.11 on
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False
