"""Remotes are read from git's configuration, without the secrets in their URLs."""

from __future__ import annotations

import os

import pytest

from scanner.comfyui.git_config import git_remotes, without_credentials
from tests.support.fakes import FakeFileSystem
from tests.support.packs import ONE, pack_at, project, write

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://github.com/me/foo.git", "https://github.com/me/foo.git"),
        ("https://SECRET@github.com/me/foo", "https://github.com/me/foo"),
        ("https://me:SECRET@github.com/me/foo", "https://github.com/me/foo"),
        ("https://me:SE@CRET@github.com/me/foo", "https://github.com/me/foo"),
        ("https://me:SEC/RET@github.com:8/me/foo", "https://github.com:8/me/foo"),
        ("https://me:1/SECRET@github.com/me/foo", "https://github.com/me/foo"),
        ("https://me:SEC?RET@github.com/foo", "https://github.com/foo"),
        ("https://me:SEC#RET@github.com/foo", "https://github.com/foo"),
        ("https://git.example:8443/a?private_token=SECRET", "https://git.example:8443/a"),
        ("https://git.example/@me/foo#SECRET", "https://git.example/@me/foo"),
        ("http::https://me:SECRET@host/a", "http::https://host/a"),
        ("HTTPS://me:SECRET@host/a", "HTTPS://host/a"),
        ("ssh://git:SECRET@host:22/a", "ssh://git@host:22/a"),
        ("git+ssh://git@host/a", "git+ssh://git@host/a"),
        ("git@github.com:me/foo.git", "git@github.com:me/foo.git"),
        ("me:SECRET@host:a", "host:a"),
        ("/srv/git/foo", "/srv/git/foo"),
        ("C:/Users/me@corp/foo", "C:/Users/me@corp/foo"),
        ("file:///home/me@corp/foo", "file:///home/me@corp/foo"),
        ("", ""),
    ],
)
def test_urls_carry_no_secrets(url: str, clean: str) -> None:
    assert without_credentials(url) == clean
    assert "SECRET" not in clean


def test_long_secret_is_taken_out_before_the_url_is_cut() -> None:
    files = FakeFileSystem()
    secret = f"https://me:{'S' * 600}@github.com/me/foo"
    write(files, "Foo", config=f'[remote "origin"]\nurl = {secret}\n', head=ONE)
    assert pack_at(files, "Foo").remote == "https://github.com/me/foo"
    write(files, "Bar", project=project(more=f'[project.urls]\nRepository = "{secret}"'))
    assert pack_at(files, "Bar").remote == "https://github.com/me/foo"


@pytest.mark.parametrize(
    ("config", "remotes"),
    [
        ('[remote "a"]\nurl = x\n[remote "origin"]\r\n\tURL=y # z\r\n', {"a": "x", "origin": "y"}),
        ('[Remote "Origin"] url = x\nurl = y\npushurl = z', {"Origin": "x"}),
        ("[remote.Origin]\nurl = x", {"origin": "x"}),
        ('[remote "a \\"b\\" c"]\nurl = "x # y" ; z', {'a "b" c': "x # y"}),
        ('[remote "a"]\nurl = x\\\n/y\n', {"a": "x/y"}),
        ('[remote "a"]\n# comment \\\nurl = x\n', {"a": "x"}),
        ('[remote "a"]\nurl\nfetch = b\n[branch "a"]\nurl = x\n', {}),
        ('[url "x"]\ninsteadOf = y\nnonsense ]\n[', {}),
        ("", {}),
    ],
)
def test_remotes_are_read_as_git_writes_them(config: str, remotes: dict[str, str]) -> None:
    assert git_remotes(config) == remotes
