"""What good data is: rules, findings and their vocabulary.

A rule is YAML metadata plus, where the rule looks at canonical rows, a predicate in DuckDB
SQL. This module knows the words; ``connectors/rules/engine.py`` runs the predicates.
Sources of the rules: WIPO ST.3, ST.9, ST.13, ST.60, ST.80, the checks of WIPO's Global Brand
Database, and our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ipregister import strict_yaml
from ipregister.errors import ConfigurationError
from ipregister.model import Right

RULE_FILES = ("common", "trademarks", "patents", "designs")


class Severity(StrEnum):
    """How bad a finding is; ``critical`` keeps the record from third parties."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Dimension(StrEnum):
    """What a rule looks at; the middle part of its code."""

    COMPLETENESS = "CMP"
    CONFORMITY = "CNF"
    CONSISTENCY = "CNS"
    UNIQUENESS = "UNQ"
    PACKAGE = "PKG"


class Examples(BaseModel):
    """The proof a rule brings: canonical rows (or source values) it accepts and reports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ok: tuple[dict[str, Any], ...] = Field(min_length=1)
    bad: tuple[dict[str, Any], ...] = Field(min_length=1)


class Rule(BaseModel):
    """One rule. ``code`` is stable for ever: ``<ALL|TM|PT|DS>.<dimension>.<number>``.

    ``violation`` is a DuckDB predicate over the columns of the canonical table; NULL never
    violates. With ``each`` the predicate sees one element of that list as ``item``.
    ``scope: set`` allows window functions over the delivery. ``$as_of`` is the date the
    delivery was received. ``message`` and ``suggest`` describe one finding: ``{expression}``
    in a message is any SQL expression, ``suggest`` is one. ``asksFor`` are the values whose
    absence the rule tells, where that is not ``field``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^(ALL|TM|PT|DS)\.(CMP|CNF|CNS|UNQ|PKG)\.[0-9]{3}$")
    severity: Severity
    title: str
    remedy: str
    source: str
    field: str | None = None
    raised_by: Literal["predicate", "normalisation", "delivery"] = Field(
        default="predicate", alias="raisedBy"
    )
    scope: Literal["record", "set"] = "record"
    each: str | None = None
    asks_for: tuple[str, ...] | None = Field(default=None, alias="asksFor")
    violation: str | None = None
    message: str | None = None
    suggest: str | None = None
    examples: Examples | None = None

    @model_validator(mode="after")
    def _predicates_prove_themselves(self) -> Self:
        if self.raised_by == "predicate" and not (self.violation and self.examples and self.field):
            raise ValueError(f"{self.code}: a predicate needs field, violation and examples")
        if self.raised_by != "predicate" and self.violation:
            raise ValueError(f"{self.code}: {self.raised_by} rules have no predicate")
        return self

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the values the rule says are missing: none, if it says something else."""
        if self.raised_by != "predicate" or self.dimension is not Dimension.COMPLETENESS:
            return ()
        return (self.field or "",) if self.asks_for is None else self.asks_for

    @property
    def dimension(self) -> Dimension:
        """Return what the rule looks at."""
        return Dimension(self.code.split(".")[1])

    def applies_to(self, right: Right) -> bool:
        """Tell whether the rule is for this right."""
        prefix = self.code.split(".")[0]
        return (
            prefix == "ALL"
            or prefix == {"trademarks": "TM", "patents": "PT", "designs": "DS"}[right]
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in an office's data, and how to mend it.

    ``file`` is the delivered file, with ``!member`` for a member of an archive; ``line`` is
    1-based; ``value`` is verbatim, at most 200 characters; ``state`` says whether the office
    has seen it before (``new``, ``open``).
    """

    ruleCode: str
    severity: Severity
    recordId: str | None
    applicationNumber: str | None
    field: str | None
    elementPath: str | None
    file: str
    line: int | None
    value: str | None
    message: str
    remedy: str
    suggestedValue: str | None = None
    state: str = "new"


@cache
def load_rules() -> tuple[Rule, ...]:
    """Return every rule, in the order of the files.

    Raises:
        ConfigurationError: a rule is not valid or a code is used twice.
    """
    rules: list[Rule] = []
    for name in RULE_FILES:
        source = files("quality_rules").joinpath(f"{name}.yaml")
        try:
            rules += [
                Rule.model_validate(entry) for entry in strict_yaml.load(source.read_text("utf-8"))
            ]
        except ValidationError as exc:
            raise ConfigurationError(f"quality_rules/{name}.yaml: {exc}") from exc
    codes = [rule.code for rule in rules]
    if twice := {code for code in codes if codes.count(code) > 1}:
        raise ConfigurationError(f"rule codes used twice: {sorted(twice)}")
    return tuple(rules)


def rules_for(right: Right) -> Sequence[Rule]:
    """Return the rules of one right, common ones first."""
    return [rule for rule in load_rules() if rule.applies_to(right)]
