"""The training loop, top to bottom. Resumable at any moment; one process or many."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import RestorekitError
from ..files import make_folder
from ..units import YEAR
from . import attribution, export
from .goals import Part, goal_of
from .muon import Muon
from .precision import precision_of
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
    init: str | Path | None = None,
    marks: Path | None = None,
    cache: Path | None = None,
    minutes: float | None = None,
    pause: float | None = None,
    save_every: float = 60.0,
    validate_every: float = 600.0,
    name: str | None = None,
    report: Report | None = None,
) -> Path:
    """Trains a network, or goes on where the run in `folder` stopped, and writes its weights there.

    Args:
        settings: what decides the outcome.
        data: a folder of photos.
        folder: of the run; see `Run` for what it holds.
        device: "cpu", "cuda", ...; several processes started by torchrun share the work.
        init: weights to start from, a name or a file; passed over where the run goes on.
        marks: a folder of real marks, for the objective "damage".
        cache: where the photos are kept decoded, which runs may share; `folder`/cache by default.
        minutes: of training, over all resumptions, without decoding and validations; replaces
            settings.steps. A resumed run keeps its own unless another is given.
        pause: minutes after which to save and stop for now, to be resumed; None: when it is done.
        save_every, validate_every: seconds between checkpoints and validations.
        name: of what is learned; by default as the run was told before, or "prior", say.
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
    check_times(minutes, pause, save_every, validate_every)
    saved = run.load(device) if run.checkpoint.exists() else None
    goal = goal_of(settings, marks=marks)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = goal.network().to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    started_from = saved["started_from"] if saved else None
    if init is not None and not saved:
        started_from = goal.begin_with(network, init)
    photos = goal.photos(
        data, cache or folder / "cache", without=own, report=report if chief else None
    )
    if chief:
        make_folder(folder)
        attribution.keep_attribution(run, data)
        run.begin(settings)

    averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimisers = optimisers_for(network, settings, device)
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
        if saved.get("marks", goal.marks) != goal.marks:
            raise RestorekitError(
                f"{folder}: the run draws with other marks; give --marks as when it began"
            )
    name = name or goal.stem
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
            "marks": goal.marks,
        }
        run.save(state)

    def validate() -> None:
        copy = goal.network().to(device)
        copy.load_state_dict(averaged)
        copy.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        scores = goal.scores(copy, photos, device, run.pictures / f"{step:07}.png")
        if rows is not None:
            rows({"step": step, **scores})

    replica: nn.Module = network
    if settings.compile:
        replica = torch.compile(replica)  # type: ignore[assignment]
    if world > 1:
        replica = nn.parallel.DistributedDataParallel(replica)
    share = range(rank * settings.batch // world, (rank + 1) * settings.batch // world)
    part = len(share) // settings.accumulate
    clocks = dist.new_group(backend="gloo") if world > 1 else None  # does not wait for a GPU
    start, before = step, elapsed  # of this call
    began = time.monotonic() - elapsed
    last_row = last_save = last_report = last_validation = time.monotonic()
    timed = step  # the first step since the last row, or since the run goes on

    for batch in goal.batches(photos, step, share, pinned=cuda):
        elapsed = time.monotonic() - began
        if (minutes or pause) and clocks is not None:
            elapsed = first_clock(elapsed, clocks)
        progress = elapsed / (60 * minutes) if minutes else step / settings.steps
        # Everything random in a step follows from its number: resuming needs no saved state.
        given = goal.given(network, batch, Part(step, share), device)

        loss = torch.zeros((), device=device)
        for first in range(0, len(share), part):
            some = slice(first, first + part)
            synchronise = world == 1 or first + part == len(share)
            with contextlib.nullcontext() if synchronise else replica.no_sync():  # type: ignore[operator]
                some_loss = goal.loss(replica, *(row[some] for row in given)) / len(share)
                some_loss.backward()
            loss += mean_over_processes(some_loss.detach(), world)
        now = time.monotonic()
        # Weights are saved once their own loss is known: the last ones of a run cost a step more.
        paused = pause is not None and step > start and elapsed - before >= 60 * pause
        if chief and (progress >= 1 or paused or now - last_save > save_every):
            save(loss)
            last_save = now
        if progress >= 1 or paused:
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
        if not paused and rows.last.get(goal.judged) != step:
            validate()
        rows.close()
        export.export(run)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
    return folder / f"{goal.stem}.safetensors"


def check_times(
    minutes: float | None, pause: float | None, save_every: float, validate_every: float
) -> None:
    """Raises RestorekitError for times that no clock reaches."""
    for name, seconds in (("save_every", save_every), ("validate_every", validate_every)):
        if not 0 <= seconds <= 60 * YEAR:
            raise RestorekitError(f"{name} is {seconds} seconds; give 0 to {60 * YEAR}, a year")
    for name, value in (("minutes", minutes), ("pause", pause)):
        if value is not None and not 0 < value <= YEAR:
            raise RestorekitError(f"{name} is {value}; give above 0, and {YEAR} (a year) at most")


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


def optimisers_for(
    network: nn.Module, settings: Settings, device: str
) -> list[torch.optim.Optimizer]:
    """AdamW, beside Muon for the convolutions between stem and head where the settings say so."""
    ends = {id(p) for layer in ("stem", "head") for p in network.get_submodule(layer).parameters()}
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
    precision = precision_of(settings, device)
    return [adam, Muon(matrices, settings.rate, weight_decay=decay, precision=precision)]


@torch.no_grad()
def average(averaged: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    """The exponential moving average of the weights, a step further."""
    current = list(network.state_dict().values())
    torch._foreach_lerp_(list(averaged.values()), current, 1 - decay)


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
