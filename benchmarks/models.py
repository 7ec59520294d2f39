"""What the program says of public models, and what reading it costs.

    python -m benchmarks.models              the table of docs/models.md
    python -m benchmarks.models --write      writes it there
    python -m benchmarks.models --cost 10000 seconds and bytes for so many headers

The headers are those of tests/data/model_headers.json.gz: shortened to at most 80 tensors, which
decide as the whole header does.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from scanner.comfyui import model_identity
from scanner.comfyui.model_facts import facts_of
from scanner.comfyui.model_identity import Identity
from scanner.comfyui.safetensors import BITS
from tests.support.fuzz_headers import safetensors_file, tensor
from tests.support.model_cases import CASES, Case, identity, is_family, true_base

PAGE = Path(__file__).parents[1] / "docs" / "models.md"

BEGIN, END = "<!-- begin of the table -->\n", "<!-- end of the table -->\n"

RIGHT, FAMILY, MISSING, WRONG = "right", "family only", "missing", "wrong"


def verdict_on_base(found: Identity, case: Case) -> str:
    """`right`, `family only`, `missing` or `wrong`."""
    if found.base == true_base(case.base):
        return RIGHT
    if is_family(found.families, found.base, case.base):
        return FAMILY
    return WRONG if found.base else MISSING


def verdict_on_kind(found: Identity, case: Case) -> str:
    """`right`, `missing` or `wrong`."""
    if found.kind == case.kind:
        return RIGHT
    return WRONG if found.kind else MISSING


def table() -> str:
    """One row for each kind, and one for each case whose base model is not exactly right."""
    lines = [
        "| Kind | Headers | Kind right | missing | wrong | Base right | family only | missing "
        "| wrong | ComfyUI names a class |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    told = [(case, identity(case)) for case in CASES]
    for kind in [*dict.fromkeys(case.kind for case in CASES), ""]:
        rows = [(case, found) for case, found in told if kind in ("", case.kind)]
        kinds = Counter(verdict_on_kind(found, case) for case, found in rows)
        bases = Counter(verdict_on_base(found, case) for case, found in rows)
        figures = [
            kind or "all", len(rows), kinds[RIGHT], kinds[MISSING], kinds[WRONG],
            bases[RIGHT], bases[FAMILY], bases[MISSING], bases[WRONG],
            sum(bool(case.comfyui) for case, _ in rows),
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, figures)) + " |")
    lines += ["", "| Header | True base | Told | ComfyUI |", "|---|---|---|---|"]
    lines += [
        f"| {case.id} | {case.base} | {found.base or '-'} | {case.comfyui or '-'} |"
        for case, found in told
        if verdict_on_base(found, case) != RIGHT
    ]
    return "\n".join(lines) + "\n"


def file_of(case: Case) -> bytes:
    """The start of a safetensors file: its header, without data."""
    header: dict[str, object] = {"__metadata__": case.metadata}
    end = 0
    for name, (dtype, shape) in case.tensors.items():
        elements = 1
        for length in shape:
            elements *= length
        begin, end = end, end + elements * BITS[dtype] // 8
        header[name] = tensor(dtype, shape, begin, end)
    return safetensors_file(header)


def cost(models: int) -> str:
    """Processor time and bytes of reading so many headers, with and without the tables."""
    files = [(file_of(case), case) for case in CASES]
    seconds = {"the headers alone": 0.0, "with kind and base model": 0.0}
    read = 0

    def reader(data: bytes) -> Callable[[int, int], bytes]:
        def read_at(offset: int, length: int) -> bytes:
            nonlocal read
            piece = data[offset : offset + length]
            read += len(piece)
            return piece

        return read_at

    def run(data: bytes) -> float:
        started = time.process_time()
        facts_of("x.safetensors", 1 << 40, reader(data))
        return time.process_time() - started

    for data, _ in itertools.islice(itertools.cycle(files), models):
        with mock.patch.object(model_identity, "identity_of", lambda *_: Identity()):
            seconds["the headers alone"] += run(data)
        seconds["with kind and base model"] += run(data)
    return (
        "".join(
            f"{what}: {took:.2f} s of processor time for {models} headers, "
            f"{took / models * 1e3:.2f} ms each\n"
            for what, took in seconds.items()
        )
        + f"bytes read of each: {read // (2 * models)}\n"
    )


def main() -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--cost", type=int, default=0, metavar="MODELS")
    options = parser.parse_args()
    if options.cost:
        print(cost(options.cost), end="")
        return
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        PAGE.write_text(before + BEGIN + table() + END + after, encoding="utf-8")
        return
    print(table(), end="")


if __name__ == "__main__":
    main()
