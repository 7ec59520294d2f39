"""A small model of ComfyUI's `folder_paths`, for tests without ComfyUI.

It has the functions that the panel's fast lists know, and walks as ComfyUI does: links are
followed, folders called `.git` are left out, and a remembered list holds as long as no folder has
another time.
`make comfyui` holds the panel against the real module.
"""

from __future__ import annotations

import os
import time

MODELS = {".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"}

folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}
walks: list[str] = []
"""The folders that were walked."""
_remembered: dict[str, tuple[list[str], dict[str, float], float]] = {}


def map_legacy(folder_name):
    return {"unet": "diffusion_models", "clip": "text_encoders"}.get(folder_name, folder_name)


def get_folder_paths(folder_name):
    return list(folder_names_and_paths[map_legacy(folder_name)][0])


def filter_files_extensions(files, extensions):
    return sorted(
        name for name in files if not extensions or os.path.splitext(name)[-1].lower() in extensions
    )


def recursive_search(directory, excluded_dir_names=None):
    walks.append(directory)
    names: list[str] = []
    times: dict[str, float] = {}
    if not os.path.isdir(directory):
        return names, times
    times[directory] = os.path.getmtime(directory)
    for folder, folders, files in os.walk(directory, followlinks=True):
        folders[:] = [name for name in folders if name not in (excluded_dir_names or ())]
        names += [os.path.relpath(os.path.join(folder, name), directory) for name in files]
        for name in folders:
            path = os.path.join(folder, name)
            times[path] = os.path.getmtime(path)
    return names, times


def get_filename_list_(folder_name):
    found, times = set(), {}
    folders, extensions = folder_names_and_paths[map_legacy(folder_name)]
    for folder in folders:
        names, more = recursive_search(folder, excluded_dir_names=[".git"])
        found.update(filter_files_extensions(names, extensions))
        times.update(more)
    return sorted(found), times, time.perf_counter()


def cached_filename_list_(folder_name):
    known = _remembered.get(map_legacy(folder_name))
    if known and all(os.path.getmtime(path) == at for path, at in known[1].items()):
        return known
    return None


def get_filename_list(folder_name):
    answer = cached_filename_list_(folder_name)
    if answer is None:
        answer = get_filename_list_(folder_name)
        _remembered[map_legacy(folder_name)] = answer
    return list(answer[0])
