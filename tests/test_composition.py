"""Convolutions, and operators one after the other: any, on any size, as precise as single ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.engine.blur import Blur
from restorekit.engine.composition import Compose
from restorekit.engine.operators import Grey, Identity, LinearOperator, Mask, Resample
from restorekit.testing import check_operator, dense

Size = tuple[int, int]


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(sigma: float) -> torch.Tensor:
    t = torch.arange(-2.0, 3.0, dtype=torch.float64)
    one = (-(t**2) / (2 * sigma**2)).exp()
    return torch.outer(one, one) / one.sum() ** 2


def mask(size: Size, seed: int = 1) -> Mask:
    return Mask((seeded(1, 1, *size, seed=seed) < 0.7).double())


@st.composite
def compositions(draw: st.DrawFn) -> tuple[Compose, Size]:
    """Up to four, from a blur or none to what is left of the picture at the end."""
    size: Size = (draw(st.integers(5, 12)), draw(st.integers(5, 12)))
    here, chosen = size, []
    for kind in draw(st.permutations(["blur", "resample", "mask", "grey"]))[
        : draw(st.integers(1, 4))
    ]:
        operator: LinearOperator
        if kind == "blur" and min(here) >= 5:
            kernel = draw(st.sampled_from([gaussian(0.8), gaussian(2.0), seeded(3, 4)]))
            operator = Blur(here, kernel)
        elif kind == "resample":
            to = draw(st.integers(2, here[0])), draw(st.integers(2, here[1]))
            operator, here = Resample(here, to), to
        elif kind == "mask":
            operator = mask(here, draw(st.integers(0, 9)))
        else:
            operator = Identity()
        chosen.append(operator)
    if draw(st.booleans()):
        chosen[-1] = Grey(chosen[-1])
    return Compose(*reversed(chosen)), size


@settings(max_examples=25, deadline=None, derandomize=True)
@given(compositions())
def test_any_composition_conforms(case: tuple[Compose, Size]) -> None:
    operator, size = case
    check_operator(operator, (1, 3, *size))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kernel", [gaussian(0.7), gaussian(1.6), seeded(4, 5), seeded(1, 3)])
@pytest.mark.parametrize("size", [(11, 7), (8, 9)])
def test_a_blur_conforms(size: Size, kernel: torch.Tensor, dtype: torch.dtype) -> None:
    check_operator(Blur(size, kernel / kernel.sum()), (2, 3, *size), dtype)


def test_a_blur_is_the_convolution() -> None:
    """True convolution, not correlation, about the kernel's middle; but for what is below FLOOR."""
    kernel, x = seeded(3, 4, seed=2), seeded(1, 1, 9, 10)
    wanted = torch.zeros_like(x)
    for i in range(3):
        for j in range(4):
            wanted += kernel[i, j] * x.roll((i - 1, j - 2), (2, 3))
    torch.testing.assert_close(Blur((9, 10), kernel)(x), wanted, rtol=0, atol=1e-2)
    exact = torch.tensor([[0.1, 0.7, 0.2]], dtype=torch.float64)
    shifted = 0.1 * x.roll(-1, 3) + 0.7 * x + 0.2 * x.roll(1, 3)
    torch.testing.assert_close(Blur((9, 10), exact)(x), shifted)


def test_what_is_written_last_acts_first() -> None:
    first, second = Blur((6, 7), gaussian(0.8)), Resample((6, 7), (3, 4))
    both = Compose(mask((3, 4)), second, first)
    product = (
        dense(mask((3, 4)), (1, 1, 3, 4)) @ dense(second, (1, 1, 6, 7)) @ dense(first, (1, 1, 6, 7))
    )
    torch.testing.assert_close(dense(both, (1, 1, 6, 7)), product)


@pytest.mark.parametrize("rho", [1e-3, 0.1, 10.0])
def test_behind_a_mask_the_prox_is_found_in_few_steps(rho: float) -> None:
    """In single precision, by what the blur does without the mask; as the dense solution."""
    size = (24, 22)
    seen = torch.zeros(1, 1, *size)
    seen[..., 2:-2, 2:-2] = 1
    blur = Blur(size, gaussian(1.6))
    operator, (z, y) = (
        Compose(Mask(seen), blur),
        (seeded(1, 1, *size, seed=s).float() for s in (3, 4)),
    )
    a = dense(operator, z.shape)
    right = a.T @ y.double().flatten() + rho * z.double().flatten()
    exact = torch.linalg.solve(a.T @ a + rho * torch.eye(len(a.T)), right).reshape(z.shape)
    asked = 0

    class Counted(Compose):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nonlocal asked
            asked += 1
            return super().forward(x)

    found = Counted(Mask(seen), blur).prox(z, y, rho)
    assert (found - exact).abs().max() < 1e-3 and asked < 60
