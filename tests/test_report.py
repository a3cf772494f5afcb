"""Pages, charts and contact sheets: what is on them, what is escaped, and what they may cost."""

from __future__ import annotations

import builtins
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from skimage import data

from restorekit import images, report
from restorekit.report import charts, photos, pictures
from restorekit.report.photos import Shown

from .commands import run, save

CAT = data.chelsea()
MARKUP = "<img src=x onerror=alert(1)>"
pytestmark = pytest.mark.usefixtures("here")


class Seen(HTMLParser):
    """The elements and the words of a page."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.page = Path(file).read_text()
        self.feed(self.page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def layers(self) -> list[str | None]:
        return [img["data-layer"] for img in self.of("img") if "data-layer" in img]


@pytest.fixture
def pair() -> None:
    """A noisy photo, in grey and 16 bits as well, what it was, and something between."""
    clean = CAT[60:100, 100:160]
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    for folder, strength in (("before", 1.0), ("after", 0.3), ("truth", 0.0)):
        noisy = (clean + strength * noise).clip(0, 255).round().astype(np.uint8)
        save(f"{folder}/cat.png", noisy)
        save(f"{folder}/deep.png", noisy[:, :, 0].astype(np.uint16) * 257)


def test_compare(pair: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare before/cat.png after/cat.png truth/cat.png -o page/one.html") == 0
    assert capsys.readouterr().out == "page/one.html\n"
    seen = Seen("page/one.html")
    assert seen.layers == ["before", "truth", "after", "difference"]
    links = [unquote(a["href"] or "") for a in seen.of("a") if "../" in (a["href"] or "")]
    assert links == ["../before/cat.png", "../truth/cat.png", "../after/cat.png"]
    gain = re.search(r"gain, dB.*?<td>([\d.]+)</td>", seen.page, re.S)
    assert gain is not None and float(gain[1]) == pytest.approx(20 * np.log10(1 / 0.3), abs=0.7)


def test_a_page_asks_nothing_of_any_network(pair: None) -> None:
    """All that it loads is in it, and its policy forbids the rest."""
    assert run("compare before after truth -o page.html") == 0
    seen = Seen("page.html")
    assert all((img["src"] or "").startswith("data:image/webp;base64,") for img in seen.of("img"))
    assert not seen.of("iframe") and all("src" not in script for script in seen.of("script"))
    (icon,) = seen.of("link")
    assert icon["href"] == "data:,"
    assert "@import" not in seen.page and "url(" not in re.sub(r"url\(#\w+\)", "", seen.page)
    (policy,) = [m["content"] or "" for m in seen.of("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_markup_is_text() -> None:
    """In the names of files, in their EXIF, in notes, reasons and settings."""
    Path(f"in{MARKUP}").mkdir()
    exif = Image.Exif()
    exif[0x010F] = f"Acme {MARKUP}"
    name = f"cat{MARKUP}.jpg"
    Image.fromarray(CAT[:40, :40]).save(f"in{MARKUP}/{name}", exif=exif)
    Path(f"in{MARKUP}/broken{MARKUP}.png").write_bytes(b"broken")
    assert run(f"denoise 'in{MARKUP}' -o 'out{MARKUP}' --sigma 9 --html run.html") == 3
    seen = Seen("run.html")
    assert not [e for e in seen.elements if "onerror" in e[1] or e[1].get("src") == "x"]
    for words in (name, f"broken{MARKUP}.png", f"Acme {MARKUP}", f"denoise: out{MARKUP}"):
        assert words in seen.words
    gallery = photos.Gallery(1)
    gallery.add(name, {"after": Shown(CAT[:9, :9])}, notes=[MARKUP], figures={MARKUP: 1.0})
    page = report.Page(MARKUP, gallery.entries, settings={MARKUP: MARKUP})
    report.save_page(Path("page.html"), page)
    seen = Seen("page.html")
    assert seen.words.count(MARKUP) >= 6 and not [e for e in seen.elements if "onerror" in e[1]]


def test_a_charts_words_are_text() -> None:
    groups = [
        charts.Group(f"{MARKUP} $x^2$", [1, 2], [2, 3], [MARKUP] * 2),
        charts.Group("b", [1], [1]),
    ]
    chart = charts.drawn(MARKUP, MARKUP, MARKUP, groups, joined=False)
    assert chart.svg.startswith("<svg") and "<img" not in chart.svg and "$x^2$" in chart.svg
    assert charts.INK in chart.svg and "http://www.w3.org/Graphics" not in chart.svg


def test_a_difference_is_stored_without_loss() -> None:
    """Of one step of 255, which a page amplifies 64 times; among 500 photos as alone."""
    apart = CAT.copy()
    apart[100:200, 100:200] ^= 1
    for count in (1, 500):
        gallery = photos.Gallery(count)
        gallery.add("cat", {"before": Shown(CAT), "after": Shown(apart)})
        (layer,) = [one for one in gallery.entries[0].layers if one.part == "difference"]
        found = np.array(Image.open(io.BytesIO(layer.data)))
        expected = pictures.reduced(pictures.difference(CAT, apart), max(found.shape))
        assert found.max() == pictures.AMPLIFIED and np.array_equal(found, expected)


def test_a_name_that_is_no_text() -> None:
    """As of disks that other systems wrote: bytes that are no UTF-8."""
    save("after.png", CAT[:20, :20])
    odd = Path("odd\udcff \u202egnp.png")
    Path("after.png").rename(odd)
    gallery = photos.Gallery(1)
    gallery.add(odd.name, {"after": Shown.of(images.read(odd), odd)})
    report.save_page(Path("page.html"), report.Page("x", gallery.entries))
    assert "odd%FF%20%E2%80%AEgnp.png" in Path("page.html").read_text()


def test_a_folder_run_and_its_resumption() -> None:
    """Notes, costs and deviations are on the page of those that were done already, too."""
    for name in ("a", "b"):
        save(f"in/{name}.png", CAT[60:84, 100:130])
    Path("in/broken.png").write_bytes(b"broken")
    command = "denoise in -o out --sigma 25 --samples 2 --steps 2 --mode perceptual --html run.html"
    assert run(command) == 3
    first = Seen("run.html")
    assert first.layers == ["before", "after", "difference", "deviation"] * 2
    assert "is damaged" in first.words and "network evaluations" in first.words
    assert "photo.safetensors" in first.words and "ddpm" in first.words
    Path("in/broken.png").unlink()
    save("in/c.png", CAT[60:84, 130:160])
    assert run(command) == 0
    second = Seen("run.html")
    assert [card["data-name"] for card in second.of("li") if "data-name" in card] == [
        "a.png",
        "b.png",
        "c.png",
    ]
    costs = [json.loads(c["data-figures"] or "") for c in second.of("li") if "data-figures" in c]
    assert all(cost["seconds"] > 0 and cost["network evaluations"] > 0 for cost in costs)
    assert "done already" in second.words and "is damaged" not in second.words


def test_nothing_of_the_users_is_overwritten(
    pair: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.html").write_text("mine")
    compare = "compare before after -o"
    assert run(f"{compare} mine.html") == 1
    assert "exists" in capsys.readouterr().err
    assert run("evaluate after truth --html mine.html") == 1
    assert "is not a page of restorekit" in capsys.readouterr().err
    assert run("denoise before -o out --sigma 9 --html mine.html") == 1
    assert not Path("out/cat.png").exists() and Path("mine.html").read_text() == "mine"
    assert run(f"{compare} mine.html --overwrite") == 0
    assert run("evaluate after truth --html mine.html") == 0, "a page of ours gives way"
    assert run(f"{compare} before/cat.png --overwrite") == 1
    assert "ends in .html" in capsys.readouterr().err
    Path("link.html").symlink_to("before/cat.png")
    kept = Path("before/cat.png").read_bytes()
    assert run(f"{compare} link.html") == 1
    assert run("contact before after -o link.png") == 0
    assert run("contact before after -o link.png") == 1
    Path("sheet.png").symlink_to("before/cat.png")
    assert run("contact before after -o sheet.png --overwrite") == 1, "an input"
    assert Path("before/cat.png").read_bytes() == kept


def test_five_hundred_photos_are_below_50_megabytes() -> None:
    """Of the worst kind, noise: what one takes, as many times."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3)).astype(np.uint8)
    gallery = photos.Gallery(500)
    shown = {part: Shown(noise) for part in ("before", "after", "truth", "deviation")}
    gallery.add("noise.png", shown)
    page = report.Page("noise", gallery.entries * 500)
    assert 20e6 < len(report.rendered(page, Path.cwd()).encode()) < 50e6


def test_evaluate_and_benchmark(pair: None) -> None:
    assert run("evaluate after truth --html scores.html --json") == 0
    assert Seen("scores.html").layers == ["truth", "after", "difference"] * 2
    command = "benchmark denoise truth --quiet"
    assert run(f"{command} --sigma 25 --save saved --json 25.json --html trial.html") == 0
    seen = Seen("trial.html")
    assert seen.layers == ["before", "baseline", "truth", "after", "difference"] * 2
    assert seen.of("svg") and "saved/baseline/cat.png" in [a["href"] for a in seen.of("a")]
    assert run(f"{command} --sigma 50 --json 50.json") == 0
    assert run("benchmark --compare 25.json 50.json -o sweep.html") == 0
    seen = Seen("sweep.html")
    assert {"psnr against sigma", "ssim against cost"} <= {
        (div["aria-label"] or "").partition(":")[0] for div in seen.of("div") if "aria-label" in div
    }
    cells = re.findall(r"<td>([^<]*)</td>", seen.page)
    mean = json.loads(Path("50.json").read_text())["mean"]["psnr"]
    assert f"{mean:.2f}" in cells and "50.00" in cells


def test_reports_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_text('{"images": []}')
    assert run("benchmark --compare a.json -o sweep.html") == 1
    assert "a.json" in (said := capsys.readouterr().err) and "--json FILE" in said
    assert run("benchmark --compare -o sweep.html") == 2


def test_an_extra_that_is_missing_is_named(
    pair: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("restorekit.report.page.NEEDS", ("no_such_module",))
    assert run("compare before after -o page.html") == 1
    assert "pip install 'restorekit[report]'" in capsys.readouterr().err
    assert run("denoise before -o out --html page.html") == 1
    assert not Path("out/cat.png").exists()


def test_light_without_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contact sheets need no extra."""
    real = builtins.__import__

    def imports(name: str, *more: Any) -> Any:
        assert name.partition(".")[0] not in ("jinja2", "matplotlib")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", imports)
    save("a/x.png", CAT[:30, :40])
    assert run("contact a a -o sheet.png") == 0


def test_contact_sheets(caplog: pytest.LogCaptureFixture) -> None:
    """By a run's own record, or two folders; in pages, each photo before beside after."""
    for name in ("a", "b", "c"):
        save(f"in/{name}.png", CAT[60:84, 100:130])
    assert run("denoise in -o out --sigma 25") == 0
    assert run("contact out -o sheet.png --columns 2 --rows 1 --side 100") == 0
    first, second = (images.read(f"sheet-{n}.png").pixels for n in (1, 2))
    assert first.shape[1] > 2 * second.shape[1] * 0.8
    before, after = (images.read(f"{folder}/a.png").pixels for folder in ("in", "out"))
    assert np.array_equal(first[92:116, 51:81], before)
    assert np.array_equal(first[92:116, 155:185], after)
    assert run("contact in out -o both.png --side 100") == 0
    Path("in/b.png").unlink()
    assert run("contact out -o fewer.png --side 100") == 0
    assert "b.png" in caplog.text
    assert run("contact in -o none.png") == 1
