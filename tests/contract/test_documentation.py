"""The page for people: everything that is described, and nothing from anywhere else."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.documentation import prose, type_of
from api.service import Service

APP = create_app(cast(Service, SimpleNamespace(public_url="https://hub.example", counting=None)))
ANSWER = TestClient(APP).get("/docs")
PAGE = ANSWER.text
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Reader(HTMLParser):
    """What a browser would find on the page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


READ = Reader()
READ.feed(PAGE)
TEXT = " ".join("".join(READ.said).split())


def test_the_page_is_sent_with_a_policy_that_lets_only_its_style_through() -> None:
    assert ANSWER.headers["content-type"] == "text/html; charset=utf-8"
    style = re.search(r"<style>(.*)</style>", PAGE, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    policy = ANSWER.headers["content-security-policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "unsafe" not in ANSWER.headers["content-security-policy"]


def test_nothing_is_loaded_and_no_script_runs() -> None:
    names = {tag for tag, _ in READ.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in READ.tags:
        assert not attributes.keys() & {"src", "srcset", "style", "action", "ping"}, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        href = attributes.get("href")
        assert href is None or href.startswith(("#", "/openapi.json")), href
    assert "url(" not in PAGE
    assert "@import" not in PAGE


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect"])
def test_the_frameworks_own_pages_are_off(path: str) -> None:
    # They load scripts from other people's servers.
    assert TestClient(APP, raise_server_exceptions=False).get(path).status_code == 404


def test_every_route_parameter_status_and_schema_is_on_it() -> None:
    described = APP.openapi()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in TEXT
            for parameter in operation.get("parameters", ()):
                assert parameter["name"] in TEXT
    for name, schema in described["components"]["schemas"].items():
        assert f'id="schema-{name}"' in PAGE
        for member in schema.get("properties", {}):
            assert f"<code>{member}</code>" in PAGE


def test_every_link_leads_somewhere_and_every_name_is_there_once() -> None:
    names = [attributes["id"] for _, attributes in READ.tags if "id" in attributes]
    assert len(names) == len(set(names))
    for _, attributes in READ.tags:
        href = attributes.get("href") or ""
        assert not href.startswith("#") or href[1:] in names, href
        assert (attributes.get("aria-labelledby") or names[0]) in names


def test_it_can_be_read_by_whoever_does_not_see_it_or_has_no_mouse() -> None:
    assert ("html", {"lang": "en"}) in READ.tags
    assert READ.open == []
    assert [tag for tag, _ in READ.tags if tag == "h1"] == ["h1"]
    levels = [int(tag[1]) for tag, _ in READ.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    first = next(attributes for tag, attributes in READ.tags if tag == "a")
    assert first["href"] == "#content"
    tables = [tag for tag, _ in READ.tags if tag in ("table", "caption")]
    assert set(tables[::2]) == {"table"}
    assert set(tables[1::2]) == {"caption"}
    for tag, attributes in READ.tags:
        assert tag != "pre" or attributes.get("tabindex") == "0"  # scrolls sideways
        assert tag != "th" or attributes.get("scope") in ("row", "col")


@pytest.mark.parametrize("text", ["<script>x</script>", "`<b>`", '"><img src=x>'])
def test_what_a_description_says_stays_text(text: str) -> None:
    assert "<" not in prose(text).replace("<code>", "").replace("</code>", "")
    assert "<" not in type_of({"type": "string", "enum": [text]})
