"""git's configuration file: remotes, and URLs without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST_TEXT = 500
"""Most characters kept of a text from the files of a pack."""


def one_line(value: object) -> str:
    """A text or number from a file as one line; empty for values of other types."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).split())[:LONGEST_TEXT]


_URL = re.compile(r"((?:.*::)?([A-Za-z][A-Za-z0-9+.-]*)://)([^/?#]*)(.*)", re.DOTALL)


def stored_url(text: str) -> str:
    """A URL as one line without credentials. It is cut to length after they are removed."""
    return one_line(without_credentials(text))


def without_credentials(url: str) -> str:
    """`url` without user name, password and query.

    Each of them may be a secret, because access tokens are used as user names, passwords or
    parameters. The user name of ssh stays, because it is part of the address.
    """
    match = _URL.match(url)
    if match is None:
        user, at, rest = url.partition("@")
        is_path = "/" in user or re.match(r"[A-Za-z]:[\\/]", url)
        return rest if at and ":" in user and not is_path else url
    scheme, authority, path = match[1], match[3], match[4]
    if ":" in authority and "@" not in authority and "@" in path:
        # An unescaped slash or the like in a password: the host follows the last @.
        authority, slash, path = path.rpartition("@")[2].partition("/")
        path = slash + path
    user, at, host = authority.rpartition("@")
    kept = user.partition(":")[0] + at if "ssh" in match[2].lower() else ""
    return scheme + kept + host + re.split(r"[?#]", path)[0]


_SECTION = re.compile(r'\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]\s*')

_VARIABLE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*)", re.DOTALL)


def git_remotes(config: str) -> dict[str, str]:
    """URL by name of the remotes in git's configuration file (git-config(1)), in its order.

    URLs have no credentials. If a remote has several URLs, the first one is taken, because git
    fetches from it.
    """
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
    """The lines without leading blanks. A line with an odd backslash at its end is continued."""
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
    """The remote of a section: `[remote "origin"]`, or in the older form `[remote.origin]`.

    Empty for other sections.
    """
    if sub is not None:
        return re.sub(r"\\(.)", r"\1", sub) if section.lower() == "remote" else ""
    head, _, name = section.partition(".")
    return name.lower() if head.lower() == "remote" else ""


def _value(text: str) -> str:
    """A value without quotes, escapes and the comment after it."""
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
