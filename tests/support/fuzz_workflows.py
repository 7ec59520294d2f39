"""Files with a workflow inside, of every kind, spoiled at random.

`python -m tests.support.fuzz_workflows [CASES] [SEED]` runs many; `fuzz` is what a test runs.
"""

from __future__ import annotations

import functools
import io
import json
import random
import time
from collections import Counter

from scanner.workflows.media.read import read_workflow
from scanner.workflows.media.source import MOST_READ, MOST_READS
from scanner.workflows.uses import Workflow, WorkflowError
from tests.support.fuzz_headers import MUTATIONS, Tried, _spoiled, main, tried
from tests.support.media import WRITERS

UI = {
    "nodes": [
        {"id": 1, "type": "CheckpointLoaderSimple", "widgets_values": ["a.safetensors"]},
        {
            "id": 2,
            "type": "sub",
            "widgets_values": ["d.safetensors"],
            "properties": {"proxyWidgets": [["3", "lora_name"]]},
        },
        {"id": 4, "type": "CLIPTextEncode", "mode": 4, "widgets_values": ["embedding:bad, x"]},
        {"id": 5, "type": "Power", "widgets_values": [{"on": True, "lora": "b.pt", "strength": 1}]},
    ],
    "links": [[1, 1, 0, 2, 0, "*"]],
    "definitions": {
        "subgraphs": [
            {
                "id": "sub",
                "inputs": [{"name": "lora_name"}],
                "nodes": [
                    {
                        "id": 3,
                        "type": "LoraLoaderModelOnly",
                        "inputs": [
                            {"name": "lora_name", "widget": {"name": "lora_name"}, "link": 7}
                        ],
                        "widgets_values": ["c.safetensors", 1],
                    }
                ],
                "links": [
                    {"id": 7, "origin_id": -10, "origin_slot": 0, "target_id": 3, "target_slot": 0}
                ],
            }
        ]
    },
    "models": [{"name": "a.safetensors", "url": "https://a", "directory": "checkpoints"}],
}
API = {"1": {"class_type": "UNETLoader", "inputs": {"unet_name": "e.gguf", "model": ["2", 0]}}}

MOST_SECONDS = 2.0
"""Of processor time for one case; they take less than a hundredth of it."""


class Counted(io.BytesIO):
    """A file in memory, with what is read of it."""

    reads = 0
    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert 0 <= size <= MOST_READ, "asked for more than is read of one file"
        piece = super().read(size)
        self.reads += 1
        self.bytes_read += len(piece)
        return piece


def checked(data: bytes, size: int | None = None) -> str:
    """How reading ended, after what holds of every file has been found to hold."""
    file = Counted(data)
    started = time.process_time()
    outcome = "needs"
    try:
        workflow = read_workflow(file, len(data) if size is None else size)
        assert type(workflow) is Workflow
        needs = workflow.needs()
        assert all(need.name and need.nodes for need in needs)
        assert all("\n" not in need.name and "\0" not in need.name for need in needs)
        outcome = workflow.form if needs else "nothing"
    except WorkflowError as error:
        outcome = "error"
        assert str(error).isprintable() and len(str(error)) < 400, error
    seconds = time.process_time() - started
    assert seconds < MOST_SECONDS, f"took {seconds:.1f} s"
    assert file.reads <= 2 * MOST_READS
    assert file.bytes_read <= MOST_READ
    return outcome


@functools.cache
def corpus() -> dict[str, bytes]:
    """A small file of each kind, with both texts."""
    texts = {"prompt": json.dumps(API), "workflow": json.dumps(UI)}
    return {name: writer(texts) for name, writer in WRITERS.items()}


def _mutant(chance: random.Random, name: str) -> bytes:
    if name in ("plain", "glb", "svg", "latent") and chance.random() < 0.7:
        ui, api = json.loads(json.dumps(UI)), json.loads(json.dumps(API))
        for _ in range(chance.choice([1, 1, 2, 6])):
            ui, api = _spoiled(chance, ui), _spoiled(chance, api)
        try:
            texts = {"workflow": json.dumps(ui), "prompt": json.dumps(api)}
            return WRITERS[name](texts)
        except (ValueError, TypeError):
            pass  # the writer cannot write this
    data = bytearray(corpus()[name])
    for _ in range(chance.choice([1, 1, 2, 4])):
        if data:
            _near(chance, data)
    return bytes(data[:200_000])


def _near(chance: random.Random, data: bytearray) -> None:
    """A mutation of any place, or in half of the cases of the texts' surroundings."""
    places = [
        at for key in (b"workflow", b"prompt", b"moov", b"WORKFLOW") if (at := data.find(key)) >= 0
    ]
    if not places or chance.random() < 0.5:
        chance.choice(MUTATIONS)(chance, data)
        return
    begin = max(0, chance.choice(places) - 64)
    piece = data[begin : begin + 96]
    chance.choice(MUTATIONS)(chance, piece)
    data[begin : begin + 96] = piece


def fuzz(count: int, seed: int) -> Counter[str]:
    """Check `count` mutants of the corpus; raises AssertionError with the first that fails.

    Returns how often each outcome was met.
    """
    names = list(corpus())

    def case(chance: random.Random) -> Tried:
        name = chance.choice(names)
        data = _mutant(chance, name)
        # A file may shrink or grow between its stat and its reading.
        size = len(data) + chance.choice([0, 0, 0, 0, 0, 0, 1, 4096, 2**40, -(len(data) // 2)])
        return f"{name}, {size} bytes", data, lambda: checked(data, size)

    return tried(count, seed, case)


if __name__ == "__main__":
    main(fuzz)
