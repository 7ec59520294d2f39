"""Empty modules in place of torchvision and torchaudio, for a ComfyUI that computes nothing.

Their builds for PyPI need CUDA's libraries, which are several GB. ComfyUI and its libraries only
import them here: no test runs a workflow. Python imports this module at its start.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from unittest.mock import MagicMock

NAMES = ("torchvision", "torchaudio")


class _Module(types.ModuleType):
    __path__ = []  # noqa: RUF012
    __version__ = "0.0.0"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in NAMES:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, _Finder())
