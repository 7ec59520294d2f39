"""Where the files of one output lie."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs
import pytest

from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.errors import OutputError
from scanner.output.file_names import Outputs, outputs_of
from scanner.settings.schema import Settings
from scanner.store.recovery import take_from_remote
from scanner.store.state import State

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links")


class Disk(DiskFileSystem):
    """The real disk with a share mounted at `point`."""

    def __init__(self, point: Path) -> None:
        super().__init__()
        self._mounts = [Mount("/", "ext4", "/dev/sda"), Mount(str(point), "nfs", "nas:/x")]

    def mounts(self) -> list[Mount]:
        return self._mounts


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    (tmp_path / "nas" / "out").mkdir(parents=True)
    return tmp_path / "nas"


def outputs(share: Path, output: str) -> Outputs:
    return outputs_of(Settings(output=Path(output)), Disk(share), str(share.parent))


@pytest.mark.parametrize(
    "name", ["i.history.jsonl", "i.history.jsonl.damaged-1", ".i.history.jsonl.0a1b2c3d.tmp"]
)
def test_the_history_is_an_own_file(tmp_path: Path, name: str) -> None:
    own = Outputs(str(tmp_path / "i.json"), str(tmp_path))
    assert own.history == str(tmp_path / "i.history.jsonl")
    assert own.is_own(str(tmp_path), name)
    assert not own.is_own(str(tmp_path), name.replace("i.", "other."))
    assert "b.history.jsonl" in own.instance_files("b.history.jsonl\0b.status.json\0x")


def test_the_state_is_never_on_a_remote_mount_whatever_leads_there(share: Path) -> None:
    home = share.parent
    (home / "link").symlink_to(share)
    (home / "deep").mkdir()
    (home / "deep" / "out").symlink_to("../link/out")
    ways = ("nas/out/i.json", "link/out/i.json", "deep/out/i.json")
    found = [outputs(share, output) for output in ways]
    assert [one.inventory for one in found] == [str(home / output) for output in ways]
    assert all(one.state.startswith(f"{home}/xdg/") for one in found)
    assert len({one.state for one in found}) == 1, "one output has one state"


def test_a_state_that_is_a_link_to_a_remote_mount_is_not_used(share: Path) -> None:
    (share.parent / "i.state.sqlite").symlink_to(share / "elsewhere.sqlite")
    assert outputs(share, "i.json").state.startswith(f"{share.parent}/xdg/")


@pytest.mark.parametrize(
    ("mounts", "reason"),
    [
        ([], "no mount table"),
        ([Mount("/", "nfs4", "nas:/x")], "a network mount (nfs4)"),
        ([Mount("/", "fuse.gocryptfs", "secret")], "a mount that may hang (fuse.gocryptfs)"),
    ],
)
def test_why_the_state_lies_elsewhere_is_what_was_found(
    share: Path, monkeypatch: pytest.MonkeyPatch, mounts: list[Mount], reason: str
) -> None:
    disk = Disk(share)
    monkeypatch.setattr(disk, "_mounts", mounts)
    settings = Settings(output=Path("i.json"))
    assert reason in outputs_of(settings, disk, str(share)).apart

    def no_home(*_: object) -> str:
        raise RuntimeError("could not determine the home directory")

    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platformdirs, "user_state_dir", no_home)
    with pytest.raises(OutputError, match=f"{re.escape(reason)}.*XDG_STATE_HOME"):
        outputs_of(settings, disk, str(share))


def test_on_local_disks_the_state_lies_beside_the_inventory(share: Path) -> None:
    (share.parent / "local").mkdir()
    (share / "back").symlink_to(share.parent / "local")
    (share.parent / "link").symlink_to("local")
    for output in ("i.json", "local/i.json", "link/i.json"):
        found = outputs(share, output)
        assert not found.apart
        assert found.state == f"{os.path.dirname(found.inventory)}/i.state.sqlite"


def known(path: str) -> str:
    state = State(path)
    value = state.get("mark")
    state.close()
    return value or ""


def test_a_state_that_an_older_version_left_on_the_mount_is_taken_over(share: Path) -> None:
    old = State(str(share / "out" / "i.state.sqlite"))
    old.put("mark", "learned")  # stands in the log of the database, which is open
    (share.parent / "link").symlink_to(share)
    found = outputs(share, "link/out/i.json")
    os.makedirs(found.state_folder)
    take_from_remote(found)
    old.close()
    assert known(found.state) == "learned"
    state = State(found.state)
    state.put("mark", "newer")
    state.close()
    take_from_remote(found)
    assert known(found.state) == "newer"


def test_a_damaged_state_on_the_mount_is_left_alone(share: Path) -> None:
    (share / "out" / "i.state.sqlite").write_bytes(b"damaged" * 1000)
    found = outputs(share, "nas/out/i.json")
    os.makedirs(found.state_folder)
    take_from_remote(found)
    assert os.listdir(found.state_folder) == []
