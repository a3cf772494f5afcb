"""The training loop, top to bottom. Resumable at any moment; one process or many."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable
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
from ..errors import RestorekitError
from . import card, validation
from .data import Photos, to_unit
from .settings import Settings

Report = Callable[[dict[str, Any]], None]


def draw_times(settings: Settings, schedule: Any, u: Tensor) -> Tensor:
    """Times for uniform numbers u (B,): grid times, or the settings' noise distribution."""
    if not settings.noise:
        return (u * schedule.T).floor().add(1).clamp(max=schedule.T) / schedule.T
    low, middle, high = (math.log(s) for s in settings.noise)
    near = u / settings.focus
    far = (u - settings.focus) / max(1 - settings.focus, 1e-9)
    ratio = torch.where(near < 1, low + near * (middle - low), middle + far * (high - middle))
    return schedule.time_for(ratio.exp())


def rate_at(settings: Settings, step: int, progress: float) -> float:
    """Linear warm-up, then a cosine from the peak to zero at progress 1."""
    warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    return settings.rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def train(
    settings: Settings,
    data: Path,
    run: Path,
    *,
    device: str = "cpu",
    init: Path | None = None,
    minutes: float | None = None,
    save_every: float = 60.0,
    validate_every: float = 600.0,
    name: str = "prior",
    report: Report | None = None,
) -> Path:
    """Trains a prior, or goes on where the run in `run` stopped, and writes its weights there.

    Args:
        data: a folder of photos. Decoded once into `run`/cache.
        run: holds checkpoint.pt, log.jsonl, settings.json, and at the end prior.safetensors
            and its card.
        init: weights to start from.
        minutes: length of the run by the clock, over all resumptions; replaces settings.steps.
            A resumed run keeps its own unless another is given.
        save_every, validate_every: seconds between checkpoints and validations.
        report: called with every logged row.

    Returns:
        The weights file.

    Raises:
        RestorekitError: for unusable data, or a run that was started with other settings.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if settings.batch % world:
        raise RestorekitError(f"batch {settings.batch} does not divide among {world} processes")
    if world > 1 and not dist.is_initialized():
        if device.startswith("cuda"):
            device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    chief = rank == 0
    if not chief:
        dist.barrier()  # the first process decodes the photos and writes the settings
    else:
        run.mkdir(parents=True, exist_ok=True)
        _check_settings(settings, run)
    photos = Photos(
        data,
        run / "cache",
        settings.crop,
        scales=settings.scales,
        held_out=settings.held_out,
        grey=settings.grey,
        rotate=settings.rotate,
        seed=settings.seed,
    )
    if chief:
        _write_settings(settings, run)
        if world > 1:
            dist.barrier()

    schedule = SCHEDULES[settings.schedule]()
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = UNet(settings.network).to(device)
    if init is not None:
        _start_from(network, init, settings)
    averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=settings.rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    step, elapsed = 0, 0.0
    checkpoint = run / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(saved["network"])
        averaged = saved["averaged"]
        optimiser.load_state_dict(saved["optimiser"])
        step, elapsed = saved["step"], saved["elapsed"]
        minutes = minutes or saved["minutes"]
    logfile = _open_log(run / "log.jsonl", step) if chief else None

    def emit(row: dict[str, Any]) -> None:
        if logfile is not None:
            logfile.write(json.dumps(row) + "\n")
            logfile.flush()
            if report is not None:
                report(row)

    def denoiser_of(state: dict[str, Tensor]) -> NetworkDenoiser:
        copy = UNet(settings.network).to(device)
        copy.load_state_dict(state)
        parts = settings.parametrisation, settings.sigma_data
        return NetworkDenoiser(copy, schedule, *parts).requires_grad_(False).eval()

    replica: nn.Module = nn.parallel.DistributedDataParallel(network) if world > 1 else network
    denoiser = NetworkDenoiser(
        replica,
        schedule,
        settings.parametrisation,
        settings.sigma_data,
        precision=getattr(torch, settings.precision),
    )
    objective = OBJECTIVES[settings.objective]
    share = slice(rank * settings.batch // world, (rank + 1) * settings.batch // world)
    began = time.monotonic() - elapsed
    last_save = last_validation = time.monotonic()
    recent: list[Tensor] = []
    started, first = time.monotonic(), step

    for pixels in photos.batches(step, settings.batch):
        elapsed = _shared(time.monotonic() - began, world)
        progress = elapsed / (60 * minutes) if minutes else step / settings.steps
        if progress >= 1:
            break
        x_0 = to_unit(pixels.to(device, non_blocking=True))
        # Everything random in a step follows from its number: resuming needs no saved state.
        source = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        offsets = torch.rand(settings.batch, generator=source) + torch.arange(settings.batch)
        t = draw_times(settings, schedule, offsets.double() / settings.batch)
        eps = torch.randn(x_0.shape, generator=source).to(device, non_blocking=True)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(settings, step, progress)
        loss = objective(denoiser, x_0[share], t[share], eps[share]).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimiser.step()
        decay = min(settings.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(averaged.values()), list(network.state_dict().values()), 1 - decay
            )
        step += 1
        recent.append(loss.detach())
        if step % 50 == 0:
            losses = torch.stack(recent).mean().reshape(1)
            recent.clear()
            if world > 1:
                dist.all_reduce(losses)
            row = {"step": step, "loss": losses.item() / world, "elapsed": round(elapsed, 1)}
            speed = (step - first) * settings.batch / (time.monotonic() - started)
            emit(row | {"progress": round(progress, 4), "images_per_second": round(speed, 1)})
        now = time.monotonic()
        if chief and now - last_save > save_every:
            _save(checkpoint, network, averaged, optimiser, step, now - began, minutes)
            last_save = now
        if chief and now - last_validation > validate_every:
            scores = validation.scores(denoiser_of(averaged), photos, device)
            emit({"step": step, **scores})
            last_validation = time.monotonic()
            began += last_validation - now  # a validation is not training time

    final = run / "prior.safetensors"
    if chief:
        _save(checkpoint, network, averaged, optimiser, step, elapsed, minutes)
        finished = denoiser_of(averaged)
        scores = validation.scores(finished, photos, device)
        emit({"step": step, **scores})
        described = {
            "name": name,
            **_for_loading(settings),
            "training": settings.as_dict(),
            "steps": step,
            "minutes": round(elapsed / 60, 1),
            "scores": scores,
        }
        priors.save(final, averaged, described)
        card.write(run / "prior.md", described, len(photos.train))
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
    return final


def _for_loading(settings: Settings) -> dict[str, Any]:
    everything = settings.as_dict()
    return {k: everything[k] for k in ("network", "schedule", "parametrisation", "sigma_data")}


def _check_settings(settings: Settings, run: Path) -> None:
    """Refuses to go on with a run of other settings."""
    file = run / "settings.json"
    wanted = json.loads(json.dumps(settings.as_dict()))
    if file.exists() and json.loads(file.read_text()) != wanted:
        raise RestorekitError(
            f"{run}: holds a run with other settings; give the same ones or a new folder"
        )


def _write_settings(settings: Settings, run: Path) -> None:
    part = run / "settings.part"
    part.write_text(json.dumps(settings.as_dict(), indent=2) + "\n")
    part.replace(run / "settings.json")


def _start_from(network: UNet, init: Path, settings: Settings) -> None:
    """Copies the weights of a prior of the same making."""
    described = priors.read_metadata(init)
    mine = json.loads(json.dumps(_for_loading(settings)))
    for name in ("network", "parametrisation", "sigma_data"):
        if described[name] != mine[name]:
            raise RestorekitError(f"{init}: its {name} differs from the settings'; train anew")
    network.load_state_dict(priors.load(init).network.state_dict())


def _open_log(path: Path, step: int) -> Any:
    """The log, without the rows that a resumed run is about to write again."""
    kept = []
    if path.exists():
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):  # a line torn by a kill
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
    path.write_text("".join(kept))
    return open(path, "a")


def _save(
    path: Path,
    network: nn.Module,
    averaged: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
    elapsed: float,
    minutes: float | None,
) -> None:
    part = path.with_suffix(".part")
    state = {
        "network": network.state_dict(),
        "averaged": averaged,
        "optimiser": optimiser.state_dict(),
        "step": step,
        "elapsed": elapsed,
        "minutes": minutes,
    }
    torch.save(state, part)
    part.replace(path)


def _shared(seconds: float, world: int) -> float:
    """The first process's clock, so that all stop at the same step."""
    if world == 1:
        return seconds
    clock = torch.tensor([seconds], dtype=torch.float64)
    if dist.get_backend() == "nccl":
        clock = clock.cuda()
    dist.broadcast(clock, 0)
    return float(clock.item())
