"""Data-exchange authorizations: what an originating office lets a third party see.

Sharing is by allowing: an authorization holds the disclosure classes that are open, so a
class invented later stays closed until an office opens it. ``core`` cannot be withheld; who
shares a right shares at least that. Which records, is ``row_rules``; how people write it
down, ``authorization_forms``; where it is kept, ``connectors.ledger``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from ipregister.errors import InvalidRequest
from ipregister.instants import instant
from ipregister.model import Disclosure, Right
from ipregister.profiles import load_profile, offices
from ipregister.row_rules import RowRule

WITHHOLDABLE = tuple(disclosure for disclosure in Disclosure if disclosure is not Disclosure.CORE)


class TermsOfUse(StrEnum):
    """What a third party may do with what it gets; the narrowest is the default."""

    INTERNAL_USE = "internal_use"
    """Use it in its own work; show or pass it on to nobody."""
    PUBLIC_SEARCH = "public_search"
    """Show single records to the public, naming the office; no bulk copies."""
    ONWARD_SHARING = "onward_sharing"
    """Pass it on, whole or in part, naming the office and under these same terms."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What of one right of one office a reader may see: classes, records, free text.

    ``rule`` is ``None`` for every record. Without ``freeText``, members marked as free text
    are left out whatever their class. ``since`` is the instant (microseconds since 1970)
    from which these records are shared without a break; what went before it was never seen.
    """

    allowed: frozenset[Disclosure]
    rule: RowRule | None = None
    freeText: bool = True
    since: int = 0

    @property
    def has_view(self) -> bool:
        """Tell whether it opens less than every record as it is."""
        return self.rule is not None or not self.freeText

    def covers(self, other: "Grant") -> bool:
        """Tell whether who has this may see all that ``other`` opens."""
        rows = self.rule is None or self.rule == other.rule
        return rows and other.allowed <= self.allowed and self.freeText >= other.freeText

    def document(self) -> dict[str, Any]:
        """Return the JSON form; classes in their fixed order."""
        return {
            "allowed": [name for name in Disclosure if name in self.allowed],
            "withheld": [name for name in Disclosure if name not in self.allowed],
            "rows": self.rule.document() if self.rule else {},
            "freeText": self.freeText,
        }


NOTHING = Grant(frozenset())


@dataclass(frozen=True, slots=True)
class Decision:
    """What an office decides about one third party, and why.

    ``grants`` has the shared rights and is empty when nothing is shared any more. The days
    (the office's own) are the first and the last on which it holds; ``allowedAddresses`` are
    networks (CIDR) requests must come from, none for anywhere.
    """

    grants: Mapping[Right, Grant] = field(default_factory=dict)
    validFrom: date | None = None
    validUntil: date | None = None
    termsOfUse: TermsOfUse = TermsOfUse.INTERNAL_USE
    purpose: str | None = None
    allowedAddresses: tuple[str, ...] = ()
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "rights": [
                {"right": right} | self.grants[right].document()
                for right in Right
                if right in self.grants
            ],
            "validFrom": self.validFrom.isoformat() if self.validFrom else None,
            "validUntil": self.validUntil.isoformat() if self.validUntil else None,
            "termsOfUse": self.termsOfUse,
            "purpose": self.purpose,
            "allowedAddresses": list(self.allowedAddresses),
            "reason": self.reason,
        }

    def holds(self, on: date) -> bool:
        """Tell whether it shares anything on a day of the office."""
        return (
            bool(self.grants)
            and (self.validFrom is None or on >= self.validFrom)
            and (self.validUntil is None or on <= self.validUntil)
        )


@dataclass(frozen=True, slots=True)
class Authorization:
    """One version of what one office lets one third party see."""

    office: str
    thirdParty: str
    version: int
    decision: Decision
    setAt: datetime
    setBy: str

    @property
    def grants(self) -> Mapping[Right, Grant]:
        """Return what is shared of each shared right."""
        return self.decision.grants

    @property
    def is_revoked(self) -> bool:
        """Tell whether nothing is shared any more."""
        return not self.decision.grants

    def holds(self, at: datetime) -> bool:
        """Tell whether it shares anything at an instant."""
        return self.decision.holds(load_profile(self.office).day_of(at))

    def withheld(self, right: Right) -> frozenset[Disclosure]:
        """Return the classes of a right that stay closed."""
        return frozenset(Disclosure) - self.grants.get(right, NOTHING).allowed

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "office": self.office,
            "thirdParty": self.thirdParty,
            "version": self.version,
            **self.decision.document(),
            "revoked": self.is_revoked,
            "setAt": instant(self.setAt),
            "setBy": self.setBy,
        }


class Reason(StrEnum):
    """Why an answer is no."""

    NO_AUTHORIZATION = "no_authorization"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    RIGHT_NOT_SHARED = "right_not_shared"


@dataclass(frozen=True, slots=True)
class Granted:
    """What a third party may read, under which version of the authorization."""

    grant: Grant
    version: int


@dataclass(frozen=True, slots=True)
class Denied:
    """No; the reason is for the ledger, not for the client."""

    reason: Reason


def decide(
    authorizations: Iterable[Authorization],
    *,
    third_party: str,
    office: str,
    right: Right,
    at: datetime,
) -> Granted | Denied:
    """Return what a third party may read of one right of one office at an instant."""
    on = load_profile(office).day_of(at)
    for authorization in authorizations:
        if (authorization.thirdParty, authorization.office) != (third_party, office):
            continue
        decision = authorization.decision
        if authorization.is_revoked:
            return Denied(Reason.NO_AUTHORIZATION)
        if decision.validFrom is not None and on < decision.validFrom:
            return Denied(Reason.NOT_YET)
        if not decision.holds(on):
            return Denied(Reason.EXPIRED)
        if right not in decision.grants:
            return Denied(Reason.RIGHT_NOT_SHARED)
        return Granted(decision.grants[right], authorization.version)
    return Denied(Reason.NO_AUTHORIZATION)


def check_office(code: str) -> str:
    """Return the ST.3 code of an office that takes part.

    Raises:
        InvalidRequest: it does not; the message names those that do.
    """
    if code not in offices():
        raise InvalidRequest(
            f"{code!r} is not an office of this hub; there are {', '.join(offices())}"
        )
    return code
