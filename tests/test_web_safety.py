"""The page's server lets nobody in who should not be, and reaches no file outside the folder."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from restorekit import images
from restorekit.errors import RestorekitError
from restorekit.web.painted import drawn, painting
from restorekit.web.places import inside

from .pages import Server, photo, put, serving
from .pictures import encoded

MARKUP = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A folder with photos, links that lead out of it and in circles, and a secret beside it."""
    top = tmp_path_factory.mktemp("web")
    folder = top / "photos"
    put(top / "secret.png", photo())
    put(folder / "a.png", photo())
    put(folder / "sub" / "b.png", photo(seed=1))
    put(folder / MARKUP, photo(), metadata=(("text:Comment", b"<script>alert(2)</script>"),))
    (folder / "text.png").write_text("no picture at all")
    (folder / "link.png").symlink_to(top / "secret.png")
    (folder / "out").symlink_to(top)
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "within.png").symlink_to("sub/b.png")
    with serving(folder) as started:
        yield started


ALL = [
    ("/", None),
    ("/static/main.js", None),
    ("/api/photos", None),
    ("/api/view?photo=a.png", None),
    ("/api/jobs", {}),
]


@pytest.mark.parametrize(("path", "body"), ALL)
def test_only_with_the_token(server: Server, path: str, body: object) -> None:
    for token in (None, "", "wrong", "a-secret-of-this-tes"):
        status, content, headers = server.ask(path, body, token=token)
        assert status == 403 and b"token" in content and "set-cookie" not in headers
    assert server.ask(f"{path}{'&' if '?' in path else '?'}token=wrong", token=None)[0] == 403
    assert server.ask(path, body)[0] == (400 if body == {} else 200)


def test_the_token_in_the_address_becomes_a_cookie(server: Server) -> None:
    status, content, headers = server.ask(f"/?{server.address.partition('?')[2]}", token=None)
    assert status == 200 and b"<script" in content
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""]
)
def test_only_under_its_own_name(server: Server, host: str) -> None:
    assert server.ask("/api/photos", host=host)[0] == 403
    assert server.ask("/api/photos", host=f"localhost:{server.port}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_only_from_its_own_page(server: Server, headers: dict[str, str]) -> None:
    body = server.asked("a.png", "denoise")
    assert server.ask("/api/jobs", body, **headers)[0] == 403
    assert server.ask("/api/view?photo=a.png", **headers)[0] == 403
    assert server.ask("/api/photos", Origin=f"http://127.0.0.1:{server.port}")[0] == 200


OUTSIDE = [
    "../secret.png",
    "sub/../../secret.png",
    "/etc/passwd",
    "//etc/passwd",
    "out/secret.png",
    "link.png",
    "circle.png",
    ".",
    "",
    "a.png\0.png",
    "..\\secret.png",
    "%2e%2e/secret.png",
    "C:\\secret.png",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_files_outside_the_folder(server: Server, name: str) -> None:
    """As they are, and encoded once and twice: every way to name a file is refused."""
    for written in (quote(name, safe="/"), quote(name, safe=""), quote(quote(name, safe=""))):
        for path in ("view", "about", "thumbnail"):
            status, content, _ = server.ask(f"/api/{path}?photo={written}")
            assert status == 400 and not content.startswith((b"\x89PNG", b"\xff\xd8"))
        assert server.ask(f"/static/{written}")[0] in (404, 400)
    body = server.asked(name, "denoise")
    status, content, _ = server.ask("/api/jobs", body)
    if status == 200:  # named as a file of the folder would be, which is not there
        assert server.finished(json.loads(content))["state"] == "failed"
    named = server.asked("a.png", "inpaint", mask=name or "../x")
    assert server.finished(server.json("/api/jobs", named))["state"] == "failed"
    prior = server.asked("a.png", "denoise", prior=f"{name or '..'}/x.safetensors")
    assert server.finished(server.json("/api/jobs", prior))["state"] == "failed"
    assert server.ask(f"/api/photos?name={quote(name)}", b"x", method="POST")[0] == 400


def test_links_within_the_folder_and_the_listing(server: Server) -> None:
    assert server.ask("/api/view?photo=within.png")[0] == 200
    listed = server.json("/api/photos")
    photos = {MARKUP, "a.png", "circle.png", "text.png", "within.png", "sub/b.png"}
    assert set(listed["photos"]) == photos
    assert any("lead elsewhere" in note for note in listed["notes"])


def test_a_file_that_is_no_picture(server: Server) -> None:
    for path in ("view", "about", "thumbnail"):
        status, content, _ = server.ask(f"/api/{path}?photo=text.png")
        assert status == 400 and b"not an image" in content
    job = server.finished(server.json("/api/jobs", server.asked("text.png", "denoise")))
    assert job["state"] == "failed" and job["failure"].startswith("text.png: ")


def bomb(side: int) -> bytes:
    """A PNG of a few kB that says it is side x side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_what_is_added_passes_the_gate_of_all_photos(server: Server) -> None:
    before = sorted(server.folder.rglob("*"))
    refused = {
        "bomb.png": (bomb(60_000), b"megapixels"),
        "words.png": (b"only words", b"not an image"),
        "cut.jpg": (encoded("JPEG", photo())[:900], b"damaged"),
        "a.png": (encoded("PNG", photo()), b"exists"),
        "x.exe": (encoded("PNG", photo()), b"not called as a photo"),
        ".x.png": (encoded("PNG", photo()), b"not called as a photo"),
    }
    for name, (data, why) in refused.items():
        status, content, _ = server.ask(f"/api/photos?name={name}", data)
        assert status == 400 and why in content, content
        assert sorted(server.folder.rglob("*")) == before
    sound = encoded("PNG", photo(seed=4))
    assert server.ask("/api/photos?name=added.png", sound)[0] == 200
    assert (server.folder / "added.png").read_bytes() == sound
    (server.folder / "added.png").unlink()


def test_markup_stays_text(server: Server) -> None:
    """Answers with a stranger's words are JSON, which no browser takes for a page."""
    status, content, headers = server.ask(f"/api/about?photo={quote(MARKUP)}")
    assert status == 200 and headers["content-type"] == "application/json"
    assert "<script>alert(2)</script>" in json.loads(content)["lines"]
    status, content, headers = server.ask("/api/about?photo=<b>x</b>.png")
    assert status == 400 and headers["content-type"] == "application/json"


STRANGE = [
    {"strokes": [{"tool": "spray", "points": [[1, 1]]}]},
    {"strokes": [{"tool": "brush", "points": []}]},
    {"strokes": [{"tool": "brush", "points": [[1e9, 1]]}]},
    {"strokes": [{"tool": "brush", "points": [[1, 1]], "radius": 1e9}]},
    {"strokes": [], "found": "../../secret"},
    {"strokes": [], "found": "0" * 24},
    {"strokes": "many"},
    {},
]


@pytest.mark.parametrize("mask", STRANGE)
def test_masks_that_are_none(server: Server, mask: dict[str, object]) -> None:
    job = server.finished(server.json("/api/jobs", server.asked("a.png", "inpaint", mask=mask)))
    assert job["state"] == "failed" and "mask" in job["failure"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b"[" * 100_000,
        b"x" * (17 << 20),
        {"steps": 3},
        {"tab": 1, "photo": "a.png", "steps": [], "writing": {}},
        {"tab": 1, "photo": "a.png", "steps": [{"task": "rm"}], "writing": {}},
    ],
)
def test_what_is_no_request(server: Server, body: object) -> None:
    status, content, _ = server.ask("/api/jobs", body)
    if status == 200:
        assert server.finished(json.loads(content))["state"] == "failed"
    else:
        assert status in (400, 413) and "error" in json.loads(content)


def test_options_of_the_command_line_alone_are_no_fields(server: Server) -> None:
    names = {f["name"] for t in server.json("/api/forms")["tasks"] for f in t["fields"]}
    assert not names & {"debug", "output", "preview", "at", "inputs"} and "sigma" in names
    for name in ("debug", "output", "help"):
        body = server.asked("a.png", "denoise", **{name: "x"})
        assert "has no option" in server.finished(server.json("/api/jobs", body))["failure"]


def test_a_stranger_s_results_are_not_guessed(server: Server) -> None:
    for path in ("/api/jobs/1", "/api/view?job=1", "/api/jobs/1/part", "/api/masks/1"):
        status, content, _ = server.ask(path)
        assert status == 400 and b"gone" in content


def test_inside_follows_links(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "alias").symlink_to("in")
    assert inside(tmp_path / "alias", "x.png") == tmp_path / "in" / "x.png"
    with pytest.raises(RestorekitError, match="not within"):
        inside(tmp_path / "alias", "../in/x.png")


def test_strokes_are_drawn_at_the_photo_s_size() -> None:
    strokes = [
        {"tool": "brush", "points": [[10, 10], [40, 10]], "radius": 4},
        {"tool": "eraser", "points": [[25, 10]], "radius": 3},
        {"tool": "lasso", "points": [[50, 5], [60, 5], [60, 25], [50, 25]], "radius": 1},
        {"tool": "brush", "points": [[70.5, 30.5]], "radius": 0.5},
    ]
    mask = drawn(painting({"strokes": strokes}), np.zeros((40, 80), np.uint8))
    assert set(np.unique(mask)) == {0, 255}
    assert mask[9, 12] == mask[12, 38] == 255 and mask[16, 12] == 0  # round ends, that wide
    assert mask[9, 24] == 0 and mask[9, 30] == 255  # erased
    assert mask[6:24, 51:59].all() and not mask[28, 55] and not mask[:, 64:69].any()
    assert mask[30, 70] == 255 and mask[27:34, 67:74].astype(bool).sum() <= 5
    rows = np.flatnonzero(mask[:, 15])
    assert 7 <= len(rows) <= 9


def test_the_command_prints_the_address_and_ends(tmp_path: Path) -> None:
    put(tmp_path / "a.png", photo())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "restorekit", "web", str(tmp_path), "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{32})\n", line)
    assert found, line
    process.send_signal(signal.SIGINT)
    assert process.wait(25) == 0 and process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    assert list(scratch.iterdir()) == [] and images.below(tmp_path) == [tmp_path / "a.png"]
