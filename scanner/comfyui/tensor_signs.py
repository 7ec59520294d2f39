"""The names and shapes of a model's tensors, and signs that hold for some architectures only.

A sign is a text of terms. All terms must hold. The forms of a term, for names below the prefix of a
view:

- `img_in.weight`: a tensor of this name. `#` stands for a whole number between dots.
- `img_in.weight[3072,64]`: one with these first lengths. `*` stands for any length.
- `guidance_in.`: any tensor below this module.
- `encoder.bias{2}`: at least so many tensors of this name.
- `~blocks.3.`: a text in any name as it stands in the file, with its prefix.
- `!term`: the term does not hold. `a|b`: one of the terms holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

MOST_NAMES = 20_000
"""Most names that are kept. Models with more are rare, and their first ones tell as much."""

MOST_SHAPES = 16
"""Most different shapes kept of the tensors of one name."""

_NUMBER = re.compile(rb"(?<![^.])[0-9]+(?![^.])")

Shape = tuple[int, ...]


class Row(NamedTuple):
    """A sign and its meaning."""

    base: str
    """The word of the base model; empty if the sign tells the kind only."""
    families: Sequence[str]
    """The families that the base model belongs to, or that the weights serve."""
    sign: str


class Group(NamedTuple):
    """Rows of one kind. The first row whose sign holds decides."""

    kind: str
    source: str
    """The public code that distinguishes the models by these names."""
    rows: tuple[Row, ...]


class Match(NamedTuple):
    """What a row says."""

    kind: str
    base: str
    families: tuple[str, ...]


def rows(*given: tuple[str, str, str]) -> tuple[Row, ...]:
    """Rows of (base, families with `/` between them, sign)."""
    return tuple(Row(base, families.split("/") if families else (), sign)
                 for base, families, sign in given)  # fmt: skip


class TensorNames:
    """Names and shapes of the tensors of one file, added in the order of its header."""

    def __init__(self) -> None:
        self.names: list[tuple[bytes, Shape]] = []
        self.counts: Counter[bytes] = Counter()
        self.shapes: dict[bytes, list[Shape]] = {}
        """The different shapes of the tensors of each name, with `#` for numbers."""

    def add(self, name: bytes, shape: Shape) -> None:
        if len(self.names) >= MOST_NAMES:
            return
        self.names.append((name, shape))
        pattern = _NUMBER.sub(b"#", name)
        self.counts[pattern] += 1
        known = self.shapes.get(pattern)
        if known is None:
            self.shapes[pattern] = [shape]
        elif shape not in known and len(known) < MOST_SHAPES:
            known.append(shape)

    def contain(self, text: bytes) -> bool:
        """True if any name contains `text`."""
        return any(text in name for name, _ in self.names)

    def view(self, prefix: bytes = b"", without: tuple[bytes, ...] = ()) -> View:
        """The tensors whose names begin with `prefix` and with none of `without`."""
        at = len(prefix)
        return View(
            self,
            {
                name[at:]: name
                for name in self.shapes
                if name.startswith(prefix) and not (without and name.startswith(without))
            },
        )


class View:
    """The tensors below one prefix."""

    def __init__(self, tensors: TensorNames, names: dict[bytes, bytes]) -> None:
        self._tensors = tensors
        self._names = names
        self._modules: set[bytes] | None = None

    def __len__(self) -> int:
        return len(self._names)

    @property
    def modules(self) -> set[bytes]:
        """All modules with a tensor below them, each with a dot at its end."""
        if self._modules is None:
            self._modules = modules = set()
            for name in self._names:
                end = name.rfind(b".") + 1
                while end and name[:end] not in modules:
                    modules.add(name[:end])
                    end = name.rfind(b".", 0, end - 1) + 1
        return self._modules

    def first(self, groups: Iterable[Group]) -> Match | None:
        """What the first row says whose sign holds."""
        for group in groups:
            for row in group.rows:
                if self.holds(row.sign):
                    return Match(group.kind, row.base, tuple(row.families))
        return None

    def holds(self, sign: str) -> bool:
        """True if all terms of `sign` hold."""
        for wanted, terms in _parsed(sign):
            for term in terms:
                if self._holds(term):
                    if not wanted:
                        return False
                    break
            else:
                if wanted:
                    return False
        return True

    def _holds(self, term: _Term) -> bool:
        if term.is_text:
            return self._tensors.contain(term.name)
        if term.name.endswith(b"."):
            return term.name in self.modules
        full = self._names.get(term.name)
        if full is None or self._tensors.counts[full] < term.least:
            return False
        if not term.shape:
            return True
        return any(_fits(shape, term.shape) for shape in self._tensors.shapes[full])


class _Term(NamedTuple):
    name: bytes
    shape: tuple[int, ...] = ()
    """First lengths; -1 for any."""
    least: int = 1
    is_text: bool = False


_TERM = re.compile(r"(~?)([^\[\]{}|!]+)(?:\[([0-9*,]+)\])?(?:\{(\d+)\})?")


@cache
def _parsed(sign: str) -> tuple[tuple[bool, tuple[_Term, ...]], ...]:
    """The terms of `sign`: whether one of the alternatives must hold or none, and these."""
    return tuple(
        (not part.startswith("!"), tuple(map(_term, part.removeprefix("!").split("|"))))
        for part in sign.split()
    )


def _term(text: str) -> _Term:
    match = _TERM.fullmatch(text)
    assert match is not None, f"not a term: {text}"
    lengths = match[3].split(",") if match[3] else ()
    shape = tuple(-1 if length == "*" else int(length) for length in lengths)
    return _Term(match[2].encode(), shape, int(match[4] or 1), bool(match[1]))


def _fits(shape: Shape, wanted: tuple[int, ...]) -> bool:
    return len(shape) >= len(wanted) and all(
        length in (-1, have) for length, have in zip(wanted, shape, strict=False)
    )
