"""Work that may block, in threads that nobody waits for at the end.

A file may lie on a mount that hangs. The threads of a pool are joined when the process ends, which
would then never come (rule 3, a hang stops nothing).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_Value = TypeVar("_Value")


async def in_thread(call: Callable[..., _Value], *arguments: Any) -> _Value:
    """The result of `call`, which runs in a daemon thread of its own."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Value] = loop.create_future()

    def work() -> None:
        try:
            result = call(*arguments)
        except BaseException as error:
            _tell(loop, _fail, future, error)
        else:
            _tell(loop, _end, future, result)

    threading.Thread(target=work, name="page", daemon=True).start()
    return await future


def _tell(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(tell, *arguments)
    except RuntimeError:
        pass  # the server has ended meanwhile


def _end(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
