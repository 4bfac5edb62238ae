"""The page of an office's report: what it shows, and that nothing in it is active."""

import base64
import hashlib
import re
import runpy
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.hub import Hub
from connectors.reports.pages import FINDINGS_SHOWN, environment, write_html
from connectors.reports.sources import ReportSource, office_report
from connectors.settings import Settings
from ipregister.deliveries import Receipt, State
from ipregister.model import Right
from ipregister.report_words import receipt_sum

world: Any = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("report_world.py"))))
home, source = world.home, world.source


class Page(HTMLParser):
    """What a browser would make of a page: elements, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.style = ""
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._open == "style" and not self.style:
            self.style = data
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def written(source: ReportSource, tmp_path: Path) -> Page:
    write_html(source, tmp_path / "report.html")
    return Page((tmp_path / "report.html").read_text("utf-8"))


@pytest.fixture
def page(source: ReportSource, tmp_path: Path) -> Page:
    return written(source, tmp_path)


def test_the_page_needs_nothing_else(page: Page) -> None:
    names = {name for name, _ in page.elements}
    assert names.isdisjoint({"script", "img", "link", "iframe", "object", "form", "base", "audio"})
    for _, attributes in page.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src")
        ]
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page.style
    assert "@import" not in page.style


def test_the_policy_lets_through_the_pages_own_style_alone(page: Page) -> None:
    (policy,) = [
        m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_headings_of_tables_wrap_where_the_screen_is_narrow(page: Page) -> None:
    # The score stays a table there; in one line its headings are wider than 320 pixels.
    assert [table for table in page.of("table") if table.get("class") is None]
    narrow = page.style.partition("@media screen and (max-width: 48rem)")[2].partition("@media")[0]
    assert "thead th { white-space: normal; }" in narrow


def test_what_an_office_wrote_is_text(page: Page) -> None:
    text = "".join(page.text)
    for value in world.MARKUP[:-1]:
        assert value in text
    assert "⟦U+202E⟧gnp.exe⟦U+0007⟧" in text
    assert "<b>45</b> would disappear" in text


def test_every_template_escapes() -> None:
    made = environment()
    assert made.autoescape is True
    for name in made.list_templates(extensions=["j2"]):
        text, _, _ = made.loader.get_source(made, name)  # type: ignore[union-attr]
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape false" not in text


def test_the_page_can_be_used_without_eyes(page: Page) -> None:
    assert page.of("html")[0]["lang"] == "en"
    for landmark in ("header", "main", "footer", "nav"):
        assert len(page.of(landmark)) == 1, landmark
    assert page.of("th")
    assert all(cell.get("scope") in ("row", "col") for cell in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))
    assert all(
        svg.get("aria-hidden") == "true" or svg.get("role") == "img" for svg in page.of("svg")
    )
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"] for attributes in page.of("a")}
    assert targets <= {f"#{name}" for name in ids}
    assert {"km", "th", "lo", "my"} <= {bdi.get("lang") for bdi in page.of("bdi")}


def test_the_page_shows_the_sum_and_the_first_findings(page: Page) -> None:
    assert receipt_sum(world.RECEIPT) in {
        attributes.get("aria-label") for attributes in page.of("ul")
    }
    text = re.sub(r"\s+", " ", "".join(page.text))
    assert f"The first {FINDINGS_SHOWN} findings; 30 more in the CSV" in text
    assert text.count("KH/90099/2026") == 1
    assert "KH/90100/2026" not in text
    assert "All times in this report are UTC" in text
    assert "The latest delivery is waiting for your decision" in text
    assert "Newer: delivery KH-" in text


def test_a_clean_delivery_does_not_hide_what_an_earlier_one_left_to_mend(tmp_path: Path) -> None:
    hub = Hub.create(Settings(home=tmp_path / "hub"))
    first = world.deliver(
        hub, 1, State.PUBLISHED_WITH_FINDINGS, world.RECEIPT, findings={"critical": 17}
    )
    clean = world.deliver(hub, 2, State.PUBLISHED, Receipt(recordsRead=1, accepted=1))
    world.findings_file(hub.home.findings(first.deliveryId), world.COUNTS, world.WORDS)
    world.findings_file(hub.home.findings(clean.deliveryId), {}, world.WORDS)
    world.deliver(hub, 3, State.PUBLISHED, Receipt(recordsRead=1, accepted=1), right=Right.PATENTS)
    source = office_report(hub, "KH", None, at=world.NOW, temporary=tmp_path / "spill")
    text = re.sub(r"\s+", " ", "".join(written(source, tmp_path).text))
    hub.close()
    told = "Nothing was found in it; there is nothing to do about it."
    assert text.count(f"The latest delivery is published. {told}") == 4
    assert text.count(f"{told} Earlier deliveries had findings.") == 1
    assert len(re.findall("This delivery is published. [0-9]+ of [0-9]+ records have", text)) == 1


def test_what_waits_for_a_decision_stands_before_everything_else(tmp_path: Path) -> None:
    hub = Hub.create(Settings(home=tmp_path / "hub"))
    held = world.deliver(hub, 1, State.HELD, Receipt(recordsRead=1, unchanged=1)).deliveryId
    newer = world.deliver(hub, 2, State.PUBLISHED, Receipt(recordsRead=1, accepted=1))
    other = world.deliver(
        hub, 3, State.PUBLISHED, Receipt(recordsRead=1, accepted=1), right=Right.PATENTS
    )
    for one in (held, newer.deliveryId, other.deliveryId):
        world.findings_file(hub.home.findings(one), {}, world.WORDS)
    source = office_report(hub, "KH", None, at=world.NOW, temporary=tmp_path / "spill")
    page = written(source, tmp_path)
    text = re.sub(r"\s+", " ", "".join(page.text))
    hub.close()
    told = f"An earlier delivery waits for your decision: {held}."
    assert text.count(f"{told} The latest delivery is published.") == 2  # in short, and in full
    assert "This delivery is waiting for your decision: release it" in text
    assert "Earlier deliveries had findings" not in text
