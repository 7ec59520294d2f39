"""What readers see of paths and times is valid everywhere and can be turned back exactly."""

import ntpath
import os
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scanner.core import paths as core_paths
from scanner.core import serialize as portable
from scanner.core.serialize import (
    is_utf8,
    mtime_fields,
    mtime_of,
    native,
    path_fields,
    raw_text,
    readable,
    shown,
    text_fields,
    time_ns,
    time_text,
)
from tests.support.names import TOP, names

YEAR_1 = -62_135_596_800 * 10**9
YEAR_10000 = 253_402_300_800 * 10**9

posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX paths")

paths = st.lists(names, min_size=0, max_size=5).map(lambda parts: os.path.join(TOP, *parts))


@posix_only
@pytest.mark.parametrize(
    ("path", "base", "expected"),
    [
        ("/home/u/ComfyUI/models/a.ckpt", "/home/u", "ComfyUI/models/a.ckpt"),
        ("/home/u", "/home/u", "."),
        ("/home/user2/x", "/home/u", "/home/user2/x"),
        ("/mnt/nas/x", "/home/u", "/mnt/nas/x"),
        ("/mnt/nas/x", None, "/mnt/nas/x"),
        ("/mnt/nas/x", "/", "mnt/nas/x"),
        ("/", "/", "."),
        ("/h/back\\slash", "/h", "back\\slash"),
        ("/h/new\nline \U0001f600", "/h", "new\nline \U0001f600"),
        ("/h/gro\udcdf", "/h", "gro\ufffd"),
    ],
)
def test_shown(path, base, expected):
    assert shown(path, base) == expected


@posix_only
def test_bytes_that_are_not_utf8_are_kept_beside_the_readable_path():
    fields = path_fields("/h/gro\udcdf/\u00e9", "/h")
    assert fields == {"path": "gro\ufffd/\u00e9", "path_b64": "Z3Jv3y/DqQ=="}
    assert path_fields("/x/\udcff", None, "from") == {"from": "/x/\ufffd", "from_b64": "L3gv/w=="}
    assert path_fields("/h/\u00e9", "/h") == {"path": "\u00e9"}


@given(paths, st.sampled_from([None, TOP, os.path.join(TOP, "a"), os.sep]))
def test_native_is_the_inverse_of_path_fields(path, base):
    fields = orjson.loads(orjson.dumps(path_fields(path, base, "from")))
    assert native(fields, base, "from") == path


@given(names)
def test_any_text_survives(name):
    fields = orjson.loads(orjson.dumps(text_fields(name, "target")))
    assert raw_text(fields, "target") == name
    assert is_utf8(name) == ("target_b64" not in fields)
    assert readable(name) == fields["target"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"path": ""},
        {"path": 3},
        {"path": None},
        {"path": "relative"},
        {"path": "/a", "path_b64": "***"},
        {"path": "/a", "path_b64": "abc"},
        {"path": "/a", "path_b64": 3},
    ],
)
def test_damaged_fields_are_a_value_error(fields):
    with pytest.raises(ValueError, match="path"):
        native(fields, None)


def test_windows_paths(monkeypatch):
    windows = SimpleNamespace(sep="\\", path=ntpath, fsencode=os.fsencode, fsdecode=os.fsdecode)
    monkeypatch.setattr(portable, "os", windows)
    monkeypatch.setattr(core_paths, "os", windows)
    for path, base, expected in [
        ("C:\\ai\\ComfyUI\\models\\a", "C:\\ai", "ComfyUI/models/a"),
        ("C:\\ComfyUI\\models", "C:\\", "ComfyUI/models"),
        ("D:\\models\\a", "C:\\ai", "D:/models/a"),
        ("\\\\nas\\share\\x", "C:\\ai", "//nas/share/x"),
        ("C:\\ai", "C:\\ai", "."),
    ]:
        assert shown(path, base) == expected
        assert native(path_fields(path, base), base) == path


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (951_782_400 * 10**9, "2000-02-29T00:00:00.000000000Z"),
        (YEAR_1, "0001-01-01T00:00:00.000000000Z"),
        (YEAR_10000 - 1, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_are_exact(ns, text):
    assert time_text(ns) == text
    assert time_ns(text) == ns
    assert mtime_fields(ns) == {"mtime": text}


@given(st.integers(YEAR_1, YEAR_10000 - 1), st.integers(YEAR_1, YEAR_10000 - 1))
def test_times_come_back_and_sort_as_text(one, other):
    first, second = time_text(one), time_text(other)
    assert first is not None and second is not None
    assert time_ns(first) == one
    assert (first < second) == (one < other)


@given(st.integers(-(2**63), 2**63 - 1))
@example(YEAR_1 - 1)
@example(YEAR_10000)
def test_every_mtime_survives(ns):
    fields = mtime_fields(ns)
    assert mtime_of(fields) == ns
    assert (time_text(ns) is None) == (list(fields) == ["mtime_ns"])


@given(st.integers(max_value=YEAR_1 - 1) | st.integers(min_value=YEAR_10000))
def test_no_text_outside_years_1_to_9999(ns):
    assert time_text(ns) is None
    assert mtime_fields(ns) == {"mtime_ns": str(ns)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2023-11-14",
        "2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20.123Z",
        "2023-11-14T24:00:00.000000000Z",
        "2023-02-30T00:00:00.000000000Z",
        "2023-11-14T22:13:60.000000000Z",
        "2023-11-14T22:13:20.123456789",
        "2023-11-14T22:13:20.123456789Z\n",
        "\u0662023-11-14T22:13:20.123456789Z",
    ],
)
def test_other_texts_are_no_times(text):
    with pytest.raises(ValueError):
        time_ns(text)


@pytest.mark.parametrize(
    "fields", [{"mtime": 3}, {"mtime": "x"}, {"mtime_ns": 3}, {"mtime_ns": ""}]
)
def test_damaged_mtimes_are_a_value_error(fields):
    with pytest.raises(ValueError):
        mtime_of(fields)
