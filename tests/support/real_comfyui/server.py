"""A real ComfyUI on the CPU, with the panel in it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

STAND_INS = Path(__file__).parent / "stand_ins"

PATIENCE = 240.0
"""Seconds that ComfyUI may take to start."""


class ComfyUI:
    """ComfyUI over a base folder of its own."""

    def __init__(self, code: Path, python: Path, base: Path, extra_paths: Path | None) -> None:
        self._command = [
            *(str(python), str(code / "main.py"), "--cpu", "--disable-auto-launch"),
            *("--base-directory", str(base)),
        ]
        if extra_paths is not None:
            self._command += ["--extra-model-paths-config", str(extra_paths)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._log = base.parent / f"comfyui-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ComfyUI:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._command, "--port", str(self.port)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(STAND_INS)},
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.get("comfy_inventory/state")
                return self
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.__exit__(None, None, None)
                    raise AssertionError(f"ComfyUI did not start:\n{self.log()}") from None
                time.sleep(0.5)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        # A call on a mount that hangs may keep it from ending: nobody waits for that here.
        self._process.send_signal(signal.SIGKILL)

    def log(self) -> str:
        """The end of what ComfyUI has printed."""
        return self._log.read_text(errors="replace")[-4000:]

    def get(self, path: str, timeout: float = 600.0) -> Any:
        """The JSON at a path."""
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=timeout) as answer:
            return json.load(answer)

    def post(self, path: str, document: Any) -> Any:
        """The JSON that answers a JSON document."""
        request = urllib.request.Request(
            f"{self.url}/{path}",
            json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60.0) as answer:
            return json.load(answer)

    def seconds(self, path: str, timeout: float = 600.0) -> float:
        """How long a request takes. Raises TimeoutError."""
        begun = time.monotonic()
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=timeout) as answer:
            answer.read()
        return time.monotonic() - begun

    def fast_lists(self, wanted: bool) -> None:
        """Switch them, and wait until the panel has read its settings and the inventory."""
        self.post("comfy_inventory/fast_lists", {"on": wanted})
        deadline = time.monotonic() + 60
        while True:
            state = self.get("comfy_inventory/state")
            if state["scan"] and state["fast_lists"]["on"] is wanted:
                assert not state["fast_lists"]["off"], state
                return
            assert time.monotonic() < deadline, state
            time.sleep(0.2)
