"""Data-exchange authorizations: what an originating office lets a third party see.

Sharing is by allowing: an authorization holds the disclosure classes that are open, so a
class invented later stays closed until an office opens it. ``core`` cannot be withheld; who
shares a right shares at least that. Where authorizations are kept is ``connectors.ledger``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure, Right
from ipregister.profiles import offices

WITHHOLDABLE = tuple(disclosure for disclosure in Disclosure if disclosure is not Disclosure.CORE)


@dataclass(frozen=True, slots=True)
class Authorization:
    """One version of what one office lets one third party see.

    ``allowed`` has the open classes of each shared right and is empty once revoked;
    ``validUntil`` is the last day (UTC) on which it holds.
    """

    office: str
    thirdParty: str
    version: int
    allowed: Mapping[Right, frozenset[Disclosure]]
    validUntil: date | None
    setAt: datetime
    setBy: str

    @property
    def is_revoked(self) -> bool:
        """Tell whether nothing is shared any more."""
        return not self.allowed

    def holds(self, on: date) -> bool:
        """Tell whether it is in force on a day (UTC)."""
        return not self.is_revoked and (self.validUntil is None or on <= self.validUntil)

    def withheld(self, right: Right) -> frozenset[Disclosure]:
        """Return the classes of a right that stay closed."""
        return frozenset(Disclosure) - self.allowed.get(right, frozenset())

    def document(self) -> dict[str, Any]:
        """Return the JSON form; classes in their fixed order."""
        return {
            "office": self.office,
            "thirdParty": self.thirdParty,
            "version": self.version,
            "rights": [
                {
                    "right": right,
                    "allowed": [name for name in Disclosure if name in self.allowed[right]],
                    "withheld": [name for name in Disclosure if name in self.withheld(right)],
                }
                for right in Right
                if right in self.allowed
            ],
            "validUntil": self.validUntil.isoformat() if self.validUntil else None,
            "revoked": self.is_revoked,
            "setAt": self.setAt.isoformat().replace("+00:00", "Z"),
            "setBy": self.setBy,
        }


class Reason(StrEnum):
    """Why an answer is no."""

    NO_AUTHORIZATION = "no_authorization"
    EXPIRED = "expired"
    RIGHT_NOT_SHARED = "right_not_shared"


@dataclass(frozen=True, slots=True)
class Granted:
    """The classes a third party may read, under which version of the authorization."""

    allowed: frozenset[Disclosure]
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
    on: date,
) -> Granted | Denied:
    """Return what a third party may read of one right of one office on a day (UTC)."""
    for authorization in authorizations:
        if (authorization.thirdParty, authorization.office) != (third_party, office):
            continue
        if authorization.is_revoked:
            return Denied(Reason.NO_AUTHORIZATION)
        if not authorization.holds(on):
            return Denied(Reason.EXPIRED)
        if right not in authorization.allowed:
            return Denied(Reason.RIGHT_NOT_SHARED)
        return Granted(authorization.allowed[right], authorization.version)
    return Denied(Reason.NO_AUTHORIZATION)


def check_office(code: str) -> str:
    """Return the ST.3 code of an office that takes part.

    Raises:
        InvalidRequest: it does not; the message names those that do.
    """
    if code not in offices():
        raise InvalidRequest(
            f"{code!r} is not an office of this hub; there are {_words(offices())}"
        )
    return code


def check_withheld(
    rights: Mapping[Right, Iterable[Disclosure]],
) -> dict[Right, frozenset[Disclosure]]:
    """Return the open classes per right, given the withheld ones.

    Raises:
        InvalidRequest: no right at all, an unknown one, or a class that cannot be withheld.
    """
    if not rights:
        raise InvalidRequest("name at least one right to share; to share nothing, revoke")
    return {
        _right(right): frozenset(Disclosure) - {_class(name) for name in withheld}
        for right, withheld in rights.items()
    }


def parse_withheld(rights: str, withhold: Iterable[str] = ()) -> dict[Right, frozenset[Disclosure]]:
    """Read the written form of what is shared: rights, and classes withheld from them.

    Args:
        rights: ``patents,trademarks``.
        withhold: ``stakeholder,status_change`` for all these rights, or
            ``trademarks:stakeholder`` for one of them; several add up.

    Returns:
        The withheld classes of every shared right.

    Raises:
        InvalidRequest: a word is unknown (the message says what is allowed), or something
            would be withheld from a right that is not shared.
    """
    shared: dict[Right, frozenset[Disclosure]] = {
        _right(name): frozenset() for name in _split(rights)
    }
    for entry in withhold:
        head, colon, tail = entry.partition(":")
        classes = frozenset(_class(name) for name in _split(tail if colon else head))
        only = _right(head.strip()) if colon else None
        if only is not None and only not in shared:
            raise InvalidRequest(
                f"{only} is not among the shared rights, so nothing is withheld from it"
            )
        for right in shared if only is None else [only]:
            shared[right] |= classes
    return shared


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _right(name: str) -> Right:
    if name not in tuple(Right):
        raise InvalidRequest(f"{name!r} is not a right; there are {_words(Right)}")
    return Right(name)


def _class(name: str) -> Disclosure:
    if name == Disclosure.CORE:
        raise InvalidRequest("core cannot be withheld: who shares a right shares its core data")
    if name not in WITHHOLDABLE:
        raise InvalidRequest(f"{name!r} cannot be withheld; choose among {_words(WITHHOLDABLE)}")
    return Disclosure(name)


def _words(names: Iterable[str]) -> str:
    return ", ".join(names)
