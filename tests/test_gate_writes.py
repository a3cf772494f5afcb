"""The gate for writing: nothing that a run reads, and nothing foreign, is ever replaced."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import restorekit
from restorekit import chain, files, images
from restorekit.errors import RestorekitError
from restorekit.folder import Job, Manifest

from .commands import run, save, tree
from .noisy import CAT

pytestmark = pytest.mark.usefixtures("here")
DENOISE = "denoise in -o out --sigma 9"
RECORD = Path("out/.restorekit/1-of-1.jsonl")


@pytest.fixture
def photos(here: Path) -> None:
    for number, name in enumerate(("a.png", "b.png")):
        save(f"in/{name}", CAT[9 * number : 9 * number + 12, :14])


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    "command",
    [
        f"{DENOISE} --report in/a.png",
        f"{DENOISE} --report link.png",
        f"{DENOISE} --report foreign.txt",
        "inpaint in -o out --steps 1 --mask mask.png --report mask.png",
        "benchmark denoise in --sigma 9 --json in/a.png",
        "benchmark denoise in --sigma 9 --json foreign.txt",
        "benchmark denoise in --sigma 9 --save .",
    ],
)
def test_what_is_read_and_what_is_foreign_is_not_written_over(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    save("mask.png", np.full((12, 14, 1), 255, np.uint8))
    Path("foreign.txt").write_text("mine")
    Path("link.png").symlink_to("in/a.png")
    for kind in ("degraded", "baseline", "restored"):  # where --save writes
        Path(kind).symlink_to("in", target_is_directory=True)
    before = tree("in") | {"foreign": Path("foreign.txt").read_bytes()}
    assert run(command) in (1, 3)
    assert tree("in") | {"foreign": Path("foreign.txt").read_bytes()} == before
    told = capfd.readouterr().err
    assert "is read by this very run" in told or "is not a report" in told


@pytest.mark.usefixtures("photos")
def test_an_older_report_gives_way() -> None:
    for _ in range(2):
        assert run(f"{DENOISE} --report report.jsonl") == 0
        rows = [json.loads(line) for line in Path("report.jsonl").read_text().splitlines()]
        assert [row["name"] for row in rows] == ["a.png", "b.png"]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_name_is_taken_once(links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that write at the same time one wins, on file systems without links too."""
    if not links:

        def no_links(*_: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(os, "link", no_links)
    Path("gone").symlink_to("nowhere")
    outcomes: list[str] = []

    def write(number: int, path: Path) -> None:
        try:
            files.write(path, str(number), replace=False)
            outcomes.append(str(number))
        except RestorekitError as error:
            assert "exists" in str(error)

    for path in (Path("one"), Path("gone")):
        outcomes.clear()
        threads = [threading.Thread(target=write, args=(n, path)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if path.name == "gone":
            assert not outcomes and path.is_symlink()
        else:
            assert [path.read_text()] == outcomes
    assert sorted(p.name for p in Path().iterdir()) == ["gone", "one"]


def test_threads_that_may_not_overwrite_do_not() -> None:
    save("a.png", CAT[:9, :9])
    done: list[object] = []

    def one() -> None:
        try:
            done.append(restorekit.restore("denoise", "a.png", sigma=0.05, output="out.png"))
        except RestorekitError as error:
            assert "exists" in str(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1


def test_another_file_system_below_the_output(
    photos: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, link = Path.replace, os.link

    def apart(source: Path | str, target: Path | str) -> bool:
        return ".restorekit" in Path(source).parts and ".restorekit" not in Path(target).parts

    def moved(source: Path, target: Path) -> Path:
        if apart(source, target):
            raise OSError(18, "Invalid cross-device link")
        return replace(source, target)

    def linked(source: Path, target: Path) -> None:
        if apart(source, target):
            raise OSError(18, "Invalid cross-device link")
        link(source, target)

    monkeypatch.setattr(Path, "replace", moved)
    monkeypatch.setattr(os, "link", linked)
    assert run(DENOISE) == 0
    assert sorted(tree("out")) == ["a.png", "b.png"]
    assert run(f"{DENOISE} --mode perceptual --steps 2") == 0  # over its own


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("state", ["begun", "done"])
def test_only_the_hash_is_ownership(state: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A file put where a killed run was about to write is its owner's."""
    assert run(DENOISE) == 0
    rows = [line for line in RECORD.read_text().splitlines() if f'"{state}"' in line]
    RECORD.write_text("".join(f"{row}\n" for row in rows))
    own = Path("out/b.png").read_bytes()
    Path("out/a.png").write_bytes(own + b" ")
    assert run(f"{DENOISE} --mode perceptual --steps 2") == 3
    assert Path("out/a.png").read_bytes() == own + b" "
    assert "out/a.png: exists" in capfd.readouterr().err
    assert Path("out/b.png").read_bytes() != own  # its own, made anew


@pytest.mark.usefixtures("photos")
def test_another_task_into_the_same_folder_replaces_nothing() -> None:
    assert run(DENOISE) == 0
    before = tree("out")
    assert run("superres in -o out --steps 1 --sigma 0") == 3
    assert tree("out") == before


@pytest.mark.usefixtures("photos")
def test_damage_of_the_same_size_is_found_where_asked(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(DENOISE) == 0
    whole = Path("out/a.png").read_bytes()
    Path("out/a.png").write_bytes(whole[:-1] + b"x")
    assert run(DENOISE) == 0
    assert "2 skipped" in capfd.readouterr().err
    assert run(f"{DENOISE} --verify --on-exists overwrite") == 0
    assert Path("out/a.png").read_bytes() == whole
    assert "1 restored, 1 skipped" in capfd.readouterr().err


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    "row",
    [
        "null", "[]", "1", '"row"', "{}", "[" * 100_000, '{"name": 1, "at": 1, "state": "done"}',
        '{"name": "a.png", "at": "now", "state": "done", "outputs": {}}',
        '{"name": "a.png", "at": NaN, "state": "done", "outputs": {}}',
        '{"name": "a.png", "at": 1e999, "state": "done", "outputs": {}}',
        '{"name": "a.png", "at": 1, "state": "lost", "outputs": {}}',
        '{"name": "a.png", "at": 1, "state": "done", "outputs": null}',
        '{"name": "a.png", "at": 1, "state": "done", "outputs": []}',
        '{"name": "a.png", "at": 1, "state": "done", "outputs": {"a.png": 1}}',
        '{"name": "a.png", "at": 1, "state": "done", "outputs": {}, "written": ["a.png"]}',
        '{"name": "a.png", "at": 1, "state": "done", "outputs": {}, "written": {"a": 1}}',
        '{"name": "a.png", "at": 1, "state": "begun", "outputs": {}, "writing": 7}',
        '{"name": "a.png", "at": 1, "state": "begun", "outputs": {}, "writing": ["a.png"]}',
    ],
)  # fmt: skip
def test_rows_that_are_none(row: str) -> None:
    RECORD.parent.mkdir(parents=True)
    RECORD.write_text(row + "\n")
    RECORD.with_name("a-of-b.lock").touch()
    assert run(DENOISE) == 0
    assert sorted(tree("out")) == ["a.png", "b.png"]


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("what", ["folder", "link", "pipe", "unreadable"])
def test_a_record_that_is_no_file(what: str, capfd: pytest.CaptureFixture[str]) -> None:
    RECORD.parent.mkdir(parents=True)
    Path("mine.txt").write_text("mine")
    if what == "folder":
        RECORD.mkdir()
    elif what == "link":
        RECORD.symlink_to(Path("mine.txt").absolute())
    elif what == "pipe":
        os.mkfifo(RECORD)
    else:
        RECORD.write_text("")
        RECORD.chmod(0)
        if os.access(RECORD, os.R_OK):
            pytest.skip("nothing is unreadable for root")
    assert run(DENOISE) == 1
    assert "internal error" not in capfd.readouterr().err
    assert Path("mine.txt").read_text() == "mine" and not tree("out").get("a.png")


def test_a_clock_that_is_ahead_elsewhere_hides_nothing() -> None:
    """Another machine's row is of tomorrow; what is written today still counts."""
    job = Job(Path("in/a.png"), Path("out/a.png"), "a.png")
    with Manifest(Path("out")).opened((1, 2)) as one:
        one.fail(job, "no luck")
    record = Path("out/.restorekit/1-of-2.jsonl")
    row = json.loads(record.read_text())
    record.write_text(json.dumps(row | {"at": row["at"] + 86_400}) + "\n")
    save("out/a.png", CAT[:9, :9])
    with Manifest(Path("out")).opened((2, 2)) as two:
        two.begin(job, "key", {Path("out/a.png"): Path("out/a.png")})
        two.done(job, "key", [Path("out/a.png")])
    assert Manifest(Path("out")).finished(job, "key")


@pytest.mark.usefixtures("photos")
def test_another_version_does_its_work_anew(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(DENOISE) == 0
    capfd.readouterr()
    monkeypatch.setattr(chain, "version", lambda _: "9")
    assert run(DENOISE) == 0
    assert "2 restored" in capfd.readouterr().err


@pytest.mark.parametrize(
    "name", ["prior.safetensors", "prior.md", "settings.json", "log.jsonl", "pictures"]
)
def test_a_training_takes_no_folder_of_another_s(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        save(f"photos/{number}.png", CAT[:80, :80])
    path = Path("mine") / name
    if name == "pictures":
        save("mine/pictures/00001.png", CAT[:9, :9])
    else:
        path.parent.mkdir()
        path.write_text("mine")
    before = tree("mine")
    assert run("train photos -o mine --set steps=1") == 1
    assert tree("mine") == before
    assert "give the run a new folder" in capfd.readouterr().err


def test_images_written_beside_what_is_read() -> None:
    save("a.png", CAT[:9, :9])
    before = Path("a.png").read_bytes()
    with files.guarded([Path("a.png")]), pytest.raises(RestorekitError, match="this very run"):
        images.write("a.png", images.Photo(CAT[:5, :5]))
    assert Path("a.png").read_bytes() == before
    images.write("a.png", images.Photo(CAT[:5, :5]))  # no run reads it any more
    assert Path("a.png").read_bytes() != before
