"""The same network through diffusers' DDIM pipeline and through ours: how far apart, and how fast.

    python samples/diffusers_speed.py [FOLDER]

FOLDER is that of a DDIM or DDPM pipeline; without one, a network with random weights is made.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler, UNet2DModel

from restorekit.engine.noise import Noise
from restorekit.engine.sampler import STEPS, sample, times_for
from restorekit.loading import find_prior, load_prior
from restorekit.watching import Counted

EVALUATIONS, RUNS = 10, 16


def made(folder: Path) -> Path:
    """A pipeline of 9 million random weights."""
    torch.manual_seed(0)
    network = UNet2DModel(
        sample_size=64,
        block_out_channels=(64, 128, 128),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )
    DDIMPipeline(network, DDPMScheduler()).save_pretrained(folder)
    return folder


def main(folder: Path) -> None:
    network = UNet2DModel.from_pretrained(folder, subfolder="unet", local_files_only=True)
    scheduler = DDIMScheduler.from_pretrained(
        folder, subfolder="scheduler", local_files_only=True, timestep_spacing="trailing"
    )
    pipeline = DDIMPipeline(network, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    prior = load_prior(find_prior(str(folder)), torch.device("cpu"), "float32")
    counted = Counted(prior)
    times = times_for(prior.schedule, EVALUATIONS)
    shape = 1, prior.channels, prior.window, prior.window

    def theirs() -> np.ndarray:
        return pipeline(
            generator=torch.Generator().manual_seed(0),
            num_inference_steps=EVALUATIONS,
            use_clipped_model_output=True,
            output_type="np",
        ).images

    @torch.inference_mode()
    def ours() -> np.ndarray:
        x_t = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        x_0 = sample(counted, x_t, times, step=STEPS["ddim"], noise=Noise(0, ""))
        return (x_0 / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()

    print(f"largest difference {abs(theirs() - ours()).max():.1e}")
    print(f"NFE {counted.evaluations} ours, {EVALUATIONS} theirs")
    taken: dict[str, list[tuple[float, float]]] = {"theirs": [], "ours": []}
    draws = [("theirs", theirs), ("ours", ours)]
    for _ in range(RUNS):  # in turns, and either first, so that a busy machine slows both
        for name, draw in draws:
            began = time.perf_counter(), time.process_time()
            draw()
            taken[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
        draws.reverse()
    for kind, what in enumerate(("seconds", "seconds of the processor")):
        a, b = ([each[kind] for each in taken[name]] for name in ("theirs", "ours"))
        ratio = statistics.median(y / x for x, y in zip(a, b, strict=True))
        print(
            f"{what}: {statistics.median(b):.2f} ours, {statistics.median(a):.2f} theirs; "
            f"ours / theirs {ratio:.3f}, medians of {RUNS}"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else made(Path(scratch)))
