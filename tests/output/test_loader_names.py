"""`name` and `shadowed_by` are what ComfyUI's loaders list and load: against its own way to search
folders, written down here, on random installations on a real disk."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from scanner.comfyui.installation import find_roots
from scanner.core.model_names import is_listed
from scanner.core.roots import Root, SearchedFolder
from scanner.core.serialize import raw_text
from scanner.core.snapshot import Directory, Snapshot
from scanner.output.inventory_reader import read_entries, read_header
from scanner.output.inventory_view import InventoryView, RootView
from scanner.output.inventory_writer import InventoryWriter, write_inventory
from scanner.schemas import load_schema
from scanner.settings.schema import Settings
from tests.support.build import directory_of, file_row, folder_row
from tests.support.real_worlds import listed

SCHEMA = Draft202012Validator(load_schema("inventory"))
MODELS = {".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"}


class Comfy:
    """The lists of folders in ComfyUI's folder_paths.py, for some of its categories."""

    def __init__(self, top: Path) -> None:
        models = top / "ComfyUI" / "models"
        self.lists: dict[str, tuple[list[str], set[str]]] = {}
        for category, folders, endings in (
            ("checkpoints", ["checkpoints"], MODELS),
            ("loras", ["loras"], MODELS),
            ("vae", ["vae"], MODELS),
            ("text_encoders", ["text_encoders", "clip"], MODELS),
            ("diffusion_models", ["unet", "diffusion_models"], MODELS),
            ("controlnet", ["controlnet", "t2i_adapter"], MODELS),
            ("configs", ["configs"], {".yaml"}),
            ("classifiers", ["classifiers"], {""}),
        ):
            self.lists[category] = ([str(models / folder) for folder in folders], endings)

    def add(self, category: str, path: str, is_default: bool) -> None:
        category = {"unet": "diffusion_models", "clip": "text_encoders"}.get(category, category)
        paths = self.lists.setdefault(category, ([], set()))[0]
        if path in paths:
            if is_default and paths[0] != path:
                paths.remove(path)
                paths.insert(0, path)
        elif is_default:
            paths.insert(0, path)
        else:
            paths.append(path)

    def names(self, category: str) -> set[str]:
        """What its loader lists, without links that lead nowhere."""
        folders, endings = self.lists[category]
        found = set()
        for top in folders:
            for folder, below, files in os.walk(top, followlinks=True):
                below[:] = [name for name in below if name != ".git"]
                found |= {os.path.relpath(os.path.join(folder, name), top) for name in files}
        return {
            name
            for name in found
            if (not endings or os.path.splitext(name)[1].lower() in endings)
            and self.path(category, name)
        }

    def path(self, category: str, name: str) -> str:
        """The file that it loads."""
        paths = (os.path.join(folder, name) for folder in self.lists[category][0])
        return next(filter(os.path.isfile, paths), "")


def view(top: Path) -> InventoryView:
    roots = find_roots(
        Settings(comfy_root=top / "ComfyUI"), cwd=str(top), home=str(top), environ={}
    ).roots
    snapshot: Snapshot = {}
    for root in roots:
        if os.path.isdir(root.path):
            snapshot.update(listed(Path(root.path)))
    views = [RootView(root, "online", 1, "ext4") for root in roots]
    return InventoryView(1, 1, str(top), views, (), snapshot)


def check(inventory: Path, top: Path, comfy: Comfy) -> None:
    """Compare names and shadows with what ComfyUI lists and loads."""
    names: dict[str, set[str]] = defaultdict(set)
    shadowed = 0
    for entry in read_entries(inventory):
        if "name" not in entry:
            assert "shadowed_by" not in entry
            continue
        category, name = entry["category"], raw_text(entry, "name")
        names[category].add(name)
        loaded, path = comfy.path(category, name), top / raw_text(entry, "path")
        if "shadowed_by" in entry:
            shadowed += 1
            assert str(top / raw_text(entry, "shadowed_by")) == loaded
            assert not os.path.samefile(path, loaded)
        else:
            assert os.path.samefile(path, loaded), (entry, loaded)
    assert dict(names) == {c: found for c in comfy.lists if (found := comfy.names(c))}
    header = read_header(inventory)
    assert header is not None
    assert header["totals"]["shadowed"] == shadowed


FILES = [
    *("a.safetensors", "b.CKPT", "c.txt", "d.yaml", "e", ".pt", "..bin", ".f.sft", "g.gguf"),
    *('h".pt', "i\u00e9.safetensors", "j.safetensors.png", "k\udcff.pth"),
]
FOLDERS = [
    *("loras", "unet", "diffusion_models", "clip", "text_encoders", "t2i_adapter", "controlnet"),
    *("vae", "checkpoints", "configs", "classifiers"),
]


def write_yaml(top: Path, dice: random.Random, comfy: Comfy, folders: list[str]) -> None:
    lines = []
    for section in range(3):
        base = dice.choice(["ComfyUI/models", "nas/a", "nas/b"])
        is_default = dice.random() < 0.5
        lines += [f"s{section}:", f"  base_path: {top / base}"]
        lines += [f"  is_default: {str(is_default).lower()}"] * (is_default or dice.random() < 0.5)
        names = dice.sample(folders, 3)
        for category, name in {{"t2i_adapter": "controlnet"}.get(n, n): n for n in names}.items():
            lines.append(f"  {category}: {name}")
            comfy.add(category, str(top / base / name), is_default)
    (top / "ComfyUI" / "extra_model_paths.yaml").write_text("\n".join(lines) + "\n")
    for name in ("checkpoints", "clip", "vae", "diffusion_models", "loras"):
        comfy.add(name, str(top / "ComfyUI" / "output" / name), False)


def grow(top: Path, dice: random.Random, edits: int, kinds: list[str], folders: list[str]) -> None:
    """Make random files, links and hard links in folders of categories, and remove some."""
    bases = [top / base for base in ("ComfyUI/models", "nas/a", "nas/b", "ComfyUI/output")]
    for _ in range(edits):
        folder = dice.choice(bases) / dice.choice(folders)
        folder /= dice.choice([".", ".", ".", ".", ".", "sub", "sub/.git/x", 'od"d'])
        files = [path for base in bases for path in base.rglob("*") if path.is_file()]
        # What no root holds has names that are not known here.
        known = [path for path in files if path.is_relative_to(top / "ComfyUI")]
        new = folder / dice.choice(FILES)
        kind = dice.choice(["file", "file", "file", "away", *kinds])
        if kind == "away" and files:
            dice.choice(files).unlink()
            continue
        folder.mkdir(parents=True, exist_ok=True)
        if new.is_symlink() or new.exists():
            continue
        if kind == "link" and known:
            new.symlink_to(dice.choice(known))
        elif kind == "hard" and known:
            os.link(os.path.realpath(dice.choice(known)), new)
        elif kind == "folder link":
            door = folder / "door"
            target = top / "ComfyUI" / "input" / dice.choice("xy")
            if not door.is_symlink():
                door.symlink_to(target)
        else:
            new.write_bytes(b"x" * dice.randrange(1, 1000))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for folder in ("ComfyUI/models", "ComfyUI/output", "nas/a", "nas/b"):
        (tmp_path / "top" / folder).mkdir(parents=True)
    for folder in "xy":
        shared = tmp_path / "top" / "ComfyUI" / "input" / folder
        shared.mkdir(parents=True)
        for name in FILES[:6]:
            (shared / name).write_bytes(folder.encode())
    return tmp_path / "top"


@pytest.mark.parametrize("seed", range(30))
def test_names_and_shadows_are_what_comfyui_lists_and_loads(top: Path, seed: int) -> None:
    dice = random.Random(seed)
    comfy = Comfy(top)
    folders = dice.sample(FOLDERS, 5)
    write_yaml(top, dice, comfy, folders)
    inventory, whole = top.parent / "i.json", top.parent / "whole.json"
    writer = InventoryWriter(inventory)
    for edits in (100, 1, 2, 3, 10):
        grow(top, dice, edits, ["link", "hard", "folder link"] if seed % 2 else [], folders)
        now = view(top)
        writer.write(now)
        check(inventory, top, comfy)
        write_inventory(whole, now)
        assert inventory.read_bytes() == whole.read_bytes()


TOP = Path("/srv/ComfyUI")
OWN = Root("models", str(TOP / "models"), searched=(SearchedFolder(str(TOP / "models"), 0),))
NAS = Root("models", "/nas/loras", "loras", "e.yaml", (SearchedFolder("/nas/loras", 20, "e.yaml"),))


def written(
    path: Path, snapshot: dict[str, Directory], *roots: Root, writer: InventoryWriter | None = None
) -> dict[str, dict]:
    """The entries by path. Checks that they follow the schema."""
    views = [RootView(root, "online", 1, "ext4") for root in roots]
    inventory = InventoryView(1, 1, None, views, (), dict(snapshot))
    (writer or InventoryWriter(path)).write(inventory)
    SCHEMA.validate(orjson.loads(path.read_bytes()))
    return {entry["path"]: entry for entry in read_entries(path)}


def folders(tree: dict[str, list[str]]) -> dict[str, Directory]:
    """Directories by path, each with the names of its files; those of folders end with a slash."""
    return {
        path: directory_of(
            *(folder_row(n[:-1]) if n.endswith("/") else file_row(n) for n in names), mtime=1
        )
        for path, names in tree.items()
    }


def shadows(entries: dict[str, dict]) -> dict[str, str]:
    return {path: e["shadowed_by"] for path, e in entries.items() if "shadowed_by" in e}


@pytest.mark.parametrize(
    ("first", "second"),
    [("unet", "diffusion_models"), ("text_encoders", "clip"), ("controlnet", "t2i_adapter")],
)
@pytest.mark.parametrize("root", [OWN, Root("models", OWN.path)])
def test_comfyui_searches_its_own_folders_in_its_order(tmp_path, first, second, root) -> None:
    """Also those of a models folder on a NAS, which no ComfyUI here knows."""
    top = OWN.path
    entries = written(
        tmp_path / "i.json",
        folders(
            {
                top: [f"{first}/", f"{second}/"],
                f"{top}/{first}": ["sub/"],
                f"{top}/{second}": ["sub/"],
                f"{top}/{first}/sub": ["a.sft"],
                f"{top}/{second}/sub": ["a.sft", "b.sft"],
            }
        ),
        root,
    )
    assert shadows(entries) == {f"{top}/{second}/sub/a.sft": f"{top}/{first}/sub/a.sft"}
    assert entries[f"{top}/{second}/sub/b.sft"]["name"] == "sub/b.sft"


def test_folders_that_comfyui_does_not_search_shadow_nothing(tmp_path) -> None:
    alone = Root("models", "/usb/models")
    entries = written(
        tmp_path / "i.json",
        folders(
            {
                OWN.path: ["loras/"],
                f"{OWN.path}/loras": ["a.pt"],
                "/usb/models": ["loras/"],
                "/usb/models/loras": ["a.pt"],
                "/nas/loras": ["a.pt"],
            }
        ),
        *(OWN, NAS, alone),
    )
    assert shadows(entries) == {"/nas/loras/a.pt": f"{OWN.path}/loras/a.pt"}
    assert entries["/usb/models/loras/a.pt"]["name"] == "a.pt"


def test_a_file_that_comes_renews_the_lines_of_the_folder_that_it_shadows(tmp_path) -> None:
    tree = {
        OWN.path: ["loras/", "vae/"],
        f"{OWN.path}/vae": ["a.pt"],
        f"{OWN.path}/loras": ["b.pt"],
        "/nas/loras": ["a.pt", "sub/"],
        "/nas/loras/sub": ["b.pt"],
    }
    writer = InventoryWriter(tmp_path / "i.json")
    here, nas = f"{OWN.path}/loras/a.pt", "/nas/loras/a.pt"
    snapshot = folders(tree)
    for names, expected in (
        (["b.pt"], {}),
        (["a.pt", "b.pt"], {nas: here}),
        (["a.pt", "b.pt", "c.pt"], {nas: here}),
        (["b.pt"], {}),
    ):
        snapshot = snapshot | folders({f"{OWN.path}/loras": names})
        assert shadows(written(tmp_path / "i.json", snapshot, OWN, NAS, writer=writer)) == expected
        assert writer.totals["shadowed"] == len(expected)
    assert writer.copied


def test_another_order_is_written_although_no_file_changed(tmp_path) -> None:
    tree = {
        OWN.path: ["loras/"],
        f"{OWN.path}/loras": ["a.pt"],
        "/nas/loras": ["a.pt"],
    }
    writer = InventoryWriter(tmp_path / "i.json")
    here, nas = f"{OWN.path}/loras/a.pt", "/nas/loras/a.pt"
    first = replace(NAS, searched=(SearchedFolder(NAS.path, -20, "e.yaml"),))
    for root, expected in ((NAS, {nas: here}), (first, {here: nas})):
        entries = written(tmp_path / "i.json", folders(tree), OWN, root, writer=writer)
        assert shadows(entries) == expected


def test_models_of_diffusers_are_folders(tmp_path) -> None:
    top, nas = f"{OWN.path}/diffusers", "/nas/diffusers"
    away = Root("models", nas, "diffusers", "e.yaml", (SearchedFolder(nas, 20, "e.yaml"),))
    tree = {
        OWN.path: ["diffusers/"],
        top: ["sd/", "plain/", "a.safetensors"],
        f"{top}/sd": ["model_index.json", "unet/"],
        f"{top}/sd/unet": ["b.safetensors"],
        f"{top}/plain": ["b.safetensors"],
        nas: ["sd/", "plain/", "own/"],
        f"{nas}/sd": ["model_index.json"],
        f"{nas}/plain": ["model_index.json"],
        f"{nas}/own": [],
    }
    writer = InventoryWriter(tmp_path / "i.json")
    snapshot = folders(tree)
    entries = written(tmp_path / "i.json", snapshot, OWN, away, writer=writer)
    assert {path: entry["name"] for path, entry in entries.items() if "name" in entry} == {
        f"{top}/sd": "sd",
        f"{nas}/sd": "sd",
        f"{nas}/plain": "plain",
    }
    # DiffusersLoader takes the first folder of the name, whether it is a model or not.
    assert shadows(entries) == {f"{nas}/sd": f"{top}/sd", f"{nas}/plain": f"{top}/plain"}
    snapshot |= folders({f"{nas}/plain": [], f"{nas}/own": ["model_index.json"]})
    entries = written(tmp_path / "i.json", snapshot, OWN, away, writer=writer)
    assert shadows(entries) == {f"{nas}/sd": f"{top}/sd"}
    assert entries[f"{nas}/own"]["name"] == "own"


@pytest.mark.parametrize(
    ("category", "name", "expected"),
    [
        ("loras", "a.safetensors", True),
        ("loras", "A.SafeTensors", True),
        ("loras", ".safetensors", False),
        ("loras", "..ckpt", False),
        ("loras", ".a.ckpt", True),
        ("loras", "a.gguf", False),
        ("loras", "a", False),
        ("configs", "a.yaml", True),
        ("configs", "a.safetensors", False),
        ("classifiers", "a", True),
        ("classifiers", ".a", True),
        ("classifiers", "a.b", False),
        ("diffusers", "a.safetensors", False),
        ("fonts", "a.TTF", True),
        ("LLM", "a.txt", True),
    ],
)
def test_a_loader_lists_files_by_their_endings(tmp_path, category, name, expected) -> None:
    assert is_listed(category, name) is expected
    top = f"{OWN.path}/{category}"
    for names in ([name], [name, 'quoted"']):
        entries = written(
            tmp_path / "i.json", folders({OWN.path: [f"{category}/"], top: names}), OWN
        )
        assert entries[f"{top}/{name}"].get("name") == (name if expected else None)
