"""The report as one HTML file that needs nothing else: no script, no font, no other host.

Autoescape is on for every template, whatever its name ends with. The policy in the page lets
through its own style sheet alone, known by its hash. The page is written as it is rendered.
"""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from connectors.reports.safe_cells import visible
from connectors.reports.sources import ReportSource
from ipregister import report_words as words
from ipregister.report_scores import different_records
from ipregister.reporting import BrokenRule, QualityReport

POLICY = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"

FINDINGS_SHOWN = 100
"""Findings of one rule on the page; the CSV has the rest, and a browser stays quick."""

WORDS_SHOWN = 50
"""Unknown words on the page."""

NUMBERS_SHOWN = 20
"""Held records named in one line."""


def write_html(source: ReportSource, path: Path) -> None:
    """Write the report as one self-contained page."""
    templates = environment()
    style = templates.get_template("report.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = templates.get_template("report.html.j2")
    by_id = {id(report): source.findings[place] for place, report in _full(source)}

    def first(report: QualityReport, rule: BrokenRule, count: int) -> list[dict[str, Any]]:
        return by_id[id(report)].first(rule.ruleCode, count)

    chunks = page.generate(
        report=source.report,
        policy=POLICY.format(digest),
        first=first,
        shown=FINDINGS_SHOWN,
        words_shown=WORDS_SHOWN,
        numbers_shown=NUMBERS_SHOWN,
    )
    with path.open("w", encoding="utf-8", newline="\n") as sink:
        for chunk in chunks:
            sink.write(chunk)


def environment() -> Environment:
    """Return the templates with everything they may call."""
    made = Environment(
        loader=PackageLoader("connectors.reports", "templates"),
        # Not select_autoescape: that goes by the file's ending and would leave out `.j2`.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "count_of": words.count_of,
        "moment": words.moment,
        "percent": words.percent,
        "size": words.size,
        "language": words.script_language,
        "visible": visible,
        "register_in_words": words.register_in_words,
        "sentence": words.sentence,
    }
    made.globals |= {
        "KINDS": words.KINDS,
        "RIGHTS": words.RIGHTS,
        "CHANNELS": words.CHANNELS,
        "STATES": words.STATES,
        "SEVERITIES": words.SEVERITIES,
        "AREAS": words.AREAS,
        "PARTS": words.PARTS,
        "different_records": different_records,
        "segments": segments,
    }
    return made


def segments(counts: dict[str, int], width: float) -> list[tuple[str, float, float]]:
    """Return a bar's parts for counts: name, start and width, in units of ``width``."""
    total = sum(counts.values())
    parts, start = [], 0.0
    for name, count in counts.items():
        if count:
            # A thin part can still be seen: one in a million is not nothing.
            part = max(width * count / total, width / 100)
            parts.append((name, round(start, 2), round(min(part, width - start), 2)))
            start = min(width, start + part)
    return parts


def _full(source: ReportSource) -> Iterator[tuple[int, QualityReport]]:
    for place, report in enumerate(source.report.reports):
        if report.full:
            yield place, report
