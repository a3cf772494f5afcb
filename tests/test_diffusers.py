"""Models of diffusers and guided-diffusion as priors, against diffusers and the paper itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers", reason="diffusers is not installed: restorekit[diffusers]")

from restorekit import files
from restorekit.engine.denoiser import Denoiser
from restorekit.engine.sampler import STEPS, sample
from restorekit.errors import RestorekitError
from restorekit.testing import check_prior

from .commands import run
from .diffused import Drawn, check_restores, gap, opened, pixels, reason, unet

BETAS = {
    "linear": {},
    "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 0.001, "beta_end": 0.015},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "sigmoid": {"beta_schedule": "sigmoid"},
    "trained": {"trained_betas": torch.linspace(0.01, 0.3, 40).tolist(), "num_train_timesteps": 40},
}
FEW = {"num_train_timesteps": 12, "beta_start": 0.01, "beta_end": 0.5}


def shown(x_0: torch.Tensor) -> torch.Tensor:
    """As pipelines give it."""
    return (x_0 / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)


def varied(network: Any, mean: float = 0.0) -> Any:
    """A network whose learned variances lie around some mean."""
    with torch.no_grad():
        network.conv_out.weight[3:] *= 0.01
        network.conv_out.bias[3:] = mean
    return network


@torch.no_grad()
@pytest.mark.parametrize(
    ("prediction", "betas"),
    [*(("epsilon", name) for name in BETAS), ("v_prediction", "cosine"), ("sample", "linear")],
)
def test_x_0_is_that_of_diffusers(here: Path, prediction: str, betas: str) -> None:
    pipeline = pixels(here / "model", prediction_type=prediction, **BETAS[betas])
    scheduler, denoiser = pipeline.scheduler, opened(here / "model")
    x_t = Drawn().like(torch.empty(2, 3, 32, 32))
    last = scheduler.config.num_train_timesteps - 1
    for k in (0, 7, last // 2, last):
        theirs = scheduler.step(pipeline.unet(x_t, k).sample, k, x_t).pred_original_sample
        ours = denoiser(x_t, torch.tensor((k + 1) / (last + 1))).x_0
        assert gap(ours, theirs) < 1e-4


@torch.inference_mode()
@pytest.mark.parametrize(
    ("variance", "steps"),
    [
        ("fixed_small", 12),
        ("fixed_small", 4),
        ("fixed_large", 4),
        ("learned_range", 4),
        ("learned", 12),  # for fewer diffusers takes one step's variance for that of several
    ],
)
def test_the_ddpm_pipeline_gives_the_same_picture(here: Path, variance: str, steps: int) -> None:
    learned = variance.startswith("learned")
    network = varied(unet(out_channels=6), 0.05) if learned else unet()
    pipeline = pixels(here / "model", network, variance_type=variance, **FEW)
    theirs = pipeline(
        num_inference_steps=steps, generator=torch.Generator().manual_seed(0), output_type="np"
    ).images
    noise = Drawn()
    x_t = noise.like(torch.empty(1, 3, 32, 32))
    times = [*((k + 1) / 12 for k in pipeline.scheduler.timesteps.tolist()), 0.0]
    step = STEPS["ddpm-large" if variance == "fixed_large" else "ddpm"]
    ours = sample(opened(here / "model"), x_t, times, step=step, noise=noise)
    assert gap(shown(ours), torch.from_numpy(theirs)) < 1e-3


@torch.inference_mode()
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_the_ddim_pipeline_gives_the_same_picture(here: Path, eta: float, spacing: str) -> None:
    from diffusers import DDIMPipeline, DDIMScheduler

    made = pixels(here / "model")
    scheduler = DDIMScheduler(timestep_spacing=spacing)
    pipeline = DDIMPipeline(made.unet, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        num_inference_steps=10,
        eta=eta,
        generator=torch.Generator().manual_seed(0),
        use_clipped_model_output=True,
        output_type="np",
    ).images
    noise = Drawn()
    x_t = noise.like(torch.empty(1, 3, 32, 32))
    times = [*((k + 1) / 1000 for k in pipeline.scheduler.timesteps.tolist()), 0.0]
    step = STEPS["ddim-eta1" if eta else "ddim"]
    ours = sample(opened(here / "model"), x_t, times, step=step, noise=noise)
    assert gap(shown(ours), torch.from_numpy(theirs)) < 1e-3


def test_between_and_below_the_steps_of_the_chain(here: Path) -> None:
    pixels(here / "model", clip_sample=False)
    denoiser: Denoiser = opened(here / "model")
    x_t = Drawn().like(torch.empty(1, 3, 31, 45))  # of no size that the network takes
    with torch.no_grad():
        low, between, high = (denoiser(x_t, torch.tensor(k / 1000)).x_0 for k in (500, 500.5, 501))
        assert low.shape == x_t.shape
        assert gap(between, (low + high) / 2) < 0.2 * gap(low, high)
        assert torch.equal(denoiser(x_t, torch.tensor(0.0)).x_0, x_t)
        first = denoiser(x_t, torch.tensor(0.001)).x_0
        assert 0 < gap(denoiser(x_t, torch.tensor(0.0005)).x_0, x_t) < gap(first, x_t)


def test_it_answers_as_samplers_rely_on(here: Path) -> None:
    pixels(here / "model")
    check_prior(opened("./model"), sound=False)


def test_folders_of_2022_are_read(here: Path) -> None:
    """With queries and keys by their names, weights in a pickle, and all in one folder."""
    pipeline = pixels(here / "model", beta_schedule="squaredcos_cap_v2")
    old = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    state = {}
    for name, tensor in pipeline.unet.state_dict().items():
        for new, before in old.items():
            name = name.replace(new, before)
        state[name] = tensor
    Path("flat").mkdir()
    torch.save(state, "flat/diffusion_pytorch_model.bin")
    for path in ("model_index.json", "unet/config.json", "scheduler/scheduler_config.json"):
        Path("model", path).rename(Path("flat") / Path(path).name)
    x_t = Drawn().like(torch.empty(1, 3, 32, 32))
    with torch.no_grad():
        theirs = pipeline.scheduler.step(pipeline.unet(x_t, 300).sample, 300, x_t)
        ours = opened("flat")(x_t, torch.tensor(0.301)).x_0
    assert gap(ours, theirs.pred_original_sample) < 1e-4


def test_photos_are_restored_through_a_path(here: Path) -> None:
    pixels(here / "model", unet(block_out_channels=(32, 32), sample_size=64))
    check_restores("model", "denoise --sigma 25")


def test_what_is_no_prior_says_why(here: Path) -> None:
    pixels(here / "classes", unet(num_class_embeds=10))
    assert "told a class" in reason("classes")
    pixels(here / "latents", unet(in_channels=4, out_channels=4))
    assert "4 channels" in reason("latents")
    pixels(here / "flow")
    Path("flow/scheduler/scheduler_config.json").write_text(
        '{"_class_name": "FlowMatchEulerDiscreteScheduler"}'
    )
    assert "no betas" in reason("flow")
    pixels(here / "zero", rescale_betas_zero_snr=True)
    assert "nothing of the picture" in reason("zero")
    pixels(here / "other")
    files.write(Path("other/unet/config.json"), '{"_class_name": "DiTTransformer2DModel"}')
    assert "DiTTransformer2DModel is not read" in reason("other")
    pixels(here / "torn")
    weights = Path("torn/unet/diffusion_pytorch_model.safetensors")
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "corrupt weights" in reason("torn", load=True)


def test_a_part_of_a_model_is_not_imported_without_the_rest(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESTOREKIT_DATA", "data")
    pixels(here / "model", **BETAS["cosine"])
    assert run("priors import model/unet --name mine") == 1
    assert "scheduler_config.json" in capsys.readouterr().err
    assert run("priors import model --name mine") == 0
    assert torch.equal(opened("mine").schedule.log_abar, opened("./model").schedule.log_abar)


def test_without_diffusers_it_says_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels(here / "model")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(RestorekitError, match=r"pip install 'restorekit\[diffusers\]'"):
        opened(here / "model")


def test_a_folder_is_opened_without_torch_and_diffusers(here: Path) -> None:
    pixels(here / "model")
    code = (
        "import sys, pathlib, restorekit_diffusers as d\n"
        "assert d.restorekit_open_prior(pathlib.Path('model')).channels == 3\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
