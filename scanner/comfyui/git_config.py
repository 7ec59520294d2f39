"""git's configuration file: remotes, and URLs without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST_TEXT = 500
"""Characters kept of what a pack says of itself."""


def one_line(value: object) -> str:
    """One line of what a file says; empty for anything but texts and numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).split())[:LONGEST_TEXT]


_URL = re.compile(r"((?:.*::)?([A-Za-z][A-Za-z0-9+.-]*)://)([^/?#]*)(.*)", re.DOTALL)


def stored_url(text: str) -> str:
    """A URL as it is kept. Cut to length only when nothing is left in it that must not stay."""
    return one_line(without_credentials(text))


def without_credentials(url: str) -> str:
    """`url` without user name, password and query: either may be a secret, since access tokens are
    written as user names, passwords or parameters. Of ssh the user name stays: it is part of the
    address."""
    found = _URL.match(url)
    if found is None:
        user, at, rest = url.partition("@")
        is_path = "/" in user or re.match(r"[A-Za-z]:[\\/]", url)
        return rest if at and ":" in user and not is_path else url
    scheme, authority, path = found[1], found[3], found[4]
    if ":" in authority and "@" not in authority and "@" in path:
        # A password with a slash or the like that nobody escaped: the host follows the last @.
        authority, slash, path = path.rpartition("@")[2].partition("/")
        path = slash + path
    user, at, host = authority.rpartition("@")
    kept = user.partition(":")[0] + at if "ssh" in found[2].lower() else ""
    return scheme + kept + host + re.split(r"[?#]", path)[0]


_SECTION = re.compile(r'\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]\s*')

_VARIABLE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*)", re.DOTALL)


def git_remotes(config: str) -> dict[str, str]:
    """URL by name of the remotes in git's configuration file (git-config(1)), in its order and
    without credentials; of several URLs of a remote the first, from which git fetches."""
    remotes: dict[str, str] = {}
    remote = ""
    for line in _logical_lines(config):
        section = _SECTION.match(line)
        if section is not None:
            remote = _remote_name(section[1], section[2])
        variable = _VARIABLE.match(line, section.end() if section is not None else 0)
        if remote and variable is not None and variable[1].lower() == "url":
            url = stored_url(_value(variable[2]))
            if url:
                remotes.setdefault(remote, url)
    return remotes


def _logical_lines(config: str) -> Iterator[str]:
    """The lines without leading blanks; one that ends in an odd backslash goes on in the next."""
    begun = ""
    for part in config.split("\n"):
        line = begun + part.removesuffix("\r")
        begun = ""
        is_comment = line.lstrip().startswith(("#", ";"))
        if not is_comment and (len(line) - len(line.rstrip("\\"))) % 2:
            begun = line[:-1]
        else:
            yield line.lstrip()
    yield begun.lstrip()


def _remote_name(section: str, sub: str | None) -> str:
    """The remote that a section is about: `[remote "origin"]`, or as it once was `[remote.origin]`;
    empty for other sections."""
    if sub is not None:
        return re.sub(r"\\(.)", r"\1", sub) if section.lower() == "remote" else ""
    head, _, name = section.partition(".")
    return name.lower() if head.lower() == "remote" else ""


def _value(text: str) -> str:
    """A value without quotes, escapes and the comment behind it."""
    value, quoted, index = "", False, 0
    while index < len(text):
        letter = text[index]
        if letter == "\\" and index + 1 < len(text):
            index += 1
            value += {"n": "\n", "t": "\t", "b": ""}.get(text[index], text[index])
        elif letter == '"':
            quoted = not quoted
        elif letter in "#;" and not quoted:
            break
        else:
            value += letter
        index += 1
    return value.strip()
