"""Who may ask the server, and what no request gets."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scanner.web import access
from scanner.web.access import Access, Tokens, host_name, is_loopback
from scanner.web.app import ROUTES
from scanner.web.guard import LARGEST_BODY, POLICY
from tests.support.machine import Machine
from tests.support.serving import API, TOKEN, Served, bearer, served

OUTSIDE = ("192.168.1.5",)
"""An address that others reach."""

READING = [
    route.path.replace("{name}", "app.js") for route in ROUTES if "GET" in (route.methods or ())
]

DATA = [path for path in READING if path.startswith("/api/") or path == "/metrics"]


def first(site: Served, path: str, **options: Any) -> httpx.Response:
    """The answer without its body, which a stream never ends."""
    with site.client.stream(options.pop("method", "GET"), path, **options) as answer:
        return answer


# Names of hosts: DNS rebinding


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", "0.0.0.0",
     "[::2]", "127.0.0.1:x", "", "evil@localhost", "localhost/..", "127.0.0.1 evil"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", f"{API}/summary", "/healthz", "/assets/app.js"])
def test_other_names_of_hosts_get_nothing(site: Served, host: str, path: str) -> None:
    answer = site.get(path, headers={"host": host})
    assert answer.status_code in (400, 403)
    assert "summary" not in answer.text and "<html" not in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9", "127.0.0.1", "[::1]:8199", "localhost."]
)
def test_names_of_this_machine_are_its_names(site: Served, host: str) -> None:
    assert site.get(f"{API}/summary", headers={"host": host}).status_code == 200


def test_two_names_at_once_are_refused(site: Served) -> None:
    request = (
        b"GET /api/v1/summary HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"
        b"Connection: close\r\n\r\n"
    )
    with site.connect() as connection:
        connection.sendall(request)
        assert connection.recv(100).split()[1] in (b"400", b"403")


def test_a_name_that_is_allowed(library: Machine) -> None:
    with served(library.output, allow_hosts=["nas.example"]) as site:
        path = f"{API}/summary"
        assert site.get(path, headers={"host": "nas.example"}).status_code == 200
        assert site.get(path, headers={"host": "NAS.example:443"}).status_code == 200
        assert site.get(path, headers={"host": "other.example"}).status_code == 403


def test_numeric_addresses_are_names_of_a_server_for_others(library: Machine) -> None:
    """An attacker's name that leads here is never a number."""
    with served(library.output, addresses=OUTSIDE, headers=bearer()) as site:
        path = f"{API}/summary"
        assert site.get(path, headers={"host": "192.168.1.5:8199"}).status_code == 200
        assert site.get(path, headers={"host": "10.0.0.7"}).status_code == 200
        assert site.get(path, headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"), ("Localhost:80", "localhost"), ("[::1]:80", "::1"),
        ("[::1]", "::1"), ("[::1", ""), ("[::1]x", ""), ("a:b", ""), ("a.example.", "a.example"),
        ("[::1]:", ""),
    ],
)  # fmt: skip
def test_names_in_headers(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("nas", False), ("", False)],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(address: str, expected: bool) -> None:
    assert is_loopback(address) == expected


# Other sites: CSRF


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://localhost.evil.example", "http://127.0.0.1:1",
     "file://", "http://localhost:1@evil.example", "chrome-extension://x"],
)  # fmt: skip
@pytest.mark.parametrize("path", [f"{API}/summary", f"{API}/accept", f"{API}/workflow"])
def test_pages_of_other_sites_may_not_ask(site: Served, origin: str, path: str) -> None:
    method = "GET" if path.endswith("summary") else "POST"
    headers = {"origin": origin, **bearer()}
    answer = site.client.request(method, path, headers=headers, content=b"{}")
    assert answer.status_code == 403
    assert not any(name.startswith("access-control-") for name in answer.headers)


@pytest.mark.parametrize("sent", ["cross-site", "same-site"])
def test_browsers_that_say_from_where_they_ask_are_believed(site: Served, sent: str) -> None:
    assert site.get(f"{API}/pages", headers={"sec-fetch-site": sent}).status_code == 403
    assert site.get("/", headers={"sec-fetch-site": sent}).status_code == 200  # a link leads here
    form = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", **bearer()}
    assert site.client.post(f"{API}/accept", headers=form, content=b"{}").status_code == 403


def test_own_pages_may_ask(site: Served) -> None:
    headers = {"origin": f"http://127.0.0.1:{site.port}", "sec-fetch-site": "same-origin"}
    assert site.get(f"{API}/summary", headers=headers).status_code == 200


def test_behind_a_proxy_its_name_is_the_origin(library: Machine) -> None:
    with served(library.output, allow_hosts=["nas.example"]) as site:
        headers = {"origin": "https://nas.example", "host": "127.0.0.1:8199"}
        assert site.get(f"{API}/summary", headers=headers).status_code == 200


@pytest.mark.parametrize("type_", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_form_can_send_is_no_acceptance(site: Served, type_: str) -> None:
    answer = site.client.post(
        f"{API}/accept",
        content=b'{"place": "models"}',
        headers={"content-type": type_, **bearer()},
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("path", READING)
def test_questions_about_origins_are_not_answered(site: Served, path: str) -> None:
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = site.client.request("OPTIONS", path, headers=headers)
    assert answer.status_code in (403, 405)
    assert not any(name.startswith("access-control-") for name in answer.headers)


# The token


@pytest.mark.parametrize("path", DATA)
def test_data_for_others_needs_the_token(library: Machine, path: str) -> None:
    with served(library.output, addresses=OUTSIDE) as site:
        assert first(site, path).status_code == 401
        assert first(site, path, headers=bearer("wrong")).status_code == 401
        assert first(site, path, headers={"cookie": "comfy_inventory=x"}).status_code == 401
        assert first(site, path, headers=bearer()).status_code not in (401, 403, 429)
        basic = base64.b64encode(f"any:{TOKEN}".encode()).decode()
        headers = {"authorization": f"Basic {basic}"}
        assert first(site, path, headers=headers).status_code not in (401, 403, 429)


def test_the_page_and_its_health_need_none(library: Machine) -> None:
    with served(library.output, addresses=OUTSIDE) as site:
        for path in ("/", "/assets/app.js", "/healthz"):
            assert site.get(path).status_code == 200


def test_reading_here_needs_none_and_accepting_does(site: Served) -> None:
    for path in DATA:
        assert first(site, path).status_code not in (401, 403)
    wish = {"machine": "comfy_inventory", "place": "models"}
    assert site.client.post(f"{API}/accept", json=wish).status_code == 401
    assert site.client.post(f"{API}/accept", json=wish, headers=bearer()).status_code == 409


def test_a_session_stands_for_the_token_until_it_ends(library: Machine) -> None:
    with served(library.output, addresses=OUTSIDE) as site:
        assert site.client.post(f"{API}/session").status_code == 401
        answer = site.client.post(f"{API}/session", headers=bearer())
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        assert site.get(f"{API}/summary").status_code == 200
        wish = {"machine": "comfy_inventory", "place": "models"}
        assert site.client.post(f"{API}/accept", json=wish).status_code == 409
        origin = {"origin": "http://evil.example"}
        assert site.client.post(f"{API}/accept", json=wish, headers=origin).status_code == 403
        site.client.delete(f"{API}/session")
        assert site.get(f"{API}/summary").status_code == 401


def test_who_guesses_is_held_off(library: Machine) -> None:
    with served(library.output, addresses=OUTSIDE) as site:
        path = f"{API}/summary"
        answers = [
            site.get(path, headers=bearer(f"guess {number}")).status_code for number in range(12)
        ]
        assert answers == [401] * 10 + [429] * 2
        # The right one is not looked at either: else one could go on guessing.
        answer = site.get(path, headers=bearer())
        assert answer.status_code == 429 and answer.headers["retry-after"] == "60"


def test_guessing_is_forgotten_after_a_minute() -> None:
    now = [0.0]
    tokens = Tokens(TOKEN, lambda: now[0])
    for _ in range(access.MOST_WRONG):
        assert not tokens.is_held_off("a")
        assert not tokens.is_right("Bearer wrong", "a")
    assert tokens.is_held_off("a")
    assert not tokens.is_held_off("b")
    now[0] = access.WINDOW + 1
    assert not tokens.is_held_off("a")
    assert tokens.is_right(f"Bearer {TOKEN}", "a")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic !!!", "Basic", "Digest x", TOKEN, f"bearer{TOKEN}"]
)
def test_what_is_no_token(header: str) -> None:
    assert not Tokens(TOKEN).is_right(header, "a")


def test_many_addresses_need_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_MOST_ADDRESSES", 5)
    tokens = Tokens(TOKEN)
    for number in range(100):
        tokens.is_right("Bearer wrong", str(number))
    assert len(tokens._wrong) <= 5


# What every answer has, and no answer


@pytest.mark.parametrize("path", [*READING, "/nowhere", f"{API}/entries?limit=x"])
def test_every_answer_keeps_the_browser_in_bounds(site: Served, path: str) -> None:
    answer = first(site, path)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert "server" not in answer.headers


def test_the_policy_allows_no_script_in_the_page_and_no_other_host(site: Served) -> None:
    assert "unsafe" not in POLICY and "*" not in POLICY and "http" not in POLICY
    page = site.get("/").text
    assert "<script>" not in page and "onload" not in page and "style=" not in page
    assert "://" not in page


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py", "/assets/..%2fapp.py", "/assets/%2e%2e/app.py", "/assets//etc/passwd",
        "/assets/..%5capp.py", "/assets/app.js%00.html", "/assets/%2fetc%2fpasswd", "/etc/passwd",
        "/../../etc/passwd", "/assets/NOTICE", "/assets/", "/comfy_inventory.json",
        "/api/v1/entries/../../../etc/passwd", "//etc/passwd", "/assets/app.js/",
    ],
)  # fmt: skip
def test_no_path_leads_out(site: Served, path: str) -> None:
    with site.connect() as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.split()[1] in (b"400", b"403", b"404")
    assert b"root:" not in answer and b"import" not in answer


SECRET = "what is in the file 5f1d"


@pytest.fixture
def with_secrets(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    for kind in ("models/loras", "custom_nodes", "input", "output", "user/default/workflows"):
        folder = machine.work / "ComfyUI" / kind
        folder.mkdir(parents=True)
        for name in ("a.safetensors", "b.json", "c.txt", ".env"):
            (folder / name).write_text(f'"{SECRET}"')
    machine.run("scan")
    return machine


def test_no_route_gives_what_is_in_a_file(with_secrets: Machine) -> None:
    with served(with_secrets.output) as site:
        for path in DATA:
            if path.endswith("/events"):
                continue
            for query in ("", "?path=ComfyUI/models/loras/a.safetensors", "?row=0"):
                assert SECRET not in site.get(f"{path}{query}").text
        for path in ("ComfyUI/models/loras/c.txt", str(with_secrets.work / "ComfyUI"), "/etc"):
            for route in ("tree", "entries", "entry", "duplicates/script"):
                answer = site.get(f"{API}/{route}", params={"path": path, "folder": path})
                assert SECRET not in answer.text and "root:" not in answer.text
        wish = {"place": "/etc/passwd"}
        assert site.client.post(f"{API}/accept", json=wish, headers=bearer()).status_code == 409
        assert os.path.exists("/etc/passwd")


def test_hostile_names_stay_texts(site: Served) -> None:
    for path in ("pages", "problems", "entries", "changes?since=0", "duplicates/script"):
        answer = site.get(f"{API}/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] in (
            "application/json",
            "text/plain",
        )
        if path.startswith(("pages", "problems", "entries")):
            assert all(text.isprintable() for text in texts(answer.json()))
        if path.startswith("changes"):
            lines = answer.json()["changes"]
            assert all(line["text"].isprintable() for line in lines)
            assert any(not line["path"].isprintable() for line in lines)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


# Sizes


@pytest.mark.parametrize("path", ["/accept", "/session", "/summary"])
def test_large_bodies_are_refused_before_they_are_read(site: Served, path: str) -> None:
    headers = {**bearer(), "content-type": "application/json"}
    body = b" " * (LARGEST_BODY + 1)
    answer = site.client.post(f"{API}{path}", content=body, headers=headers)
    assert answer.status_code == 413


def test_large_bodies_without_a_length_are_cut_off(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanner.web.guard.LARGEST_WORKFLOW", 100_000)

    def pieces() -> Any:
        for _ in range(100):
            yield b"x" * 10_000

    answer = site.client.post(f"{API}/workflow", content=pieces())
    assert answer.status_code == 413


def test_long_headers_are_refused(site: Served) -> None:
    with site.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000)
        assert connection.recv(100).split()[1] == b"400"


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "\u0661"])
def test_wrong_lengths_are_refused(site: Served, length: str) -> None:
    with site.connect() as connection:
        connection.sendall(
            f"POST {API}/workflow HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {length}\r\n\r\n".encode()
        )
        assert connection.recv(100).split()[1] in (b"400", b"413")


def check_access(change: Callable[[Access], Access], host: str) -> bool:
    rules = Access("t", False, frozenset({"localhost"}), any_address=False)
    return change(rules).is_host(host)


def test_without_any_address_a_number_is_no_name() -> None:
    assert not check_access(lambda rules: rules, "10.0.0.1")
    assert check_access(lambda rules: rules._replace(any_address=True), "10.0.0.1")
    assert not check_access(lambda rules: rules._replace(any_address=True), "10.0.0.1.example")
