"""The training loop, top to bottom. Resumable at any moment; one process or many."""

from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .. import priors
from ..engine.denoiser import NetworkDenoiser
from ..engine.losses import OBJECTIVES
from ..engine.schedule import SCHEDULES, Schedule
from ..engine.unet import UNet, UNetConfig
from ..errors import RestorekitError
from . import export, validation
from .augment import augmented
from .data import Photos, to_unit
from .muon import Muon
from .run import Log, Report, Run
from .settings import Settings

LOG_EVERY = 50  # steps


def train(
    settings: Settings,
    data: Path,
    folder: Path,
    *,
    device: str = "cpu",
    init: Path | None = None,
    cache: Path | None = None,
    minutes: float | None = None,
    save_every: float = 60.0,
    validate_every: float = 600.0,
    name: str = "prior",
    report: Report | None = None,
) -> Path:
    """Trains a prior, or goes on where the run in `folder` stopped, and writes its weights there.

    Args:
        settings: what decides the outcome.
        data: a folder of photos.
        folder: of the run; see `Run` for what it holds.
        device: "cpu", "cuda", ...; several processes started by torchrun share the work.
        init: weights to start from.
        cache: where the photos are kept decoded, which runs may share; `folder`/cache by default.
        minutes: length of the run by the clock, over all resumptions; replaces settings.steps.
            A resumed run keeps its own unless another is given.
        save_every, validate_every: seconds between checkpoints and validations.
        report: called with every logged row.

    Returns:
        The weights file.

    Raises:
        RestorekitError: for unusable data, or a run that was started with other settings.
    """
    rank, world, device = join(device)
    chief = rank == 0
    parts = world * settings.accumulate
    if settings.batch % parts:
        raise RestorekitError(f"batch {settings.batch} does not divide into {parts} parts")
    run = Run(folder)
    with first_alone(chief, world):  # the first decodes the photos and writes the settings
        folder.mkdir(parents=True, exist_ok=True)
        run.check(settings)
        photos = Photos.of(settings, data, cache or folder / "cache")
        if chief:
            run.begin(settings)

    schedule = SCHEDULES[settings.schedule]()
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = UNet(settings.network).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    started_from = start_from(network, init, settings) if init is not None else None
    averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimisers = optimisers_for(network, settings)
    step, elapsed, loss_sum = 0, 0.0, torch.zeros((), device=device)
    if run.checkpoint.exists():
        saved = run.load(device)
        network.load_state_dict(saved["network"])
        averaged = saved["averaged"]
        for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        step, elapsed = saved["step"], saved["elapsed"]
        loss_sum, minutes = saved["loss_sum"], minutes or saved["minutes"]
        started_from = saved["started_from"]
    log = Log(run, step, report) if chief else None

    def save() -> None:
        check_finite(loss_sum.item(), run, step)  # the last good checkpoint stays
        state = {
            "network": network.state_dict(),
            "averaged": averaged,
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            "step": step,
            "elapsed": elapsed,
            "minutes": minutes,
            "loss_sum": loss_sum,
            "photos": [photos.count, photos.count_held_out],
            "started_from": started_from,
        }
        run.save(state)

    def validate() -> None:
        copy = UNet(settings.network).to(device)
        copy.load_state_dict(averaged)
        kind = settings.parametrisation, settings.sigma_data, precision
        denoiser = NetworkDenoiser(copy.eval().requires_grad_(False), schedule, *kind)
        scores = validation.scores(denoiser, photos, device)
        validation.draw(denoiser, photos, device, run.pictures / f"{step:07}.png")
        if log is not None:
            log({"step": step, **scores})

    precision = getattr(torch, settings.precision)
    replica: nn.Module = network
    if settings.compile:
        replica = torch.compile(replica)  # type: ignore[assignment]
    if world > 1:
        replica = nn.parallel.DistributedDataParallel(replica)
    denoiser = NetworkDenoiser(
        replica, schedule, settings.parametrisation, settings.sigma_data, precision
    )
    objective = OBJECTIVES[settings.objective]
    share = range(rank * settings.batch // world, (rank + 1) * settings.batch // world)
    part = len(share) // settings.accumulate
    began = time.monotonic() - elapsed
    last_row = last_save = last_validation = time.monotonic()

    for pixels in photos.batches(step, share):
        elapsed = first_clock(time.monotonic() - began, world)
        progress = elapsed / (60 * minutes) if minutes else step / settings.steps
        if progress >= 1:
            break
        # Everything random in a step follows from its number: resuming needs no saved state.
        seed = settings.seed * 1_000_003 + step
        x_0 = to_unit(pixels.to(device, non_blocking=True))
        x_0 = augmented(x_0, settings.jitter, settings.shuffle, seed * world + rank)
        t = draw_times(settings, schedule, seed)[share.start : share.stop]
        eps = draw_noise(settings, x_0, seed)[share.start : share.stop]

        for first in range(0, len(share), part):
            some = slice(first, first + part)
            synchronise = world == 1 or first + part == len(share)
            with contextlib.nullcontext() if synchronise else replica.no_sync():  # type: ignore[operator]
                loss = objective(denoiser, x_0[some], t[some], eps[some]).sum() / len(share)
                loss.backward()
            loss_sum += loss.detach()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate_at(settings, step, progress)
            optimiser.step()
            optimiser.zero_grad()
        average(averaged, network, min(settings.ema, (1 + step) / (10 + step)))
        step += 1

        now = time.monotonic()
        if step % LOG_EVERY == 0:
            if world > 1:
                dist.all_reduce(loss_sum)
            speed = LOG_EVERY * settings.batch / (now - last_row)
            mean = loss_sum.item() / LOG_EVERY / world
            check_finite(mean, run, step)
            loss_sum.zero_()
            row = {"step": step, "loss": mean, "elapsed": round(elapsed, 1)}
            if log is not None:
                log(row | {"progress": round(progress, 4), "images_per_second": round(speed, 1)})
            last_row = now
        if chief and now - last_save > save_every:
            save()
            last_save = now
        if chief and now - last_validation > validate_every:
            validate()
            last_validation = time.monotonic()
            began += last_validation - now  # a validation is not training time
            last_row += last_validation - now

    if log is not None:
        save()
        validate()
        log.close()
        export.export(run, name, data)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
    return run.weights


def check_finite(loss: float, run: Run, step: int) -> None:
    """Raises RestorekitError where the training has blown up."""
    if not math.isfinite(loss):
        raise RestorekitError(
            f"{run.folder}: the loss is no number at step {step}; export the checkpoint before "
            "that with --export, and start from it with --init and a lower rate"
        )


def draw_times(settings: Settings, schedule: Schedule, seed: int) -> Tensor:
    """A time for each crop of a step, (batch,): stratified, so that every batch has them all.

    Grid times where the settings name no noise, else log-uniform noise levels.
    """
    source = torch.Generator().manual_seed(seed)
    offsets = torch.rand(settings.batch, generator=source, dtype=torch.float64)
    u = (torch.arange(settings.batch) + offsets) / settings.batch
    if not settings.noise:
        return (u * schedule.T).floor().add(1).clamp(max=schedule.T) / schedule.T
    lowest, low, high, highest = (math.log(s) for s in settings.noise)
    near = u / settings.focus
    far = (u - settings.focus) / max(1 - settings.focus, 1e-9)
    ratio = torch.where(near < 1, low + near * (high - low), lowest + far * (highest - lowest))
    return schedule.time_for(ratio.exp())


def draw_noise(settings: Settings, like: Tensor, seed: int) -> Tensor:
    """eps for the whole batch of a step, drawn on the device."""
    source = torch.Generator(like.device).manual_seed(seed)
    shape = settings.batch, *like.shape[1:]
    return torch.randn(shape, generator=source, device=like.device)


def rate_at(settings: Settings, step: int, progress: float) -> float:
    """Linear warm-up, then a cosine from the peak to zero at progress 1."""
    warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    return settings.rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def optimisers_for(network: UNet, settings: Settings) -> list[torch.optim.Optimizer]:
    """AdamW, beside Muon for the convolutions between stem and head where the settings say so."""
    ends = {id(p) for layer in (network.stem, network.head) for p in layer.parameters()}
    dense = [p for p in network.parameters() if p.ndim == 4 and p.shape[1] > 1]
    muon = settings.optimiser == "muon"
    matrices = [p for p in dense if muon and id(p) not in ends]
    taken = {id(p) for p in matrices}
    rest = [p for p in network.parameters() if id(p) not in taken]
    decay = settings.weight_decay
    adam = torch.optim.AdamW(
        rest, settings.rate, betas=settings.betas, weight_decay=decay, fused=True
    )
    if not matrices:
        return [adam]
    precision = getattr(torch, settings.precision)
    return [adam, Muon(matrices, settings.rate, weight_decay=decay, precision=precision)]


@torch.no_grad()
def average(averaged: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    """The exponential moving average of the weights, a step further."""
    current = list(network.state_dict().values())
    torch._foreach_lerp_(list(averaged.values()), current, 1 - decay)


def start_from(network: UNet, init: Path, settings: Settings) -> str:
    """Copies the weights of a prior of the same making; returns its name."""
    described = priors.read_metadata(init)
    theirs = described | {"network": UNetConfig(**described["network"])}
    for name in ("network", "parametrisation", "sigma_data"):
        if theirs[name] != getattr(settings, name):
            raise RestorekitError(f"{init}: its {name} differs from the settings'; train anew")
    network.load_state_dict(priors.load(init).network.state_dict())
    return str(described.get("name", init.stem))


def join(device: str) -> tuple[int, int, str]:
    """Rank, number of processes and device of this one, as torchrun set them up."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world == 1:
        return rank, world, device
    cuda = device.startswith("cuda")
    if cuda:
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    return rank, world, device


@contextlib.contextmanager
def first_alone(chief: bool, world: int) -> Any:
    """The first process goes through the block before the others do."""
    if not chief:
        dist.barrier()
    yield
    if chief and world > 1:
        dist.barrier()


def first_clock(seconds: float, world: int) -> float:
    """The first process's clock, so that all stop at the same step."""
    if world == 1:
        return seconds
    clock = torch.tensor([seconds], dtype=torch.float64)
    if dist.get_backend() == "nccl":
        clock = clock.cuda()
    dist.broadcast(clock, 0)
    return float(clock.item())
