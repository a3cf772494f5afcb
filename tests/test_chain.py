"""Several tasks on one photo: as one after the other, but without rounding in between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage import data

import restorekit
from restorekit import images
from restorekit.chain_text import from_file, of, parsed
from restorekit.choices import Choices
from restorekit.errors import RestorekitError

from .commands import run, save, tree

pytestmark = pytest.mark.usefixtures("here")
CAT = data.chelsea()[100:140, 100:150]
STEPS = "denoise sigma=9 prior=photo-fast | superres scale=1.5 sigma=0 steps=1 prior=photo-fast"


def test_a_chain_is_its_tasks_one_after_the_other() -> None:
    """But for what the file in between rounds by, half a level, which enlarging sharpens."""
    save("in.png", CAT.astype(np.uint16) * 257)
    assert run(f"run '{STEPS}' in.png -o at-once.png") == 0
    assert run("denoise in.png --sigma 9 --prior photo-fast -o between.png") == 0
    second = "--scale 1.5 --sigma 0 --steps 1 --prior photo-fast"
    assert run(f"superres between.png {second} -o after.png") == 0
    at_once, after = (
        images.read(f"{name}.png").pixels.astype(int) for name in ("at-once", "after")
    )
    assert at_once.shape == (60, 75, 3) and np.abs(at_once - after).max() <= 2
    coarse = restorekit.restore("denoise", CAT, sigma=9 / 255, prior="photo-fast")
    rounded = restorekit.restore(
        "superres", coarse, scale=1.5, sigma=0, steps=1, prior="photo-fast"
    )
    assert not np.array_equal(rounded, restorekit.restore(STEPS, CAT))


def test_one_task_is_a_chain_too() -> None:
    alone = restorekit.restore("denoise", CAT, sigma=9 / 255, prior="photo-fast")
    for chain in ("denoise sigma=9", [("denoise", {"sigma": 9 / 255})], ["denoise sigma=9"]):
        assert np.array_equal(restorekit.restore(chain, CAT, prior="photo-fast"), alone)


def test_a_file_says_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    Path("two.toml").write_text(
        "[[step]]\ntask = 'denoise'\nsigma = 9\nkeep-grain = 0.5\n"
        "[[step]]\ntask = 'inpaint'\nmask_from_alpha = true\nsteps = 2\n"
    )
    line = "denoise sigma=9 keep-grain=0.5 | inpaint mask-from-alpha steps=2"
    assert from_file(Path("two.toml"), Choices()) == of(line, Choices())
    for wrong in ("step = 3", "[[step]]\nsigma = 9", "[step]\ntask = 'denoise'", "a = ["):
        Path("wrong.toml").write_text(wrong)
        assert run("run wrong.toml in.png -o out.png") == 1
        assert "wrong.toml" in capfd.readouterr().err


def test_text() -> None:
    assert parsed("a|b x='1 | 2' flag | c --y-z=3") == [
        ("a", {}),
        ("b", {"x": "1 | 2", "flag": "true"}),
        ("c", {"y_z": "3"}),
    ]


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ("", "without a task"),
        ("denoise | | denoise", "without a task"),
        ("denoise 'sigma=9", "quotation"),
        ("denoise || superres | sharpen", "'sharpen' is unknown"),
        ("denoise sigma=300", "out of range"),
        ("denoise colour=9", "has no option 'colour'"),
        ("denoise steps=many", "steps"),
        ("denoise =9", "no option"),
        ("denoise | generate", "takes no photo"),
        ("denoise mode=fast", "mode 'fast'"),
    ],
)
def test_refused(chain: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    save("in.png", CAT)
    assert run(f'run "{chain}" in.png -o out.png') == 1
    assert said in capfd.readouterr().err and not Path("out.png").exists()


def test_the_file_counts_until_the_photo_is_another(capfd: pytest.CaptureFixture[str]) -> None:
    """dejpeg reads the file's coefficients, which say nothing of changed pixels."""
    save("in.jpg", CAT)
    assert run("run 'denoise strength=0 | dejpeg prior=photo-fast' in.jpg -o out.png") == 0
    assert run("run 'denoise sigma=5 | dejpeg' in.jpg -o no.png") == 1
    assert "no JPEG" in capfd.readouterr().err


def test_folders_go_on_and_are_shared() -> None:
    """A chain has one record, one key and shards as a task has."""
    for name in "abcd":
        save(f"in/{name}.png", CAT[: 20 + ord(name) % 5, :24])
    chain = "denoise sigma=9 | denoise sigma=2 prior=photo"
    assert run(f"run '{chain}' in -o out --shard 1/2") == 0
    half = tree("out")
    assert 0 < len(half) < 4
    assert run(f"run '{chain}' in -o out --shard 2/2") == 0
    whole = tree("out")
    assert len(whole) == 4 and half.items() <= whole.items()
    before = {name: Path("out", name).stat().st_mtime_ns for name in whole}
    assert run(f"run '{chain}' in -o out") == 0  # all done already
    assert {name: Path("out", name).stat().st_mtime_ns for name in whole} == before
    assert run("run 'denoise sigma=9 | denoise sigma=3 prior=photo' in -o out") == 0  # another
    assert tree("out").keys() == whole.keys() and tree("out") != whole


def test_samples_and_what_they_say_of_themselves() -> None:
    """One sampled task makes samples of the whole; the history names both tasks."""
    save("in.png", CAT)
    chain = "denoise sigma=9 prior=photo-fast | denoise sigma=5 mode=perceptual steps=2"
    assert run(f"run '{chain}' in.png -o out.png --samples 2") == 0
    assert sorted(tree(".")) == [
        *("in.png", "out-1.png", "out-2.png", "out-deviation.png", "out-mean.png")
    ]
    xmp = dict(images.read("out-1.png").metadata)["xmp"]
    assert b"compositeWithTrained" in xmp and xmp.count(b"denoise") == 2
    assert run("run 'denoise mode=fidelity' in.png -o no.png --samples 2") == 1


def test_from_nothing() -> None:
    assert run("run 'generate steps=2 | superres steps=1 prior=photo-fast' -o out.png") == 0
    assert images.read("out.png").pixels.shape == (128, 128, 3)
    assert run("run 'denoise' -o out.png") == 1


def test_two_saved_masks_of_one_name_are_refused() -> None:
    """Of two saved masks one would be lost."""
    twice = "inpaint mask=a.png save-mask | inpaint mask=b.png save-mask"
    with pytest.raises(RestorekitError, match="two tasks"):
        of(twice, Choices())


def test_paths_in_a_file_count_from_its_folder() -> None:
    save("work/mask.png", np.eye(40, 50, dtype=np.uint8) * np.uint8(255))
    Path("work/chain.toml").write_text("[[step]]\ntask = 'inpaint'\nmask = 'mask.png'\n")
    chain = from_file(Path("work/chain.toml"), Choices())
    assert chain.reads("in.png") == [Path("work/mask.png")]
    Path("work/chain.toml").write_text("[[step]]\ntask = 'inpaint'\nmask = 'auto'\n")
    assert from_file(Path("work/chain.toml"), Choices()).links[0].options["mask"] == "auto"
