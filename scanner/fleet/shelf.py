"""Files of the fleet: in a folder that hosts share, or in an object store."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from scanner.errors import InventoryError, OutputError
from scanner.fleet.address import FOLDER, Address
from scanner.output.atomic import AtomicFile, cannot


class Shelf(Protocol):
    """Files by name, with slashes. Each is put as a whole or not at all. Raises OutputError."""

    def make(self) -> None:
        """Make the place, if it can be made."""
        ...

    def put(self, name: str, source: str) -> None:
        """Make `name` a copy of the file `source`."""
        ...

    def read(self, name: str) -> bytes | None:
        """The content of `name`; None if there is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of all files at any depth below `folder`, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Remove `name`, if it is there."""
        ...

    def address(self, name: str) -> str:
        """The name by which DuckDB opens it."""
        ...

    def attach(self, database: Any) -> None:
        """Let `database`, a connection of DuckDB, open these addresses."""
        ...


def shelf_at(address: Address) -> Shelf:
    """The files at `address`. Raises InventoryError where a package is missing."""
    return FolderShelf(address.where) if address.kind == FOLDER else ObjectShelf(address)


class FolderShelf:
    """Files below a folder, which may lie on a network mount."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, *name.split("/"))

    def make(self) -> None:
        try:
            os.makedirs(self._folder, exist_ok=True)
        except OSError as error:
            raise cannot("write", self._folder, error) from error

    def put(self, name: str, source: str) -> None:
        path = self._path(name)
        if not os.path.isdir(self._folder):
            # Not made here: a share that is not mounted would get a folder on this disk.
            raise OutputError(
                f"the folder {self._folder} is not there: mount it, or make it with "
                "comfy-inventory fleet publish."
            )
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            raise cannot("write", path, error) from error
        try:
            with open(source, "rb") as file, AtomicFile(path) as target:
                while piece := file.read(1 << 20):
                    target.write(piece)
        except OSError as error:
            raise cannot("read", source, error) from error

    def read(self, name: str) -> bytes | None:
        try:
            with open(self._path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise cannot("read", self._path(name), error) from error

    def names(self, folder: str) -> list[str]:
        top = self._path(folder)
        found = []
        for place, _, files in os.walk(top, onerror=_raise):
            inner = os.path.relpath(place, self._folder).replace(os.sep, "/")
            found += [f"{inner}/{file}" for file in files]
        return sorted(found)

    def remove(self, name: str) -> None:
        path = self._path(name)
        try:
            os.remove(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise cannot("remove", path, error) from error
        try:
            os.rmdir(os.path.dirname(path))  # only where it was the last one
        except OSError:
            pass

    def address(self, name: str) -> str:
        return self._path(name)

    def attach(self, database: Any) -> None:
        pass


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise cannot("read", str(error.filename), error) from error


class ObjectShelf:
    """Objects of a store that speaks S3. An object is there as a whole, or not at all.

    The package s3fs finds keys, region and endpoint as Amazon's tools do: in AWS_ACCESS_KEY_ID,
    AWS_ENDPOINT_URL and so on, or in the files below ~/.aws.
    """

    def __init__(self, address: Address) -> None:
        try:
            from s3fs import S3FileSystem  # type: ignore[import-untyped]
        except ImportError:
            raise InventoryError(
                "publish: an address with s3:// needs the package s3fs: "
                "install comfy-inventory[fleet,s3]."
            ) from None
        self._top = address.where.removeprefix("s3://")
        self._address = address
        # What other hosts have published since has to be seen.
        self._files = S3FileSystem(use_listings_cache=False, skip_instance_cache=True)

    def _path(self, name: str) -> str:
        return posixpath.join(self._top, name)

    def make(self) -> None:
        pass  # a bucket is there or not

    def put(self, name: str, source: str) -> None:
        with self._reported("written"):
            self._files.put_file(source, self._path(name))

    def read(self, name: str) -> bytes | None:
        with self._reported("read"):
            try:
                content: bytes = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
            return content

    def names(self, folder: str) -> list[str]:
        with self._reported("listed"):
            found = self._files.find(self._path(folder))
            return sorted(posixpath.relpath(path, self._top) for path in found)

    def remove(self, name: str) -> None:
        with self._reported("removed"):
            try:
                self._files.rm_file(self._path(name))
            except FileNotFoundError:
                pass

    def address(self, name: str) -> str:
        return f"s3://{self._path(name)}"

    def attach(self, database: Any) -> None:
        database.register_filesystem(self._files)

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        """Turn the many errors of the packages below into one of ours."""
        try:
            yield
        except Exception as error:  # botocore's errors share no base with OSError
            reason = str(error).partition("\n")[0] or type(error).__name__
            reason = self._address.without_secrets(reason)
            raise OutputError(f"{self._address.shown} cannot be {what}: {reason}") from None
