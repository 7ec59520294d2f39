"""What people ask of a fleet, in SQL that DuckDB and PostgreSQL share.

`$name` is a parameter. A file counts once for each storage that holds it, whatever the number of
hosts that mount this storage.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FILES = "(e.type = 'file' OR e.leads_to = 'file') AND e.alias_of IS NULL"

_LIKE = "LIKE lower(${0}) ESCAPE '!'"
"""The database makes both sides small letters: what these are differs from that of Python."""


class Question(NamedTuple):
    """A query and its parameters."""

    sql: str
    parameters: dict[str, object]


def like(pattern: str) -> str:
    """A glob with * and ? as a pattern of LIKE, whose escape is `!`. Capitals do not matter."""
    text = re.sub(r"([%_!])", r"!\1", pattern)
    return text.replace("*", "%").replace("?", "_")


def where(wanted: str) -> Question:
    """The files that `wanted` names: a name, a path, a pattern or a hash."""
    text = wanted.replace("\\", "/").strip("/")
    patterns = {"pattern": like(text)}
    if text != wanted.strip("/"):  # a file of Linux may have a backslash in its name
        patterns["typed"] = like(wanted.strip("/"))
    named = " OR ".join(
        f"lower(e.name) {_LIKE.format(name)} OR lower(e.path) {_LIKE.format(name)} "
        f"OR lower(e.path) LIKE '%/' || lower(${name}) ESCAPE '!'"
        for name in patterns
    )
    is_hash = bool(re.fullmatch(r"[0-9a-fA-F]{10,64}", text))
    if is_hash:
        named += " OR e.sha256 LIKE $hash OR e.hash LIKE $hash OR e.autov3 LIKE $hash"
    return Question(
        f"""
        SELECT e.host, e.category, e.name, e.size, e.status, e.path, e.storage, r.state
        FROM entries e LEFT JOIN roots r ON r.host = e.host AND r.root = e.root
        WHERE {_FILES} AND ({named})
        ORDER BY e.size DESC, e.storage, e.path, e.host
        """,
        {**patterns, **({"hash": text.lower() + "%"} if is_hash else {})},
    )


def missing(of: str, on: str | None, category: str | None) -> Question:
    """The models that `of` has and other hosts lack, by category and name.

    `held_as`: where such a host has the same content under another name.
    """
    chosen = " AND h.host = $on" if on else ""
    within = f" AND lower(m.category) {_LIKE.format('category')}" if category else ""
    parameters: dict[str, object] = {"of": of}
    if on:
        parameters["on"] = on
    if category:
        parameters["category"] = like(category)
    return Question(
        f"""
        WITH m AS (
            -- The one that ComfyUI takes, where several folders have the name.
            SELECT DISTINCT ON (e.category, e.name) e.category, e.name, e.size, e.fingerprint
            FROM entries e
            WHERE e.host = $of AND e.name IS NOT NULL AND e.category IS NOT NULL
                AND (e.type = 'file' OR e.leads_to = 'file')
            ORDER BY e.category, e.name, e.shadowed_by NULLS FIRST, e.path
        ), same AS (
            SELECT e.host, e.size, e.fingerprint, min(e.path) AS path
            FROM entries e
            WHERE {_FILES} AND e.fingerprint IN (SELECT m.fingerprint FROM m) AND e.size > 0
            GROUP BY e.host, e.size, e.fingerprint
        ), has AS (
            SELECT DISTINCT e.host, e.category, e.name FROM entries e
            WHERE e.name IN (SELECT m.name FROM m) AND (e.type = 'file' OR e.leads_to = 'file')
        )
        SELECT h.host, m.category, m.name, m.size, same.path AS held_as
        FROM m CROSS JOIN hosts h
        LEFT JOIN has ON has.host = h.host AND has.category = m.category AND has.name = m.name
        LEFT JOIN same ON same.host = h.host AND same.size = m.size
            AND same.fingerprint = m.fingerprint
        WHERE h.host <> $of AND has.host IS NULL{chosen}{within}
        ORDER BY h.host, m.category, m.name
        """,
        parameters,
    )


def duplicates(least: int) -> Question:
    """Files of the same content on more than one storage, a row for each storage's copy.

    The same content: equal size and fingerprint, and where two of them were hashed equal hashes.
    `proven`: all of them were hashed.
    """
    return Question(
        f"""
        WITH stored AS (
            SELECT e.storage, e.storage_path, e.size, e.fingerprint, max(e.hash) AS hash,
                max(e.sha256) AS sha256, min(e.path) AS path,
                string_agg(DISTINCT e.host, ', ' ORDER BY e.host) AS hosts
            FROM entries e
            WHERE {_FILES} AND e.fingerprint IS NOT NULL AND e.size >= $least AND e.size > 0
            GROUP BY e.storage, e.storage_path, e.size, e.fingerprint
        ), alike AS (
            SELECT s.size, s.fingerprint,
                CASE WHEN count(DISTINCT s.hash) > 1 OR count(DISTINCT s.sha256) > 1
                    THEN 1 ELSE 0 END AS differ
            FROM stored s GROUP BY s.size, s.fingerprint
        ), keyed AS (
            SELECT s.storage, s.storage_path, s.size, s.fingerprint, s.path, s.hosts,
                CASE WHEN a.differ = 1 THEN coalesce(s.sha256, s.hash) ELSE '' END AS content,
                s.hash, s.sha256
            FROM stored s JOIN alike a ON a.size = s.size AND a.fingerprint = s.fingerprint
        ), sets AS (
            SELECT k.size, k.fingerprint, k.content, count(*) AS copies,
                count(DISTINCT k.storage) AS storages,
                CASE WHEN (count(k.sha256) = count(*) AND count(DISTINCT k.sha256) = 1)
                    OR (count(k.hash) = count(*) AND count(DISTINCT k.hash) = 1)
                    THEN true ELSE false END AS proven
            FROM keyed k WHERE k.content IS NOT NULL
            GROUP BY k.size, k.fingerprint, k.content
        )
        SELECT s.size, s.fingerprint, s.copies, s.proven, k.hosts, k.storage, k.path,
            s.size * (s.copies - 1) AS wasted, k.content
        FROM sets s JOIN keyed k ON k.size = s.size AND k.fingerprint = s.fingerprint
            AND k.content = s.content
        WHERE s.storages > 1
        ORDER BY wasted DESC, s.size DESC, s.fingerprint, k.content, k.storage, k.path
        """,
        {"least": least},
    )


def changes(since: str, host: str | None) -> Question:
    """The lines of the change lists since a time, oldest first."""
    chosen = " AND c.host = $host" if host else ""
    return Question(
        f"""
        SELECT c.time, c.host, c.kind, c.type, c.path, c.from_path, c.size, c.files, c.bytes,
            c.root, c.scan, c.n
        FROM changes c WHERE c.time >= $since{chosen}
        ORDER BY c.time, c.host, c.scan, c.n
        """,
        {"since": since, **({"host": host} if host else {})},
    )


TOTALS = """
    SELECT e.host, count(*) AS files, CAST(sum(e.size) AS BIGINT) AS bytes
    FROM entries e WHERE (e.type = 'file' OR e.leads_to = 'file') AND e.alias_of IS NULL
    GROUP BY e.host ORDER BY e.host
"""
"""Files and bytes of each host, each file once, whatever leads to it."""
