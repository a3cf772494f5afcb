"""The training loop, top to bottom. Resumable at any moment; one process or many."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
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
from ..engine.schedule import SCHEDULES
from ..engine.unet import UNet
from ..engine.unet_config import UNetConfig
from ..errors import RestorekitError
from ..files import make_folder, read
from ..units import YEAR
from . import augment, draws, export, validation
from .data import Photos, to_unit
from .muon import Muon
from .run import REPORT_EVERY, Checkpoint, Log, Report, Run
from .settings import Settings

log = logging.getLogger(__name__)

LOG_EVERY = 50  # steps
WARMUP_SHARE = 0.05  # of the run, at most


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
    name: str | None = None,
    report: Report | None = None,
) -> Path:
    """Trains a prior, or goes on where the run in `folder` stopped, and writes its weights there.

    Args:
        settings: what decides the outcome.
        data: a folder of photos.
        folder: of the run; see `Run` for what it holds.
        device: "cpu", "cuda", ...; several processes started by torchrun share the work.
        init: weights to start from; passed over where the run goes on.
        cache: where the photos are kept decoded, which runs may share; `folder`/cache by default.
        minutes: of training, over all resumptions, without decoding and validations; replaces
            settings.steps. A resumed run keeps its own unless another is given.
        save_every, validate_every: seconds between checkpoints and validations.
        name: of the prior; "prior", or as the run was told before.
        report: called with every logged row, and every few seconds with the progress alone.

    Returns:
        The weights file.

    Raises:
        RestorekitError: for unusable data, or a run that was started with other settings.
    """
    rank, world, device = join(device)
    chief, cuda = rank == 0, device.startswith("cuda")
    parts = world * settings.accumulate
    if settings.batch % parts:
        raise RestorekitError(f"batch {settings.batch} does not divide into {parts} parts")
    run = Run(folder)
    run.check(settings)
    own = run.own_among(data)
    check_times(minutes, save_every, validate_every)
    saved = run.load(device) if run.checkpoint.exists() else None
    schedule = SCHEDULES[settings.schedule]()
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = UNet(settings.network).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    started_from = saved["started_from"] if saved else None
    if init is not None and not saved:
        started_from = start_from(network, init, settings)
    photos = Photos.of(
        settings, data, cache or folder / "cache", without=own, report=report if chief else None
    )
    if chief:
        make_folder(folder)
        export.keep_attribution(run, data)
        run.begin(settings)

    averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimisers = optimisers_for(network, settings)
    step, elapsed = 0, 0.0
    loss_sum, losses = torch.zeros((), device=device), 0  # of the steps since the last row
    if saved:
        with run.fitting():
            network.load_state_dict(saved["averaged"])  # which is of the same shapes
            network.load_state_dict(saved["network"])
            for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)
        averaged = saved["averaged"]
        step, elapsed = saved["step"], saved["elapsed"]
        loss_sum, losses = saved["loss_sum"], saved["losses"]
        minutes, name = minutes or saved["minutes"], name or saved["name"]
        if chief and saved["key"] != photos.key:
            log.warning("%s: not the photos that the run began with; it goes on with them", data)
    name = name or "prior"
    rows = Log(run, step, report) if chief else None

    def save(loss: Tensor) -> None:
        """Keeps what the step begins with, whose loss tells that it is sound."""
        check_finite((loss_sum + loss).item(), run, step)  # the last good checkpoint stays
        state: Checkpoint = {
            "network": network.state_dict(),
            "averaged": averaged,
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            "step": step,
            "elapsed": elapsed,
            "minutes": minutes,
            "loss_sum": loss_sum,
            "losses": losses,
            "name": name,
            "key": photos.key,
            "photos": (photos.count, photos.count_held_out),
            "started_from": started_from,
        }
        run.save(state)

    def validate() -> None:
        copy = UNet(settings.network).to(device)
        copy.load_state_dict(averaged)
        denoiser = NetworkDenoiser(copy.eval().requires_grad_(False), schedule, **kind)
        scores = validation.scores(denoiser, photos, device)
        validation.draw(denoiser, photos, device, run.pictures / f"{step:07}.png")
        if rows is not None:
            rows({"step": step, **scores})

    kind: dict[str, Any] = {
        "parametrisation": settings.parametrisation,
        "sigma_data": settings.sigma_data,
        "precision": getattr(torch, settings.precision),
        "mapped": settings.network.mapped,
    }
    replica: nn.Module = network
    if settings.compile:
        replica = torch.compile(replica)  # type: ignore[assignment]
    if world > 1:
        replica = nn.parallel.DistributedDataParallel(replica)
    denoiser = NetworkDenoiser(replica, schedule, **kind)
    objective = OBJECTIVES[settings.objective]
    share = range(rank * settings.batch // world, (rank + 1) * settings.batch // world)
    mine = slice(share.start, share.stop)
    part = len(share) // settings.accumulate
    clocks = dist.new_group(backend="gloo") if world > 1 else None  # does not wait for a GPU
    began = time.monotonic() - elapsed
    last_row = last_save = last_report = last_validation = time.monotonic()
    timed = step  # the first step since the last row, or since the run goes on

    for crops in photos.batches(step, share, pinned=cuda):
        elapsed = time.monotonic() - began
        if minutes and clocks is not None:
            elapsed = first_clock(elapsed, clocks)
        progress = elapsed / (60 * minutes) if minutes else step / settings.steps
        # Everything random in a step follows from its number: resuming needs no saved state.
        x_0 = to_unit(crops.x_0.to(device, non_blocking=True))
        colours = draws.seed_of(settings, step, draws.COLOURS)
        x_0 = augment.augmented(
            x_0, settings.jitter, settings.shuffle, colours, settings.batch, mine
        )
        t = draws.times(settings, schedule, step)[mine]
        eps = draws.noise(settings, x_0, step)[mine]
        if crops.faults is not None:
            told = draws.told(settings, step)[mine]
            faults = crops.faults.to(device, non_blocking=True)
            photographed = faults
            if crops.holes is not None:
                holes = crops.holes.to(device, non_blocking=True)
                photographed = faults * holes.flatten(1).all(1)[:, None, None, None]
            t, eps = draws.of_faults(schedule, t, eps, photographed, told)
            if crops.holes is not None:
                t, eps = draws.of_holes(schedule, t, eps, holes, faults)

        loss = torch.zeros((), device=device)
        for first in range(0, len(share), part):
            some = slice(first, first + part)
            synchronise = world == 1 or first + part == len(share)
            with contextlib.nullcontext() if synchronise else replica.no_sync():  # type: ignore[operator]
                some_loss = objective(denoiser, x_0[some], t[some], eps[some]).sum() / len(share)
                some_loss.backward()
            loss += mean_over_processes(some_loss.detach(), world)
        now = time.monotonic()
        # Weights are saved once their own loss is known: the last ones of a run cost a step more.
        if chief and (progress >= 1 or now - last_save > save_every):
            save(loss)
            last_save = now
        if progress >= 1:
            break
        loss_sum += loss
        losses += 1
        if settings.clip:
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate_at(settings, step, progress)
            optimiser.step()
            optimiser.zero_grad()
        average(averaged, network, min(settings.ema, (1 + step) / (10 + step)))
        step += 1

        now = time.monotonic()
        done = {"step": step, "elapsed": round(elapsed, 1), "progress": round(progress, 4)}
        if step % LOG_EVERY == 0:
            mean = loss_sum.item() / losses
            check_finite(mean, run, step)
            speed = (step - timed) * settings.batch / (now - last_row)
            if rows is not None:
                rows({**done, "loss": mean, "images_per_second": round(speed, 1)})
            loss_sum.zero_()
            losses, timed, last_row, last_report = 0, step, now, now
        elif chief and report is not None and now - last_report > REPORT_EVERY:
            report(done)
            last_report = now
        if chief and now - last_validation > validate_every:
            validate()
            last_validation = time.monotonic()
            began += last_validation - now  # a validation is not training time
            last_row += last_validation - now

    if rows is not None:
        # A finished run that is started again has these rows.
        if losses and rows.last.get("loss") != step:
            rows({"step": step, "elapsed": round(elapsed, 1), "loss": loss_sum.item() / losses})
        if rows.last.get("psnr_25") != step:
            validate()
        rows.close()
        export.export(run)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
    return run.weights


def check_times(minutes: float | None, save_every: float, validate_every: float) -> None:
    """Raises RestorekitError for times that no clock reaches."""
    for name, value in (("save_every", save_every), ("validate_every", validate_every)):
        if not 0 <= value <= 60 * YEAR:
            raise RestorekitError(f"{name} is {value} seconds; give 0 to {60 * YEAR}, a year")
    if minutes is not None and not 0 < minutes <= YEAR:
        raise RestorekitError(f"minutes is {minutes}; give above 0, and {YEAR} (a year) at most")


def check_finite(loss: float, run: Run, step: int) -> None:
    """Raises RestorekitError where the training has blown up."""
    if not math.isfinite(loss):
        raise RestorekitError(
            f"{run.folder}: the loss is no number at step {step}; export the checkpoint before "
            "that with --export, and start from it with --init and a lower rate"
        )


def rate_at(settings: Settings, step: int, progress: float) -> float:
    """Linear warm-up, over a twentieth of a short run, then a cosine from the peak to zero."""
    warm = (step + 1) / settings.warmup if settings.warmup else 1.0
    warm = min(1.0, max(warm, progress / WARMUP_SHARE))
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
    """Copies the weights of a prior of the same making; returns its name and hash.

    One that knows no map may become one that does: it begins by passing the map over.
    """
    weights = priors.load(init).network.state_dict()
    described = priors.read_metadata(init)
    theirs = described | {"network": UNetConfig(**described["network"])}
    if settings.network.mapped and not theirs["network"].mapped:
        theirs["network"] = dataclasses.replace(theirs["network"], mapped=True)
        stem = torch.zeros_like(network.stem.weight)
        stem[:, : weights["stem.weight"].shape[1]] = weights["stem.weight"]
        weights["stem.weight"] = stem
    for name in ("network", "parametrisation", "sigma_data"):
        if theirs[name] != getattr(settings, name):
            raise RestorekitError(f"{init}: its {name} differs from the settings'; train anew")
    network.load_state_dict(weights)
    digest = hashlib.sha256(read(init)).hexdigest()
    return f"{described.get('name', init.stem)} (sha256 {digest[:16]})"


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


def mean_over_processes(loss: Tensor, world: int) -> Tensor:
    """What the whole batch's loss is, known to every process."""
    if world > 1:
        dist.all_reduce(loss)
    return loss / world


def first_clock(seconds: float, clocks: dist.ProcessGroup) -> float:
    """The first process's clock, so that all stop at the same step."""
    clock = torch.tensor([seconds], dtype=torch.float64)
    dist.broadcast(clock, 0, group=clocks)
    return float(clock.item())
