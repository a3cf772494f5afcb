"""What a restored file says of itself."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import restorekit
from restorekit import images
from restorekit.images import Photo
from restorekit.provenance import COMPOSITE, EMPTY, ENHANCED, GENERATED, VOCABULARY, with_history

from .commands import run, save
from .noisy import CAT

pytestmark = pytest.mark.usefixtures("here")

SPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "iptc": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mm": "http://ns.adobe.com/xap/1.0/mm/",
    "event": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
}


def told(xmp: bytes) -> tuple[list[str], list[str]]:
    """Source types, and what each entry of the history did."""
    tree = ElementTree.fromstring(xmp)
    types = [e.text or "" for e in tree.iterfind(".//iptc:DigitalSourceType", SPACES)]
    done = tree.iterfind(".//mm:History/rdf:Seq/rdf:li/event:parameters", SPACES)
    return [text.removeprefix(VOCABULARY) for text in types], [e.text or "" for e in done]


def xmp_of(path: str) -> bytes:
    return dict(images.read(path).metadata)["xmp"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "avif"])
def test_a_restored_photo_says_so(suffix: str) -> None:
    if f".{suffix}" not in images.SUFFIXES:
        pytest.skip("this Pillow has no AVIF")
    save("in.png", CAT[:12, :14])
    assert run(f"denoise in.png -o out.{suffix} --sigma 10") == 0
    types, (entry,) = told(xmp_of(f"out.{suffix}"))
    assert types == [ENHANCED]
    assert "denoise" in entry and "sigma=0.0392" in entry and "prior photo (sha256 " in entry
    assert run(f"denoise in.png -o again.{suffix} --sigma 10") == 0
    assert Path(f"out.{suffix}").read_bytes() == Path(f"again.{suffix}").read_bytes()


def test_what_is_invented_says_so_for_good() -> None:
    save("in.png", CAT[:24, :24])
    save("mask.png", np.pad(np.full((4, 4, 1), 255, np.uint8), ((9, 11), (9, 11), (0, 0))))
    assert run("inpaint in.png -o filled.png --mask mask.png") == 0
    assert told(xmp_of("filled.png"))[0] == [COMPOSITE]
    assert run("denoise in.png -o drawn.png --sigma 10 --mode perceptual --steps 2 --seed 4") == 0
    types, (entry,) = told(xmp_of("drawn.png"))
    assert types == [COMPOSITE] and "seed=4 sample=1" in entry
    assert run("denoise filled.png -o both.png --sigma 10") == 0
    types, entries = told(xmp_of("both.png"))
    assert types == [COMPOSITE] and ["inpaint" in e for e in entries] == [True, False]
    assert run("generate -o made.png --steps 1") == 0
    assert told(xmp_of("made.png"))[0] == [GENERATED]


def test_it_can_be_left_out() -> None:
    save("in.png", CAT[:12, :14])
    for option in ("--no-provenance", "--strip-metadata"):
        assert run(f"denoise in.png -o out.png --sigma 10 {option} --on-exists overwrite") == 0
        assert not images.read("out.png").metadata
    restorekit.restore("denoise", "in.png", output="api.png", sigma=0.04)
    assert told(xmp_of("api.png"))[0] == [ENHANCED]
    restorekit.restore("denoise", "in.png", output="no.png", sigma=0.04, provenance=False)
    assert not images.read("no.png").metadata


def test_a_photo_left_as_it_was_says_nothing() -> None:
    save("flat.png", np.full((32, 32, 3), 99, np.uint8))
    assert run("denoise flat.png -o out.png") == 0
    assert np.array_equal(images.read("out.png").pixels, images.read("flat.png").pixels)
    assert not images.read("out.png").metadata


def test_other_xmp_stays() -> None:
    rating = EMPTY.replace(
        b'about=""', b'about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"'
    )
    once = with_history(rating, ENHANCED, "a <b> & c")
    assert b'xmp:Rating="4"' in once and once.startswith(b"<?xpacket")
    twice = with_history(once, GENERATED, "d")
    assert told(twice) == ([GENERATED], ["a <b> & c", "d"])
    assert told(with_history(twice, ENHANCED, "e"))[0] == [GENERATED]
    attribute = EMPTY.replace(
        b'rdf:about=""', f'rdf:about="x" xmlns:i="{SPACES["iptc"]}" i:DigitalSourceType="'.encode()
        + (VOCABULARY + "print").encode() + b'"',
    )  # fmt: skip
    changed = with_history(attribute, ENHANCED, "f")
    assert told(changed)[0] == [ENHANCED] and b"print" not in changed
    assert changed.count(b'about="x"') == 2


@pytest.mark.parametrize(
    "bad",
    [b"<x", b"no xml", b"<a/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff\xfe<"],
)
def test_damaged_xmp_ends_no_photo(bad: bytes) -> None:
    photo = Photo(CAT[:9, :9], metadata=(("xmp", bad),)).stamped(ENHANCED, "x")
    assert dict(photo.metadata)["xmp"] == bad and "XMP" in photo.notes[-1]
