"""Texts in SVG: the element <metadata>, as `SaveSVGNode` of ComfyUI writes it.

The text is searched, not parsed as XML: nothing in it is expanded but the five entities.
"""

from __future__ import annotations

import re

from scanner.workflows.media.source import Source, Texts

MOST_SCANNED = 32 << 20
"""Bytes at the beginning that are searched. ComfyUI writes its texts behind the first tag."""

_MOST_ELEMENTS = 16

_OPEN = re.compile(rb"<metadata(?:\s[^<>]*)?>\s*(<!\[CDATA\[)?")
_CLOSE = re.compile(rb"</metadata\s*>")
_CLOSE_CDATA = re.compile(rb"\]\]>\s*</metadata\s*>")

_ENTITIES = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&apos;", b"'"))


def svg_texts(source: Source) -> Texts:
    """The texts of the first elements `<metadata>`, under the key `comment`."""
    data = source.at(0, MOST_SCANNED)
    at = 0
    for _ in range(_MOST_ELEMENTS):
        begin = _OPEN.search(data, at)
        if begin is None:
            return
        is_raw = begin[1] is not None
        end = (_CLOSE_CDATA if is_raw else _CLOSE).search(data, begin.end())
        if end is None:
            return
        text = source.text(data[begin.end() : end.start()]).strip()
        yield "comment", text if is_raw else _unescaped(text)
        at = end.end()


def _unescaped(text: bytes) -> bytes:
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text.replace(b"&#34;", b'"').replace(b"&#39;", b"'").replace(b"&amp;", b"&")
