"""Every operator through the same conformance check, on odd sizes and in both precisions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from restorekit.engine.operators import (
    Grey,
    Identity,
    LinearOperator,
    Mask,
    Nothing,
    Resample,
    area,
    bicubic,
)
from restorekit.testing import check_operator, dense

SIZE = (13, 17)


def mask() -> Mask:
    return Mask((torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(1)) < 0.6).float())


class Smear(LinearOperator):
    """Gives forward and adjoint alone, as a plugin may: pinv and prox come from the base."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.75 * x + 0.25 * x.roll(1, -1)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return 0.75 * y + 0.25 * y.roll(-1, -1)


OPERATORS: dict[str, Callable[[], LinearOperator]] = {
    "identity": Identity,
    "mask": mask,
    "nothing": lambda: Nothing(SIZE),
    "bicubic x2": lambda: Resample(SIZE, (7, 9)),
    "bicubic x3.3": lambda: Resample(SIZE, (4, 5)),
    "bicubic x1.2": lambda: Resample(SIZE, (11, 14)),
    "area x2.6": lambda: Resample(SIZE, (5, 7), area),
    "grey": lambda: Grey(Identity()),
    "grey then mask": lambda: Grey(mask()),
    "grey then bicubic": lambda: Grey(Resample(SIZE, (6, 8))),
    "conjugate gradients": Smear,
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", list(OPERATORS))
def test_conformance(name: str, dtype: torch.dtype) -> None:
    check_operator(OPERATORS[name](), (2, 3, *SIZE), dtype)


def test_conformance_catches_a_wrong_adjoint() -> None:
    class Wrong(Smear):
        def adjoint(self, y: torch.Tensor) -> torch.Tensor:
            return self(y)

    with pytest.raises(AssertionError, match="A\\^T"):
        check_operator(Wrong(), (1, 3, *SIZE))


def test_conformance_catches_a_wrong_norm() -> None:
    operator = OPERATORS["bicubic x3.3"]()

    class Wrong(Resample):
        norm = 0.9 * operator.norm

    with pytest.raises(AssertionError, match="norm"):
        check_operator(Wrong(SIZE, (4, 5)), (1, 3, *SIZE))


def test_reduction_keeps_constants_and_means() -> None:
    for kernel in (bicubic, area):
        operator = Resample((12, 16), (3, 4), kernel)
        ones = torch.ones(1, 1, 12, 16, dtype=torch.float64)
        torch.testing.assert_close(operator(ones), torch.ones(1, 1, 3, 4, dtype=torch.float64))
    x = torch.rand(1, 1, 12, 16, dtype=torch.float64)
    blocks = torch.nn.functional.avg_pool2d(x, 4)
    torch.testing.assert_close(Resample((12, 16), (3, 4), area)(x), blocks)


def test_bicubic_is_the_literatures() -> None:
    """Weights of MATLAB's imresize(x, 1/2), antialiased, away from the edges."""
    across = Resample((1, 32), (1, 16))
    row = dense(across, (1, 1, 1, 32))[8]
    wanted = torch.tensor([-3, -9, 29, 111, 111, 29, -9, -3], dtype=torch.float64) / 256
    torch.testing.assert_close(row[13:21], wanted)
    assert row[:13].abs().max() == 0 == row[21:].abs().max()


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_long_sides_are_solved_without_an_eigenbasis(
    monkeypatch: pytest.MonkeyPatch, rho: float
) -> None:
    operator = OPERATORS["bicubic x3.3"]()
    y = torch.randn(1, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = operator.pinv(y.flip(-1))
    exact = operator.project(z, y, rho)
    monkeypatch.setattr(Resample, "DIRECT", 4)
    torch.testing.assert_close(operator.project(z, y, rho), exact, atol=1e-5, rtol=0)


def test_a_mask_of_greys_is_refused() -> None:
    with pytest.raises(ValueError, match="0 and 1"):
        Mask(torch.full((1, 1, 2, 2), 0.5))
