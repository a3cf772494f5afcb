"""Denoisers around denoisers: tiles, windows, batches, ensembles, guards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from restorekit.engine.colour import EachChannel
from restorekit.engine.denoiser import Denoiser, NetworkDenoiser, Prediction
from restorekit.engine.noise import Noise
from restorekit.engine.regions import Box
from restorekit.engine.schedule import linear
from restorekit.engine.symmetry import MIRROR, SQUARE, Ensemble, Motion, Turning
from restorekit.engine.tiling import Tiled, Windowed
from restorekit.engine.traits import known
from restorekit.engine.unet import UNetConfig
from restorekit.engine.wrappers import Guarded, Shared, Topped

from .networks import LOCAL, random_network


def test_tiles_get_smaller_where_memory_runs_out(caplog: pytest.LogCaptureFixture) -> None:
    config = LOCAL["uneven"]
    whole = NetworkDenoiser(random_network(config), linear())
    sides = []

    class Small:
        """Has memory for pictures of 140 pixels a side and no more."""

        schedule = linear()

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            sides.append(max(x_t.shape[-2:]))
            if sides[-1] > 140:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return whole(x_t, t)

    x, t = torch.randn(1, 3, 300, 290, dtype=torch.float64), torch.tensor(0.4)
    with torch.inference_mode():
        tiled = Tiled(Small(), 256, config.halo or 0, config.multiple)
        torch.testing.assert_close(tiled(x, t).x_0, whole(x, t).x_0)
        assert tiled.tile <= 128 and "memory ran out" in caplog.text
        with pytest.raises(RuntimeError, match="allocate"):
            Tiled(Small(), 256, 256, config.multiple)(x, t)


def test_windows_blend_to_the_whole_where_nothing_is_seen_of_it() -> None:
    """A denoiser that looks at single pixels answers the same in windows, on odd sizes too."""
    seen = []

    class Pixelwise:
        schedule = linear()

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            seen.append(tuple(x_t.shape[-2:]))
            return Prediction(x_t.tanh(), x_t.sigmoid())

    x, t = torch.randn(2, 3, 75, 31, dtype=torch.float64), torch.tensor(0.4)
    windowed, whole = Windowed(Pixelwise(), 32, 8)(x, t), Pixelwise()(x, t)
    torch.testing.assert_close(windowed.x_0, whole.x_0)
    torch.testing.assert_close(windowed.variance_fraction, whole.variance_fraction)
    assert seen == [(32, 31)] * 3 + [(75, 31)]


def test_windows_leave_no_seams() -> None:
    """Where neighbours disagree, as a global denoiser does, one fades into the other."""

    class Mean:
        schedule = linear()

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            return Prediction(x_t.mean((2, 3), keepdim=True).expand_as(x_t))

    ramp = torch.linspace(-1, 1, 200).expand(1, 3, 32, 200)
    blended = Windowed(Mean(), 64, 32)(ramp, torch.tensor(0.4)).x_0[0, 0, 0]
    steps = blended.diff()
    assert steps.min() >= -1e-6 and steps.max() < 0.03  # 0.32 between the means of neighbours


@pytest.mark.parametrize("full", [False, True])
def test_threads_share_batches(full: bool) -> None:
    """While one question is answered the others gather: two batches for 5 + 1 of two shapes.

    Where memory has no room for a batch its questions are answered one by one.
    """
    whole = NetworkDenoiser(random_network(LOCAL["uneven"]), linear())
    started, gathered = threading.Event(), threading.Event()
    sizes: list[int] = []

    class Slow:
        schedule = linear()

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            sizes.append(len(x_t))
            started.set()
            assert gathered.wait(60)
            if full and len(x_t) > 1:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            with torch.inference_mode():
                return whole(x_t, t)

    shared = Shared(Slow())
    times = [torch.tensor(0.1 * i, dtype=torch.float64) for i in range(1, 8)]
    states = [torch.randn(1, 3, 32, 24 if i else 16, dtype=torch.float64) for i in range(7)]
    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(shared, states[1], times[1])
        assert started.wait(60)
        rest = [pool.submit(shared, states[i], times[i]) for i in (0, 2, 3, 4, 5, 6)]
        while len(shared.waiting) < 6:
            time.sleep(0.01)
        gathered.set()
        answers = {1: first.result()} | dict(
            zip((0, 2, 3, 4, 5, 6), [f.result() for f in rest], strict=True)
        )
    assert sorted(sizes) == ([1] * 7 + [5] if full else [1, 1, 5])
    for i, answer in answers.items():
        torch.testing.assert_close(answer.x_0, whole(states[i], times[i]).x_0)


def test_a_batch_has_one_graph_for_each_who_wants_a_gradient() -> None:
    """Whoever goes back through a shared graph first would free it for the others."""
    sizes: list[int] = []

    class Slow:
        schedule = linear()

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            sizes.append(len(x_t))
            while len(shared.waiting) + len(sizes) < 4:
                time.sleep(0.01)
            return Prediction(x_t.square())

    shared = Shared(Slow())

    def slope(value: float) -> float:
        with torch.enable_grad():
            x = torch.full((1, 1, 2, 2), value, requires_grad=True)
            (gradient,) = torch.autograd.grad(shared(x, torch.tensor(0.5)).x_0.sum(), x)
        return float(gradient.mean())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(slope, [1.0, 2.0, 3.0, 4.0])) == [2.0, 4.0, 6.0, 8.0]
    assert sizes == [1] * 4


def test_an_error_reaches_every_thread_that_asked() -> None:
    def fail(x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
        raise ValueError("no answer")

    fail.schedule = linear()  # type: ignore[attr-defined]
    shared = Shared(fail)  # type: ignore[arg-type]
    for _ in range(2):  # and the next question is heard
        with pytest.raises(ValueError, match="no answer"):
            shared(torch.zeros(1, 3, 8, 8), torch.tensor(0.5))


def test_reduced_precision_that_overflows_is_done_again(caplog: pytest.LogCaptureFixture) -> None:
    """Values beyond what float16 holds come out as float32 has them, with one warning."""
    network = random_network(UNetConfig(widths=(4, 6), blocks=1)).float()
    with torch.no_grad():
        network.stem.weight *= 1e6
        network.head.weight *= 1e-6
    exact = NetworkDenoiser(network, linear())
    reduced = NetworkDenoiser(network, linear(), precision=torch.float16)
    x, t = torch.randn(1, 3, 16, 16), torch.tensor(0.4)
    with torch.inference_mode():
        assert not torch.isfinite(reduced(x, t).x_0).all()
        guarded = Guarded(reduced)
        for asked in (guarded, guarded, Tiled(guarded, 8, 8, 2)):
            torch.testing.assert_close(asked(x, t).x_0, exact(x, t).x_0)
    assert caplog.text.count("float32") == 1


def test_an_ensemble_turns_with_the_picture() -> None:
    """Whatever the network, its ensemble commutes with every flip and turn; and is a mean."""
    denoiser = NetworkDenoiser(random_network(UNetConfig(widths=(4, 6), blocks=1)), linear())
    x = torch.randn(1, 3, 16, 24, dtype=torch.float64)
    t = torch.tensor(0.4)
    with torch.inference_mode():
        plain, averaged = denoiser(x, t).x_0, Ensemble(denoiser)(x, t).x_0
        for turned in (lambda x: x.rot90(1, (-2, -1)), lambda x: x.flip(-1), lambda x: x.flip(-2)):
            torch.testing.assert_close(Ensemble(denoiser)(turned(x), t).x_0, turned(averaged))
            assert not torch.allclose(denoiser(turned(x), t).x_0, turned(plain))

    class Affine:
        """Equivariant, so that its ensemble is itself; with a learned variance."""

        schedule = linear()

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            return Prediction(0.5 * x_t + 1, x_t**2)

    found = Ensemble(Affine())(x, t)
    torch.testing.assert_close(found.x_0, 0.5 * x + 1)
    torch.testing.assert_close(found.variance_fraction, x**2)


@pytest.mark.parametrize("motions", [MIRROR, SQUARE])
def test_turning_asks_one_after_the_other_what_an_ensemble_asks_at_once(
    motions: tuple[Motion, ...],
) -> None:
    config = UNetConfig(widths=(4, 6), blocks=1, learned_variance=True)
    denoiser = NetworkDenoiser(random_network(config), linear())
    x = torch.randn(1, 3, 16, 24, dtype=torch.float64)
    t = torch.tensor(0.4)
    turning = Turning(denoiser, motions)
    with torch.inference_mode():
        mean = Ensemble(denoiser, motions)(x, t)
        answers = [turning(x, t) for _ in motions]
        torch.testing.assert_close(answers[0].x_0, denoiser(x, t).x_0)  # first as it stands
        torch.testing.assert_close(turning(x, t).x_0, answers[0].x_0)  # and round again
    for name in ("x_0", "variance_fraction"):
        several = torch.stack([getattr(p, name) for p in answers])
        torch.testing.assert_close(several.mean(0), getattr(mean, name))
        assert (several.diff(dim=0).abs().amax((1, 2, 3, 4)) > 1e-6).all()


@pytest.mark.parametrize("size", [(61, 75), (96, 96)])
@pytest.mark.parametrize("tile", [16, 32])
@pytest.mark.parametrize("name", list(LOCAL))
def test_tiled_equals_whole(name: str, tile: int, size: tuple[int, int]) -> None:
    config = LOCAL[name]
    denoiser = NetworkDenoiser(random_network(config), linear())
    x = torch.randn(1, 3, *size, dtype=torch.float64)
    t = torch.tensor(0.4)
    with torch.inference_mode():
        whole = denoiser(x, t).x_0
        tiled = Tiled(denoiser, tile, config.halo or 0, config.multiple)(x, t).x_0
    torch.testing.assert_close(tiled, whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("around", [lambda d: d, known, Shared, Guarded, EachChannel])
def test_a_tile_asks_its_network_for_itself_alone(around: Callable[[Denoiser], Denoiser]) -> None:
    """Through whatever is pointwise between them; not through what looks around itself."""
    config = UNetConfig(channels=1 if around is EachChannel else 3, widths=(4, 6, 8), blocks=1)
    network = random_network(config)
    boxes: list[tuple[Box, ...]] = []
    network.register_forward_pre_hook(lambda _, given: boxes.append(given[2:]))
    denoiser = around(NetworkDenoiser(network, linear()))
    x, t, halo = torch.randn(1, 3, 61, 75, dtype=torch.float64), torch.tensor(0.4), config.halo or 0
    with torch.inference_mode():
        whole = denoiser(x, t).x_0
        assert boxes and not any(boxes)
        boxes.clear()
        tiled = Tiled(denoiser, 16, halo, config.multiple)(x, t).x_0
        assert all(len(given) == 1 and max(given[0].shape) <= 16 for given in boxes)
        boxes.clear()
        Tiled(Topped(denoiser), 16, halo, config.multiple)(x, t)
        assert boxes and not any(boxes)
    torch.testing.assert_close(tiled, whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_topped_asks_about_at_least_the_noise_it_is_told(share: float) -> None:
    """And tells at most sqrt(2) times that; a linear denoiser sees nothing of what was added."""
    seen: list[tuple[float, float]] = []

    class Linear:
        schedule = linear()

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            x = x_t / float(self.schedule(t)[0])
            seen.append((float(x.std()), float(self.schedule.noise_to_signal(t))))
            return Prediction(0.5 * x)

    ratio = 0.2
    y = share * ratio * Noise(3).normal((1, 3, 64, 64)).double()
    t = linear().time_for(ratio)
    x_t = float(linear()(t)[0]) * y
    answer = Topped(Linear(), pairs=2)(x_t, t).x_0
    torch.testing.assert_close(answer, 0.5 * y)
    assert len(seen) == 4
    for there, told in seen:
        assert told == pytest.approx(2**0.5 * ratio, rel=1e-6)
        assert ratio * 0.97 < there < told * 1.03
    assert torch.equal(Topped(Linear(), pairs=2)(x_t, t).x_0, answer), "the same every time"
