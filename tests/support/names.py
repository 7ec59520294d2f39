"""Names as file systems really hold them, for property tests."""

import os

from hypothesis import strategies as st

TOP = os.path.abspath(os.sep + "srv")

_AWKWARD = [
    "a",
    "a b",
    "a!",
    "a.b",
    "new\nline",
    "carriage\rreturn",
    'quote"',
    'comma","',
    "back\\slash",
    "\u2028",
    "e\u0301",
    "\u00e9",
    "\uff21",  # sorts after surrogates and before U+FFFD
    "\U0001f600",
    "-",
    "~",
    " ",
]
_INVALID = [b"\xff", b"gro\xdf", b"\xf0\x9f\x98", b"\xc3", b"a\x80b", b"\xed\xa0\x80"]


def _is_name(name: str) -> bool:
    return bool(name) and name not in (".", "..") and "\0" not in name and os.sep not in name


if os.name == "nt":
    names = st.sampled_from(["a", "a b", "a!", "\u00e9", "\U0001f600"])
else:
    names = (
        st.sampled_from(_AWKWARD)
        | st.sampled_from(_INVALID).map(os.fsdecode)
        | st.binary(min_size=1, max_size=6).map(os.fsdecode)
    ).filter(_is_name)
"""Any name of one component, often an awkward one; bytes that are not UTF-8 as os gives them."""
