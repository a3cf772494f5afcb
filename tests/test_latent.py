"""Stable Diffusion as a prior of latents, against diffusers' pipeline; and holes that it fills."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers", reason="diffusers is not installed: restorekit[diffusers]")
pytest.importorskip("transformers", reason="transformers is not installed: restorekit[diffusers]")

import restorekit
from restorekit import images
from restorekit.engine.conditioning import Degradation, Observation, replace
from restorekit.engine.operators import Mask
from restorekit.engine.sampler import STEPS, sample
from restorekit.errors import RestorekitError
from restorekit.loading import find_prior
from restorekit.task import Problem
from restorekit.testing import check_prior

from .commands import run, save
from .diffused import Drawn, check_restores, gap, reason, stable_diffusion
from .pictures import samples

CPU = torch.device("cpu")


def hole(height: int, width: int) -> np.ndarray:
    marked = np.zeros((height, width), dtype=bool)
    marked[12:32, 16:40] = True
    return marked


@torch.inference_mode()
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_inpainting_pipeline_gives_the_same_latents(here: Path, prediction: str) -> None:
    """diffusers blends the photo's noised latents in at every step, which is RePaint's rule."""
    pipeline = stable_diffusion(here / "sd", prediction_type=prediction)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    marked = torch.from_numpy(hole(64, 64))[None, None].float()
    theirs = pipeline(
        "a b",
        image=x,
        mask_image=marked,
        height=64,
        width=64,
        strength=0.8,
        num_inference_steps=10,
        guidance_scale=3.0,
        negative_prompt="c",
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
    ).images

    denoiser = find_prior("sd").load(CPU, "float32", prompt="a b", negative="c", guidance=3.0)
    known = Mask(1 - marked)
    y = 2 * x - 1
    problem = Problem(Observation(known(y), Degradation(known)), (64, 64), guess=y)
    own = denoiser.translate(problem).problem
    noise = Drawn()
    noise.like(own.guess)  # the pipeline draws from the autoencoder's posterior first
    times = [*((k + 1) / 1000 for k in pipeline.scheduler.timesteps.tolist()[-8:]), 0.0]
    x_t = denoiser.schedule.diffuse(own.guess, times[0], noise.like(own.guess))
    posterior = replace(denoiser, own.observation)
    ours = sample(posterior, x_t, times, step=STEPS["ddim"], noise=noise)
    assert gap(ours, theirs) < 1e-3


def test_it_answers_as_samplers_rely_on(here: Path) -> None:
    stable_diffusion(here / "sd")
    check_prior(find_prior("sd").load(CPU, "float32", prompt="a b"), sound=False)


def test_what_is_known_stays_to_the_bit(here: Path) -> None:
    stable_diffusion(here / "sd")
    for channels, size in ((3, (70, 150)), (1, (41, 53))):  # larger than the crop, and smaller
        picture = samples(channels, np.uint16, size)
        save("in.png", picture)
        save("mask.png", hole(*size).astype(np.uint8) * 255)
        assert run("inpaint in.png --mask mask.png --prior sd --steps 3 --quiet -o out.png") == 0
        filled = images.read("out.png").pixels
        same = (filled == picture).all(axis=2)
        assert same[~hole(*size)].all() and not same[hole(*size)].any()
        Path("out.png").unlink()


def test_words_and_guidance_change_what_is_drawn(here: Path) -> None:
    stable_diffusion(here / "sd")
    save("in.png", samples(3, size=(40, 48)))
    save("mask.png", hole(40, 48).astype(np.uint8) * 255)
    drawn = []
    for told in ("", "--with 'prompt=a b'", "--with 'prompt=a b' --with guidance=2"):
        out = f"{len(drawn)}.png"
        how = f"--prior sd --steps 2 --quiet {told}"
        assert run(f"inpaint in.png --mask mask.png {how} -o {out}") == 0
        drawn.append(images.read(out).pixels)
    assert not any(np.array_equal(drawn[i], drawn[i - 1]) for i in range(3))


def test_photos_are_restored_through_a_path(here: Path) -> None:
    stable_diffusion(here / "sd")
    save("mask.png", hole(40, 48).astype(np.uint8) * 255)
    check_restores("sd", "inpaint --mask mask.png --steps 2")


def test_only_the_crop_around_a_hole_is_looked_at(here: Path) -> None:
    stable_diffusion(here / "sd")
    picture, marked = samples(3, size=(64, 300)), np.zeros((64, 300), dtype=bool)
    marked[20:30, 200:210] = True

    def filled(picture: np.ndarray) -> np.ndarray:
        return restorekit.restore("inpaint", picture, mask=marked, prior="sd", steps=2)

    far, near = picture.copy(), picture.copy()
    far[:, :100], near[:, 180:190] = 0, 0
    assert np.array_equal(filled(far)[:, 100:], filled(picture)[:, 100:])
    assert not np.array_equal(filled(near)[marked], filled(picture)[marked])


def test_nothing_is_asked_where_there_is_no_hole(here: Path) -> None:
    stable_diffusion(here / "sd")
    picture = np.full((40, 48, 3), 90, dtype=np.uint8)
    assert np.array_equal(restorekit.restore("inpaint", picture, mask="auto", prior="sd"), picture)


def test_what_latents_cannot_tell_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stable_diffusion(here / "sd")
    picture = samples(3, size=(40, 48))
    for task, options in (
        ("denoise", {"sigma": 0.1}),
        ("superres", {"scale": 2}),
        ("generate", {}),
    ):
        with pytest.raises(RestorekitError, match=r"latent|space of its own"):
            restorekit.restore(task, None if task == "generate" else picture, prior="sd", **options)
    for command in ("check sd", "bits sd ."):
        assert run(f"priors {command}") == 1
        assert "space of its own" in capsys.readouterr().err


def test_what_is_no_prior_says_why(here: Path) -> None:
    stable_diffusion(here / "sd")
    config = Path("sd/unet/config.json")
    told = config.read_text()
    config.write_text(told.replace('"in_channels": 4', '"in_channels": 9'))
    assert "made for inpainting" in reason("sd")
    config.write_text(told.replace('"addition_embed_type": null', '"addition_embed_type": "text"'))
    assert "SDXL" in reason("sd")
    config.write_text(told)
    with pytest.raises(RestorekitError, match="tokens"):
        find_prior("sd").load(CPU, "float32", prompt="a " * 20)
    shutil.rmtree("sd/vae")
    assert "vae is missing" in reason("sd")
