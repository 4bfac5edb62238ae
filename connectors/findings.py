"""Findings as rows: severities, messages and remedies from the rules, kept per delivery.

Which rules exist is ``quality_rules/*.yaml``; what an office changed about them is its
profile. This module puts both together and writes Parquet; judging rows is ``rules``.
"""

from collections.abc import Mapping
from typing import Any

from ipregister.errors import DeliveryError, IncompleteDelivery, OversizedDelivery
from ipregister.profiles import Override
from ipregister.quality import Rule, Severity, load_rules

VALUE_CHARACTERS = 200
"""A finding shows the beginning of a long value; the record itself has the rest."""


class FindingBook:
    """Makes findings of one office: rule metadata with the office's own severities."""

    def __init__(self, overrides: Mapping[str, Override]) -> None:
        """Lay one office's overrides over all rules."""
        self._rules: dict[str, Rule] = {rule.code: rule for rule in load_rules()}
        self._overrides = overrides

    def severity(self, code: str) -> Severity | None:
        """Return the severity of a rule for this office; ``None`` when it is off."""
        override = self._overrides.get(code)
        if override is None:
            return self._rules[code].severity
        return None if override.severity == "off" else Severity(override.severity)

    def finding(
        self, code: str, *, file: str, message: str | None = None, **where: Any
    ) -> dict[str, Any] | None:
        """Return one row of ``connectors.schema.FINDINGS``; ``None`` when the rule is off.

        Args:
            code: a rule code.
            file: the delivered file, with ``!member`` inside an archive.
            message: what is wrong, as a sentence; the rule's title and the value otherwise.
            where: any of the other columns.
        """
        severity = self.severity(code)
        if severity is None:
            return None
        rule = self._rules[code]
        value = where.pop("value", None)
        if message is None:
            message = (
                f"{rule.title}."
                if value is None
                else f"{rule.title}: “{value[:VALUE_CHARACTERS]}”."
            )
        return {
            "ruleCode": code,
            "severity": str(severity),
            "file": file,
            "value": None if value is None else value[:VALUE_CHARACTERS],
            "message": message,
            "remedy": rule.remedy,
            "state": "new",
            "field": rule.field,
            **where,
        }


def code_of(trouble: DeliveryError) -> str:
    """Return the rule that a file broke which could not be read."""
    if isinstance(trouble, IncompleteDelivery):
        return "ALL.PKG.017" if "empty" in trouble.detail else "ALL.PKG.016"
    if isinstance(trouble, OversizedDelivery):
        return "ALL.PKG.002"
    if "document type" in trouble.detail:
        return "ALL.PKG.005"
    return trouble.context.get("rule", "ALL.PKG.001")
