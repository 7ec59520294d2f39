"""Sums of folders, a few levels at a time."""

from __future__ import annotations

from typing import Any

from scanner.views.book import Book

MOST = 1000
"""Folders that are shown of each folder, those with most bytes first."""

DEEPEST = 8


def tree(book: Book, path: str, depth: int) -> dict[str, Any] | None:
    """The folder at `path` with those below it, down to `depth`. None if it holds no file."""
    top = book.folder_at(path)
    return None if top is None else _folder(book, top, path, depth)


def _folder(book: Book, index: int, path: str, depth: int) -> dict[str, Any]:
    folders, (bytes_, files) = book.files.folders, book.folder_sums
    shown: dict[str, Any] = {
        "name": folders.names[index],
        "path": path,
        "bytes": bytes_[index],
        "files": files[index],
        "bytes_here": folders.bytes[index],
        "files_here": folders.files[index],
    }
    children = book.subfolders.get(index, ())
    if depth:
        shown["children"] = [
            _folder(book, child, _below(path, folders.names[child]), depth - 1)
            for child in children[:MOST]
        ]
        shown["left_out"] = max(0, len(children) - MOST)
    return shown


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
