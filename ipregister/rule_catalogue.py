"""The rules as a page for people: ``docs/quality-rules.md``, written from the YAML.

A test compares the page with the rules, so it is never older than they are. Which rules
exist and what they say belongs in ``quality_rules/*.yaml``, not here.
"""

import sys
from collections.abc import Iterator, Sequence

from ipregister.quality import Dimension, Rule, Severity, load_rules

GROUPS = {
    "ALL": "All rights",
    "TM": "Trademarks and geographical indications",
    "PT": "Patents and utility models",
    "DS": "Industrial designs",
}
DIMENSIONS = {
    Dimension.PACKAGE: "Files and packages",
    Dimension.COMPLETENESS: "Completeness: is it there?",
    Dimension.CONFORMITY: "Conformity: is it written as it should be?",
    Dimension.CONSISTENCY: "Consistency: do the values agree?",
    Dimension.UNIQUENESS: "Uniqueness: is it there only once?",
}
SEVERITIES = {
    Severity.CRITICAL: "the record (or the delivery) is kept but not shared with third parties",
    Severity.ERROR: "something is wrong by a standard or a law; the record is shared",
    Severity.WARNING: "something is probably wrong; the record is shared",
    Severity.INFO: "worth a look; the record is shared",
}
INTRODUCTION = """\
# Quality rules

What the hub looks at in every delivery, and what to do about a finding. The same rules run at
intake and in `iphub validate`. A code never changes its meaning. A missing value breaks no rule
but the one that asks for it. An office may have another severity for a rule, with a reason that
its reports show.

This page is written from `quality_rules/*.yaml` by `python -m ipregister.rule_catalogue`; change
the rules, not the page. How: [Add a rule](guides/add-a-rule.md).
"""


def render(rules: Sequence[Rule]) -> str:
    """Return the page about these rules, as Markdown."""
    lines = [INTRODUCTION, "| Severity | Meaning |", "| --- | --- |"]
    lines += [f"| {severity} | {meaning} |" for severity, meaning in SEVERITIES.items()]
    for prefix, title in GROUPS.items():
        group = [rule for rule in rules if rule.code.startswith(f"{prefix}.")]
        lines += ["", f"## {title}", "", f"{len(group)} rules."]
        for dimension, question in DIMENSIONS.items():
            lines += _section(question, [rule for rule in group if rule.dimension is dimension])
    return "\n".join(lines) + "\n"


def _section(question: str, rules: Sequence[Rule]) -> Iterator[str]:
    if not rules:
        return
    yield from ("", f"### {question}", "")
    yield "| Code | Severity | What is reported | What to do | Field | Source |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for rule in sorted(rules, key=lambda rule: rule.code):
        field = f"`{rule.field}`" if rule.field else ""
        cells = (f"`{rule.code}`", rule.severity, rule.title, rule.remedy, field, rule.source)
        yield f"| {' | '.join(_cell(str(cell)) for cell in cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("&", "&amp;").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(render(load_rules()))
