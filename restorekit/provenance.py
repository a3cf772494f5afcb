"""What made a picture, told where the field looks for it: IPTC's source type, XMP's history.

The terms are IPTC's (cv.iptc.org/newscodes/digitalsourcetype), the history is that of XMP
specification part 2, section 1.2.6. Nothing here depends on the clock or on chance, so the same
run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.dom import minidom

ENHANCED = "algorithmicallyEnhanced"  # nothing invented: noise removed, say
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"  # a hole filled, or a sample
GENERATED = "trainedAlgorithmicMedia"  # all of it
WEIGHT = {ENHANCED: 1, COMPOSITE: 2, GENERATED: 3}  # what is invented stays so, whatever follows

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
MEDIA = "http://ns.adobe.com/xap/1.0/mm/"
EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="' + RDF.encode() + b'">'
    b'<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def worst(origins: Iterable[str]) -> str:
    """Of what was made in several steps."""
    return max(origins, key=WEIGHT.__getitem__)


def with_history(xmp: bytes, origin: str, made: str) -> bytes:
    """An XMP packet with one more entry in its history, and the source type of what is in it now.

    Args:
        origin: ENHANCED, COMPOSITE or GENERATED.
        made: what was done, in words.

    Raises:
        ValueError: if the packet cannot be read.
    """
    from xml.dom import minidom

    if b"<!DOCTYPE" in xmp or b"<!ENTITY" in xmp:
        raise ValueError("defines entities of its own")
    try:
        document = minidom.parseString(xmp.strip(b"\0 \r\n\t"))
    except Exception as error:  # expat's errors have no common base that is public
        raise ValueError("is damaged") from error
    (rdf, *_) = document.getElementsByTagNameNS(RDF, "RDF") or [None]
    if rdf is None:
        raise ValueError("has no RDF")
    own = _description(document, rdf)
    if WEIGHT[origin] >= WEIGHT.get(_source_type(rdf).removeprefix(VOCABULARY), 0):
        _forget_source_type(rdf)
        own.appendChild(_text(document, "Iptc4xmpExt:DigitalSourceType", VOCABULARY + origin))
    _history(document, rdf, own).appendChild(_event(document, rdf, made))
    return "".join(node.toxml() for node in document.childNodes).encode()


def _description(document: minidom.Document, rdf: minidom.Element) -> minidom.Element:
    """A new block of properties, of the same thing as the others are of."""
    element = document.createElement(f"{_prefix(rdf)}Description")
    about = f"{_prefix(rdf)}about"
    others = rdf.getElementsByTagNameNS(RDF, "Description")
    element.setAttribute(about, others[0].getAttributeNS(RDF, "about") if others else "")
    for name, space in (("Iptc4xmpExt", IPTC), ("xmpMM", MEDIA), ("stEvt", EVENT)):
        element.setAttribute(f"xmlns:{name}", space)
    rdf.appendChild(element)
    return element


def _prefix(rdf: minidom.Element) -> str:
    return f"{rdf.prefix}:" if rdf.prefix else ""


def _text(document: minidom.Document, name: str, text: str) -> minidom.Element:
    element = document.createElement(name)
    element.appendChild(document.createTextNode(text))
    return element


def _source_type(rdf: minidom.Element) -> str:
    """What the packet says so far, as an element or an attribute; empty if nothing."""
    for element in rdf.getElementsByTagNameNS(IPTC, "DigitalSourceType"):
        return "".join(node.data for node in element.childNodes if node.nodeType == node.TEXT_NODE)
    for element in rdf.getElementsByTagNameNS(RDF, "Description"):
        if found := element.getAttributeNS(IPTC, "DigitalSourceType"):
            return str(found)
    return ""


def _forget_source_type(rdf: minidom.Element) -> None:
    for element in list(rdf.getElementsByTagNameNS(IPTC, "DigitalSourceType")):
        if element.parentNode is not None:
            element.parentNode.removeChild(element)
    for element in rdf.getElementsByTagNameNS(RDF, "Description"):
        if element.hasAttributeNS(IPTC, "DigitalSourceType"):
            element.removeAttributeNS(IPTC, "DigitalSourceType")


def _history(
    document: minidom.Document, rdf: minidom.Element, own: minidom.Element
) -> minidom.Element:
    """The sequence of events that is there, or a new one."""
    for history in rdf.getElementsByTagNameNS(MEDIA, "History"):
        for sequence in history.getElementsByTagNameNS(RDF, "Seq"):
            return sequence
    history = document.createElement("xmpMM:History")
    sequence = document.createElement(f"{_prefix(rdf)}Seq")
    history.appendChild(sequence)
    own.appendChild(history)
    return sequence


def _event(document: minidom.Document, rdf: minidom.Element, made: str) -> minidom.Element:
    event = document.createElement(f"{_prefix(rdf)}li")
    event.setAttribute(f"{_prefix(rdf)}parseType", "Resource")
    event.setAttribute("xmlns:stEvt", EVENT)
    agent = f"restorekit {version('restorekit')}"
    for name, text in (("action", "edited"), ("softwareAgent", agent), ("parameters", made)):
        event.appendChild(_text(document, f"stEvt:{name}", text))
    return event
