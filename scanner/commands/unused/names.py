"""Which texts may mean which model. Pure.

A trace that is missed costs a model, so that every text counts that ends in a model's file name,
whatever its folders, separators and capitals, and every name without its ending.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator

from scanner.core.wording import folded

_ENDINGS = (
    *(".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".onnx"),
    *(".engine", ".torchscript", ".yaml", ".json"),
)

_HASH = re.compile(r" ?\[[0-9a-f]{6,64}\]$")
"""What AUTOMATIC1111 writes after a name."""

_PARTS = ("_encoder", "_decoder")
"""VAELoader names `taesd` for two files."""

_LAST = "\U0010ffff"


def form_of(text: str) -> str:
    """The form in which names are compared."""
    return folded(text.replace("\\", "/").strip())


def stem_of(form: str) -> str:
    """The last part of a name in this form, without the ending of a model."""
    last = form.rpartition("/")[2]
    ending = next((ending for ending in _ENDINGS if last.endswith(ending)), "")
    return last.removesuffix(ending) if last != ending else last


class Texts:
    """Texts that files hold, found by the name of a model."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts: defaultdict[str, list[str]] = defaultdict(list)
        self._bare: defaultdict[str, list[str]] = defaultdict(list)
        for text in texts:
            form = form_of(text)
            self._texts[form[::-1]].append(text)
            bare = stem_of(_HASH.sub("", form))
            if bare:
                self._bare[bare].append(text)
        self._reversed = sorted(self._texts)

    def of(self, name: str) -> Iterator[str]:
        """The texts that may mean the model of this name, which is its path below a category."""
        form = form_of(name)
        end = form.rpartition("/")[2][::-1]
        found: dict[str, None] = {}
        first = bisect_left(self._reversed, end)
        for text in self._reversed[first : bisect_left(self._reversed, end + _LAST)]:
            found.update(dict.fromkeys(self._texts[text]))
        stem = stem_of(form)
        for bare in {stem, *(stem.removesuffix(part) for part in _PARTS)}:
            found.update(dict.fromkeys(self._bare.get(bare, ())))
        yield from found

    def has(self, name: str) -> bool:
        """True if any text may mean this model."""
        return next(self.of(name), None) is not None
