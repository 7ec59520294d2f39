"""Every form in which a node pack is installed is recognised, also those that git makes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from scanner.comfyui.git_repository import MOST_REFS, PACKED_REFS_LIMIT
from scanner.comfyui.pack_reader import PROJECT_LIMIT, normal_version, read_pack
from scanner.core.packs import Pack
from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem
from tests.support.packs import (
    CLONED,
    GITHUB,
    ONE,
    THREE,
    TOP,
    TWO,
    UNKNOWN,
    URL,
    log,
    node,
    pack_at,
    project,
    write,
)
from tests.support.world import World, at

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")


# Forms


def plain(files: FakeFileSystem) -> None:
    write(files, "Foo", init="x")


def registry(files: FakeFileSystem) -> None:
    more = (
        'urls.Repository = "https://user:secret@github.com/me/foo"\n'
        '[tool.comfy]\nPublisherId = "me"\nDisplayName = "Foo \\u2764"\n'
    )
    content = project("2.5", "ComfyUI-Foo", more)
    write(files, "foo", project=content, tracking="a\nb", requirements="torch")


def project_alone(files: FakeFileSystem) -> None:
    write(files, "Foo", project=project("v1-rc"))


def cloned(files: FakeFileSystem) -> None:
    write(files, "Foo", head="ref: refs/heads/main\n", main=ONE + "\n", config=GITHUB)


def cloned_with_id(files: FakeFileSystem) -> None:
    cloned(files)
    write(files, "Foo", cnr="comfyui-foo\n", project=project("1.2.0"), tracking="")


def local_repository(files: FakeFileSystem) -> None:
    write(files, "Foo", head=ONE + "\n", config="[core]\n\tbare = false\n")


def unpacked_into_a_repository(files: FakeFileSystem) -> None:
    local_repository(files)
    write(files, "Foo", project=project("1"), tracking="")


def packed(files: FakeFileSystem) -> None:
    first = f"# pack-refs with: peeled refs/heads/main\n{TWO} refs/heads/main2\n"
    text = f"{first}{ONE} refs/heads/main\n^{THREE}\n"
    write(files, "Foo", head="ref: refs/heads/main\n", packed=text, config=GITHUB)


def loose_over_packed(files: FakeFileSystem) -> None:
    packed(files)
    write(files, "Foo", packed=f"{TWO} refs/heads/main\n", main=ONE)


def without_a_commit(files: FakeFileSystem) -> None:
    write(files, "Foo", head="ref: refs/heads/main\n", config=GITHUB)


def symbolic(files: FakeFileSystem) -> None:
    write(files, "Foo", head="ref: refs/heads/r0\n", config=GITHUB)
    for number in range(MOST_REFS - 1):
        text = f"ref: refs/heads/r{number + 1}\n"
        files.write(node(f"Foo/.git/refs/heads/r{number}"), text.encode())
    files.write(node(f"Foo/.git/refs/heads/r{MOST_REFS - 1}"), ONE.encode())


def circle(files: FakeFileSystem) -> None:
    ring = "ref: refs/heads/main\n"
    write(files, "Foo", head=ring, main=ring, config=GITHUB)


def out_of_the_refs(files: FakeFileSystem) -> None:
    write(files, "Foo", head="ref: refs/../../commit\n", config=GITHUB)
    files.makedirs(node("Foo/.git/refs"))
    files.write(node("commit"), ONE.encode())
    files.write(node("Foo/commit"), ONE.encode())


def worktree(files: FakeFileSystem) -> None:
    files.write("/src/foo/.git/config", GITHUB.encode())
    files.write("/src/foo/.git/HEAD", b"ref: refs/heads/main\n")
    files.write("/src/foo/.git/refs/heads/main", TWO.encode())
    files.write("/src/foo/.git/refs/heads/work", ONE.encode())
    files.write("/src/foo/.git/worktrees/Foo/HEAD", b"ref: refs/heads/work\n")
    files.write("/src/foo/.git/worktrees/Foo/commondir", b"../..\n")
    write(files, "Foo", pointer="gitdir: /src/foo/.git/worktrees/Foo\n")


def submodule(files: FakeFileSystem) -> None:
    folder = at("ComfyUI/.git/modules/custom_nodes/Foo")
    files.write(f"{folder}/config", GITHUB.encode())
    files.write(f"{folder}/HEAD", ONE.encode())
    write(files, "Foo", pointer="gitdir: ../../.git/modules/custom_nodes/Foo\n")


def pointer_to_nothing(files: FakeFileSystem) -> None:
    write(files, "Foo", pointer="gitdir: C:/Users/me/foo/.git\n")


def pointer_to_another_mount(files: FakeFileSystem) -> None:
    worktree(files)
    files.mount_table.append(Mount("/src", "nfs4", "nas:/src"))


def commondir_on_another_mount(files: FakeFileSystem) -> None:
    worktree(files)
    files.write("/src/foo/.git/worktrees/Foo/commondir", b"/nas/foo/.git\n")
    files.mount_table.append(Mount("/nas", "nfs4", "nas:/src"))


def git_is_a_link_to_another_mount(files: FakeFileSystem) -> None:
    write(files, "Foo", init="x")
    files.write("/nas/foo/.git/HEAD", ONE.encode())
    files.symlink("/nas/foo/.git", node("Foo/.git"))
    files.mount_table.append(Mount("/nas", "nfs4", "nas:/src"))


def project_is_a_link_to_another_mount(files: FakeFileSystem) -> None:
    write(files, "Foo", init="x")
    files.write("/nas/foo/pyproject.toml", project())
    files.symlink("/nas/foo/pyproject.toml", node("Foo/pyproject.toml"))
    files.mount_table.append(Mount("/nas", "nfs4", "nas:/src"))


def damaged_project(files: FakeFileSystem) -> None:
    cloned(files)
    write(files, "Foo", project=b"[project\nname = ", requirements="")


def nested_project(files: FakeFileSystem) -> None:
    write(files, "Foo", project=b"a = " + b"[" * 100_000)


def huge_project(files: FakeFileSystem) -> None:
    write(files, "Foo", project=project() + b"#" * PROJECT_LIMIT)


def odd_project(files: FakeFileSystem) -> None:
    write(files, "Foo", project=b"project = 5\n[tool]\ncomfy = []\n")


def odd_values(files: FakeFileSystem) -> None:
    content = b'[project]\nname = ["a"]\nversion = 2.5\nurls = 1\n[tool.comfy]\nDisplayName = true'
    write(files, "Foo", project=content)


def latin_project(files: FakeFileSystem) -> None:
    write(files, "Foo", project=b"\xef\xbb\xbf" + project() + b'description = "caf\xe9"\n')


def disabled_by_name(files: FakeFileSystem) -> None:
    write(files, "Foo.disabled", init="x")


def disabled_by_folder(files: FakeFileSystem) -> None:
    write(files, ".disabled/foo@1_0_2", init="x")


def disabled_nightly(files: FakeFileSystem) -> None:
    write(files, ".disabled/foo@nightly", head=ONE, config=GITHUB, cnr="comfyui-foo")


def named_with_an_at(files: FakeFileSystem) -> None:
    write(files, "me@home", init="x")


FORMS: list[tuple[Callable[[FakeFileSystem], None], str, Pack]] = [
    (plain, "Foo", UNKNOWN),
    (
        registry,
        "foo",
        Pack(
            "comfyui-foo",
            "Foo ❤",
            "registry",
            True,
            "2.5.0",
            "",
            "https://github.com/me/foo",
            "me",
            "requirements.txt",
        ),
    ),
    (project_alone, "Foo", UNKNOWN._replace(name="comfyui-foo", version="v1-rc")),
    (cloned, "Foo", CLONED),
    (
        cloned_with_id,
        "Foo",
        CLONED._replace(id="comfyui-foo", name="comfyui-foo", version="1.2.0"),
    ),
    (local_repository, "Foo", UNKNOWN._replace(source="git", commit=ONE)),
    (
        unpacked_into_a_repository,
        "Foo",
        Pack("comfyui-foo", "comfyui-foo", "registry", True, "1.0.0", ONE),
    ),
    (packed, "Foo", CLONED),
    (loose_over_packed, "Foo", CLONED),
    (without_a_commit, "Foo", CLONED._replace(commit="")),
    (symbolic, "Foo", CLONED),
    (circle, "Foo", CLONED._replace(commit="")),
    (out_of_the_refs, "Foo", CLONED._replace(commit="")),
    (worktree, "Foo", CLONED),
    (submodule, "Foo", CLONED),
    (pointer_to_nothing, "Foo", UNKNOWN._replace(source="git")),
    (pointer_to_another_mount, "Foo", UNKNOWN._replace(source="git")),
    (commondir_on_another_mount, "Foo", UNKNOWN._replace(source="git")),
    (git_is_a_link_to_another_mount, "Foo", UNKNOWN._replace(source="git")),
    (project_is_a_link_to_another_mount, "Foo", UNKNOWN),
    (damaged_project, "Foo", CLONED._replace(requirements="requirements.txt")),
    (nested_project, "Foo", UNKNOWN),
    (huge_project, "Foo", UNKNOWN),
    (odd_project, "Foo", UNKNOWN),
    (odd_values, "Foo", UNKNOWN._replace(version="2.5.0")),
    (latin_project, "Foo", UNKNOWN._replace(name="comfyui-foo", version="1.2.0")),
    (disabled_by_name, "Foo.disabled", UNKNOWN._replace(enabled=False)),
    (disabled_by_folder, ".disabled/foo@1_0_2", Pack("foo", "foo", "unknown", False, "1.0.2")),
    (
        disabled_nightly,
        ".disabled/foo@nightly",
        Pack("comfyui-foo", "foo", "git", False, "", ONE, URL),
    ),
    (named_with_an_at, "me@home", Pack("me@home", "me@home", "unknown", True)),
]


@pytest.mark.parametrize(("make", "place", "pack"), FORMS, ids=[form[0].__name__ for form in FORMS])
def test_every_form_of_a_pack_is_known(
    make: Callable[[FakeFileSystem], None], place: str, pack: Pack
) -> None:
    files = FakeFileSystem()
    make(files)
    assert pack_at(files, place) == pack


def test_nothing_on_another_mount_is_touched() -> None:
    for make in (
        pointer_to_another_mount,
        commondir_on_another_mount,
        git_is_a_link_to_another_mount,
    ):
        files = FakeFileSystem()
        make(files)
        points = [mount.point for mount in files.mount_table[1:]]
        files.asked.clear()
        pack_at(files, "Foo")
        assert not [path for _, path in files.asked for point in points if path.startswith(point)]


def test_mount_point_inside_a_pack_is_not_even_stated() -> None:
    files = FakeFileSystem()
    write(files, "Foo", init="x")
    files.makedirs(node("Foo/.git"))
    files.mount_table.append(Mount(node("Foo/.git"), "nfs4", "nas:/git"))
    files.asked.clear()
    assert pack_at(files, "Foo").source == "git"
    assert not [path for _, path in files.asked if path.startswith(node("Foo/.git"))]


def test_pack_that_is_gone_has_no_record() -> None:
    files = FakeFileSystem()
    files.makedirs(TOP)
    assert read_pack(files, node("Foo"), is_directory=True) is None


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("list", "Foo"),
        ("list", "Foo/.git"),
        ("list", "Foo/.git/refs/heads"),
        ("open", "Foo/.git/HEAD"),
        ("open", "Foo/.git/config"),
        ("open", "Foo/.git/packed-refs"),
        ("open", "Foo/pyproject.toml"),
        ("stat", "Foo/.git"),
        ("stat", "Foo/pyproject.toml"),
    ],
)
def test_what_cannot_be_read_leaves_a_partial_record(operation: str, path: str) -> None:
    files = FakeFileSystem()
    packed(files)
    write(files, "Foo", project=project())
    files.makedirs(node("Foo/.git/refs/heads"))
    assert not pack_at(files, "Foo").is_partial
    files.faults[operation, node(path)] = errno.EIO
    assert pack_at(files, "Foo").is_partial
    files.faults[operation, node(path)] = errno.ENOENT
    if operation == "open":
        assert not pack_at(files, "Foo").is_partial


def test_packed_refs_are_read_in_pieces_and_no_further_than_their_limit() -> None:
    files = FakeFileSystem()
    packed(files)
    other = "".join(f"{TWO} refs/tags/{number:06}\n" for number in range(50_000))
    for text, commit in (
        (other + f"{ONE} refs/heads/main\n", ONE),
        (other + f"{ONE} refs/heads/main", ONE),
        (f"{ONE} refs/heads/main\r\n", ONE),
        ("x" * 200_000 + f"{ONE} refs/heads/main\n", ""),
        ("#\n" * (PACKED_REFS_LIMIT // 2) + f"{ONE} refs/heads/main\n", ""),
    ):
        write(files, "Foo", packed=text)
        assert pack_at(files, "Foo").commit == commit
    for text in (f"{ONE} refs/heads/main\n" + other, "x" * 10_000_000):
        write(files, "Foo", packed=text)
        files.bytes_read = 0
        pack_at(files, "Foo")
        assert files.bytes_read < 200_000


def test_large_files_are_not_read_whole() -> None:
    files = FakeFileSystem()
    write(files, "Foo", project=b"#" * (50 * PROJECT_LIMIT), head=b"x" * PROJECT_LIMIT)
    pack_at(files, "Foo")
    assert files.bytes_read < 2 * PROJECT_LIMIT


@pytest.mark.parametrize(
    ("version", "normal"),
    [
        ("2.5", "2.5.0"),
        ("1", "1.0.0"),
        ("1.2.3", "1.2.3"),
        ("01.2.3", "1.2.3"),
        ("1.2.3.rc1", "1.2.3-rc1"),
        ("1.0.0-beta", "1.0.0-beta"),
        ("v2.5", "v2.5"),
        ("", ""),
    ],
)
def test_versions_are_written_as_comfyui_manager_does(version: str, normal: str) -> None:
    assert normal_version(version) == normal


# With git itself


def git(*arguments: str, cwd: Path) -> str:
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "t"), ("EMAIL", "t@example.org"))
        },
    }
    command = ["git", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        [*command, *arguments], cwd=cwd, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def needs_git() -> None:
    if shutil.which("git") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("git is not installed")
        pytest.skip("git is not installed")


@pytest.fixture
def source(tmp_path: Path, needs_git: None) -> Path:
    """A repository with two commits, the first tagged `v1`."""
    folder = tmp_path / "source"
    folder.mkdir()
    git("init", cwd=folder)
    for version in ("1.0.0", "1.1.0"):
        (folder / "__init__.py").write_text(f"version = {version!r}\n")
        git("add", ".", cwd=folder)
        git("commit", "-m", version, cwd=folder)
        git("tag", "-a", f"v{version[2]}", "-m", version, cwd=folder)
    return folder


def head(folder: Path) -> str:
    return git("rev-parse", "HEAD", cwd=folder)


def on_disk(path: Path) -> Pack:
    found = read_pack(DiskFileSystem(), str(path), is_directory=True)
    assert found is not None
    return found


def test_commit_is_the_one_that_git_says(tmp_path: Path, source: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    clone = nodes / "clone"
    git("clone", str(source), str(clone), cwd=tmp_path)
    found = on_disk(clone)
    assert (found.commit, found.remote, found.source) == (head(clone), str(source), "git")
    assert found.id == "source"
    git("checkout", "--quiet", "v0", cwd=clone)
    assert on_disk(clone).commit == head(clone) != found.commit
    git("checkout", "--quiet", "-b", "deep/er/branch", cwd=clone)
    assert on_disk(clone).commit == head(clone)
    git("pack-refs", "--all", "--prune", cwd=clone)
    assert not (clone / ".git/refs/heads/deep").exists()
    assert on_disk(clone).commit == head(clone)
    git("worktree", "add", "--quiet", str(nodes / "tree"), "main", cwd=clone)
    found = on_disk(nodes / "tree")
    assert (found.commit, found.remote) == (head(nodes / "tree"), str(source))
    assert found.commit != head(clone)


def test_submodule_is_read_through_its_file(tmp_path: Path, source: Path) -> None:
    whole = tmp_path / "ComfyUI"
    whole.mkdir()
    git("init", cwd=whole)
    git("submodule", "--quiet", "add", str(source), "custom_nodes/foo", cwd=whole)
    pack = whole / "custom_nodes" / "foo"
    assert (pack / ".git").read_text().startswith("gitdir: ../")
    assert (on_disk(pack).commit, on_disk(pack).remote) == (head(pack), str(source))


def test_links_are_followed_as_the_system_does(tmp_path: Path, source: Path) -> None:
    """A relative gitdir is meant from where the pack really is, not from the link to it."""
    whole = tmp_path / "deep" / "down" / "ComfyUI"
    whole.mkdir(parents=True)
    git("init", cwd=whole)
    git("submodule", "--quiet", "add", str(source), "custom_nodes/foo", cwd=whole)
    pack = whole / "custom_nodes" / "foo"
    (tmp_path / "link").symlink_to(pack)
    found = on_disk(tmp_path / "link")
    assert (found.commit, found.name) == (head(pack), "link")


def test_linked_pack_is_at_home_on_the_mount_that_it_is_on(tmp_path: Path) -> None:
    (tmp_path / "disk" / "foo").mkdir(parents=True)
    (tmp_path / "disk" / "git").mkdir()
    (tmp_path / "disk" / "git" / "HEAD").write_text(ONE)
    (tmp_path / "disk" / "foo" / ".git").write_text("gitdir: ../git\n")
    (tmp_path / "foo").symlink_to(tmp_path / "disk" / "foo")

    class TwoDisks(DiskFileSystem):
        def mounts(self) -> list[Mount]:
            return [Mount("/", "ext4", "/dev/a"), Mount(str(tmp_path / "disk"), "ext4", "/dev/b")]

    found = read_pack(TwoDisks(), str(tmp_path / "foo"), is_directory=True)
    assert found is not None
    assert found.commit == ONE


def test_repository_without_a_commit_has_none(tmp_path: Path, needs_git: None) -> None:
    git("init", cwd=tmp_path)
    assert (on_disk(tmp_path).commit, on_disk(tmp_path).source) == ("", "git")


class Disk(DiskFileSystem):
    """The real disk, with clocks that can be moved."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0
        self.latency = 0.0

    def advance(self, seconds: float) -> None:
        self.ahead += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def now(self) -> int:
        return super().now() + int(self.ahead * 1e9)


def test_checkout_is_one_line_and_reading_writes_nothing(tmp_path: Path, source: Path) -> None:
    root = Root("custom_nodes", str(tmp_path / "nodes"))
    clone = Path(root.path) / "foo"
    clone.parent.mkdir()
    git("clone", str(source), str(clone), cwd=tmp_path)
    world = World(tmp_path, cast(FakeFileSystem, Disk()), (root,))
    world.scan()
    world.scan()
    old = head(clone)
    git("checkout", "--quiet", "v0", cwd=clone)
    before = {path: path.stat().st_mtime_ns for path in clone.rglob("*")}
    found = world.scan()
    assert {(line[0], os.path.basename(line[-1])) for line in found} == {
        ("modified", "__init__.py"),
        ("modified", "foo"),
    }
    (line,) = [line for line in world.lines if "pack" in line]
    assert line["pack"]["from"]["commit"] == old
    assert line["pack"]["to"]["commit"] == head(clone)
    assert log(world) == [f"pack foo updated: {old[:7]} -> {head(clone)[:7]}"]
    assert {path: path.stat().st_mtime_ns for path in clone.rglob("*")} == before
    disabled = clone.parent / ".disabled" / "source@nightly"
    disabled.parent.mkdir()
    clone.rename(disabled)
    world.scan()
    assert [line["kind"] for line in world.lines if "pack" in line] == ["moved"]
    assert log(world) == ["pack source disabled"]
    world.store.close()
