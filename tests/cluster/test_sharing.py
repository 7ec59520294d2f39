"""How a host's limit is shared, and which answers and maps of a worker count."""

from __future__ import annotations

import pytest

from scanner.cluster import serving
from scanner.cluster.path_map import PathMap, WrongMapError, map_from
from scanner.cluster.session import _with_requests, shared_terms
from scanner.cluster.terms import Examined, Share, Terms
from scanner.core.mount_identity import MountIdentity
from scanner.workers.requests import Failed, Request, StatBelow, StatPath, Timed, calls_of

TERMS = Terms("1", "/mnt", MountIdentity("nfs", "nas:/x", "/"), 1, False, 8, 120.0)


def test_workers_of_a_host_share_its_limit() -> None:
    hosts = {"a": "one", "b": "one", "c": "one", "d": "two"}
    team = {worker: Examined(worker, host) for worker, host in hosts.items()}
    assert shared_terms(TERMS, team).per_second == 40
    assert shared_terms(TERMS, {"d": team["d"]}).per_second == 120
    assert shared_terms(TERMS._replace(per_second=0.0), team).per_second == 0


def test_pace_counts_each_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("scanner.cluster.serving.time.monotonic", lambda: 100.0)
    monkeypatch.setattr("scanner.cluster.serving.time.sleep", slept.append)
    pace = serving._Pace()
    requests: list[Request] = [StatPath("/a"), StatBelow("/b", ("c", "d", "e")), StatPath("/f")]
    for request in [*requests, Timed(StatPath("/a"))]:
        pace.wait(10.0, calls_of(request))
    assert slept == pytest.approx([0.0, 0.1, 0.4, 0.5])


def failed(path: str) -> Failed:
    return Failed(path, 5, "broken")


@pytest.mark.parametrize(
    ("answers", "rest", "is_right"),
    [
        (["/a", "/b", "/c"], [], True),
        (["/a", "/b"], ["/c"], True),
        (["/a", "/c"], ["/b"], True),
        ([], ["/a", "/b", "/c"], True),
        (["/a", "/b"], [], False),
        (["/a", "/c", "/b"], [], False),
        (["/a", "/b", "/c", "/d"], [], False),
        (["/a", "/b", "/c"], ["/d"], False),
    ],
)
def test_answers_are_those_to_the_requests(
    answers: list[str], rest: list[str], is_right: bool
) -> None:
    requests = [StatPath(path) for path in ("/a", "/b", "/c")]
    share = Share("w", [failed(path) for path in answers], [StatPath(path) for path in rest])
    if not is_right:
        with pytest.raises(ValueError, match=r"argument|not asked"):
            _with_requests(requests, share)
        return
    pairs = _with_requests(requests, share)
    assert [(request, answer.path) for request, answer in pairs] == [
        (StatPath(path), path) for path in answers
    ]


def test_what_is_no_share_counts_for_nothing() -> None:
    for nonsense in (None, "text", ["list"], ("w", (), ())):
        with pytest.raises(ValueError, match="a worker answers with"):
            _with_requests([StatPath("/a")], nonsense)


@pytest.mark.parametrize("text", ['{"/a": "b"}', '{"a": "/b"}', "[]", "{", '{"/a": 1}', '"/a"'])
def test_map_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(WrongMapError):
        map_from(text)


def test_longest_place_of_a_map_counts() -> None:
    paths = map_from('{"/mnt/": "/x/", "/mnt/a": "/y", "/": "/z"}')
    found = [paths.there(path) for path in ("/mnt", "/mnt/a", "/mnt/a/b", "/mnt/ab", "/other")]
    assert found == ["/x", "/y", "/y/b", "/x/ab", "/z/other"]
    assert paths.divides("/mnt") and not paths.divides("/mnt/a") and paths.divides("/")
    assert not PathMap({}).divides("/mnt")
