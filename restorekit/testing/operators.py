"""Is an operator's adjoint its adjoint, and are pinv and prox what they claim?"""

from __future__ import annotations

import torch
from torch import Tensor

from ..engine.operators import LinearOperator


def check_operator(
    operator: LinearOperator, shape: tuple[int, ...], dtype: torch.dtype = torch.float64
) -> None:
    """Asserts that adjoint, pinv and prox are what they claim, on random pictures.

    Args:
        operator: the one to check; it must leave its arguments as they are.
        shape: (B, C, H, W) of pictures it works on.
        dtype: float32 is checked to 1e-4, float64 to 1e-9, relative to the numbers' size.
    """
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    source = torch.Generator().manual_seed(0)

    def random(*size: int) -> Tensor:
        return torch.randn(*size, generator=source, dtype=torch.float64).to(dtype)

    def close(a: Tensor, b: Tensor, what: str) -> None:
        gap = (a - b).abs().max().item() if a.numel() else 0.0
        size = max(1.0, b.abs().max().item() if b.numel() else 0.0)
        assert gap <= tolerance * size, f"{type(operator).__name__}: {what}: off by {gap:.2e}"

    x, z = random(*shape), random(*shape)
    before = x.clone()
    image = operator(x)
    y = random(*image.shape)
    assert torch.equal(x, before), "forward changed its argument"
    assert image.dtype == dtype, "forward changed the type"
    gap = adjoint_gap(operator, x, y)
    assert gap <= tolerance, f"{type(operator).__name__}: <A x, y> = <x, A^T y>: off by {gap:.2e}"
    close(operator(x + 2 * z), image + 2 * operator(z), "linearity")

    pinv = operator.pinv(image)
    close(operator(pinv), image, "A A^+ A = A")
    close(operator.pinv(operator(pinv)), pinv, "A^+ A A^+ = A^+")
    for rho in (0.01, 1.0, 30.0):
        best = operator.prox(z, y, rho)
        gradient = operator.adjoint(operator(best) - y) + rho * (best - z)
        balance = gradient / (1 + rho)  # its two terms cancel, and are about so large
        close(balance, torch.zeros_like(balance), f"prox at rho = {rho} is stationary")
    for got in (operator.adjoint(y), pinv, operator.prox(z, y, 1.0)):
        assert got.shape == x.shape and got.dtype == dtype, "shape or type was not kept"
    for _ in range(20):  # towards the largest singular value
        x = x / torch.linalg.vector_norm(x).clamp(min=1e-30)
        image = operator(x)
        size = torch.linalg.vector_norm(image)
        assert size <= operator.norm * (1 + tolerance), "norm is not an upper bound"
        x = operator.adjoint(image)


def adjoint_gap(operator: LinearOperator, x: Tensor, y: Tensor) -> float:
    """How far <A x, y> and <x, A^T y> are apart; relative to their size, where that exceeds 1."""
    scale = max(1, x.numel()) ** 0.5
    one, other = (operator(x) * y).sum() / scale, (x * operator.adjoint(y)).sum() / scale
    return float((one - other).abs() / other.abs().clamp(min=1))
