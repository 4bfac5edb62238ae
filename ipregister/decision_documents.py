"""A decision about a third party as a JSON document: read member by member, or refused.

Everything that is wrong is named at once, each member by its path (``rights[0].rows.kinds``),
in words that say what is allowed and repeat nothing of what was sent. The words of the
command line are ``authorization_forms``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from ipregister.authorizations import WITHHOLDABLE, Decision, Grant, TermsOfUse
from ipregister.dates import is_suspect_year
from ipregister.errors import InvalidMembers
from ipregister.model import Disclosure, Right, load_tables
from ipregister.row_rules import DATES, LISTS, RowRule

MAX_TEXT = 1_000
MAX_NETWORKS = 50
MAX_KINDS = 50

MEMBERS = (
    *("rights", "validFrom", "validUntil", "termsOfUse", "purpose", "allowedAddresses"),
    "reason",
)
RIGHT_MEMBERS = ("right", "withheld", "rows", "freeText")
ROW_MEMBERS = ("publishedOnly", *DATES, *LISTS)

_BETWEEN_WORDS = dict.fromkeys(map(ord, "\u200b\u200c\u200d"))
"""Characters nobody sees and Khmer, Lao and Burmese are written with."""

_MAPPED_BITS = 96
"""What stands before an IPv4 address that is written as IPv6 (RFC 4291 §2.5.5.2)."""

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KIND_CODE = re.compile("[A-Z][0-9]?")


def read_decision(document: object, *, needs_reason: bool = False) -> Decision:
    """Return the decision a document describes.

    Raises:
        InvalidMembers: with everything that is wrong with it.
    """
    reader = _Reader()
    decision = reader.decision(document, needs_reason=needs_reason)
    if reader.wrong:
        raise InvalidMembers(reader.wrong)
    return decision


def one_line(text: str) -> str | None:
    """Return what somebody gives as a reason or purpose, in one line.

    Nothing when it is empty, too long, or has characters that steer a terminal or turn a line.
    """
    line = " ".join(text.split())
    seen = line.translate(_BETWEEN_WORDS)
    return line if seen and len(line) <= MAX_TEXT and seen.isprintable() else None


def kinds_of(right: Right) -> dict[str, tuple[str, ...]]:
    """Return the words a rule may use for each list; none for any kind code (WIPO ST.16)."""
    table = load_tables()[right]
    words = {
        "rightKinds": table.field("rightKind").values,
        "filingRoutes": table.field("filingRoute").values,
    }
    if right is Right.TRADEMARKS:
        words["kinds"] = table.field("markKind").values
    elif right is Right.PATENTS:
        words["kinds"] = ()
    return words


@dataclass(slots=True)
class _Reader:
    """Reads members and remembers what is wrong with which."""

    wrong: dict[str, str] = field(default_factory=dict)

    def decision(self, document: object, *, needs_reason: bool) -> Decision:
        given = self._object("", document, MEMBERS)
        grants = self._grants(given.get("rights"))
        first, last = (self._day(name, given.get(name)) for name in ("validFrom", "validUntil"))
        if first and last and last < first:
            self.wrong["validUntil"] = "before validFrom: it would never hold"
        reason = self._text("reason", given.get("reason"))
        if needs_reason and not reason:
            self.wrong.setdefault("reason", "say why, in a sentence")
        return Decision(
            grants,
            first,
            last,
            self._terms(given.get("termsOfUse")),
            self._text("purpose", given.get("purpose")),
            self._networks(given.get("allowedAddresses", [])),
            reason,
        )

    def _grants(self, value: object) -> dict[Right, Grant]:
        if not isinstance(value, list) or not value:
            self.wrong["rights"] = "a list with at least one right; to share nothing, revoke"
            return {}
        grants: dict[Right, Grant] = {}
        for number, entry in enumerate(value[: len(Right) + 1]):
            path = f"rights[{number}]"
            given = self._object(path, entry, RIGHT_MEMBERS)
            name = given.get("right")
            if not isinstance(name, str) or name not in tuple(Right):
                self.wrong[f"{path}.right"] = f"one of {', '.join(Right)}"
                continue
            if Right(name) in grants:
                self.wrong[f"{path}.right"] = "named twice"
                continue
            grants[Right(name)] = self._grant(path, Right(name), given)
        return grants

    def _grant(self, path: str, right: Right, given: Mapping[str, Any]) -> Grant:
        withheld = self._words(f"{path}.withheld", given.get("withheld", []), WITHHOLDABLE)
        free_text = given.get("freeText", True)
        if not isinstance(free_text, bool):
            self.wrong[f"{path}.freeText"] = "true or false"
        rule = self._rule(f"{path}.rows", right, given.get("rows", {}))
        open_classes = frozenset(Disclosure) - {Disclosure(name) for name in withheld}
        return Grant(open_classes, rule, free_text is True)

    def _rule(self, path: str, right: Right, value: object) -> RowRule | None:
        given = self._object(path, value, ROW_MEMBERS)
        said: dict[str, Any] = {}
        only = given.get("publishedOnly", False)
        if isinstance(only, bool):
            said["publishedOnly"] = only
        else:
            self.wrong[f"{path}.publishedOnly"] = "true or false"
        for name in DATES:
            said[name] = self._day(f"{path}.{name}", given.get(name))
            if name in given and given[name] is None:
                self.wrong[f"{path}.{name}"] = "a day as YYYY-MM-DD; leave it out for all of them"
        known = kinds_of(right)
        for name in LISTS:
            if name not in given:
                continue
            if name not in known:
                self.wrong[f"{path}.{name}"] = f"{right} have no {name}"
            elif given[name] == []:
                # Whoever named the kinds one by one and took the last one out means none of them.
                self.wrong[f"{path}.{name}"] = "name at least one; leave it out for all of them"
            elif known[name]:
                words = self._words(f"{path}.{name}", given[name], known[name])
                said[name] = tuple(sorted(set(words)))
            else:
                said[name] = self._kind_codes(f"{path}.{name}", given[name])
        rule = RowRule(**said)
        for kind in ("application", "registration", "publication"):
            first, last = (getattr(rule, f"{kind}Date{end}") for end in ("From", "To"))
            if first and last and last < first:
                self.wrong[f"{path}.{kind}DateTo"] = f"before {kind}DateFrom: nothing is inside"
        return None if rule == RowRule() else rule

    def _object(self, path: str, value: object, members: Iterable[str]) -> Mapping[str, Any]:
        known = tuple(members)
        if not isinstance(value, dict):
            self.wrong[path or "."] = f"an object with members among {', '.join(known)}"
            return {}
        if unknown := len(value.keys() - set(known)):
            # Our own words only: what was sent is not repeated in an answer.
            self.wrong[path or "."] = f"{unknown} unknown member(s); known: {', '.join(known)}"
        return {name: value[name] for name in known if name in value}

    def _words(self, path: str, value: object, known: Iterable[str]) -> list[str]:
        words = tuple(known)
        if not isinstance(value, list) or len(value) > MAX_KINDS:
            self.wrong[path] = f"a list of {', '.join(words)}"
            return []
        if not all(isinstance(word, str) and word in words for word in value):
            self.wrong[path] = f"only {', '.join(words)}"
            return []
        return value

    def _kind_codes(self, path: str, value: object) -> tuple[str, ...]:
        if (
            not isinstance(value, list)
            or len(value) > MAX_KINDS
            or not all(isinstance(code, str) and _KIND_CODE.fullmatch(code) for code in value)
        ):
            self.wrong[path] = "a list of kind codes (WIPO ST.16) such as A, B1"
            return ()
        return tuple(sorted(set(value)))

    def _day(self, path: str, value: object) -> date | None:
        if value is None:
            return None
        if isinstance(value, str) and _DAY.fullmatch(value):
            try:
                day = date.fromisoformat(value)
            except ValueError:
                pass  # said below, as for every other text
            else:
                if not is_suspect_year(day.year):
                    return day
                self.wrong[path] = "the year is not of the Gregorian calendar"
                return None
        self.wrong[path] = "a day as YYYY-MM-DD"
        return None

    def _text(self, path: str, value: object) -> str | None:
        if value is None:
            return None
        text = one_line(value) if isinstance(value, str) else None
        if text is None:
            self.wrong[path] = f"a text of 1 to {MAX_TEXT} printable characters"
        return text

    def _terms(self, value: object) -> TermsOfUse:
        if value is None:
            return TermsOfUse.INTERNAL_USE
        if not isinstance(value, str) or value not in tuple(TermsOfUse):
            self.wrong["termsOfUse"] = f"one of {', '.join(TermsOfUse)}"
            return TermsOfUse.INTERNAL_USE
        return TermsOfUse(value)

    def _networks(self, value: object) -> tuple[str, ...]:
        try:
            if not isinstance(value, list) or len(value) > MAX_NETWORKS:
                raise ValueError
            if not all(isinstance(each, str) for each in value):
                raise ValueError
            return tuple(sorted({str(_network(each)) for each in value}))
        except ValueError:
            self.wrong["allowedAddresses"] = (
                f"at most {MAX_NETWORKS} networks such as 192.0.2.0/24 or 2001:db8::/32"
            )
            return ()


def _network(text: str) -> IPv4Network | IPv6Network:
    """Read a network as callers' addresses are: IPv4 written in IPv6 is IPv4.

    Raises:
        ValueError: it is no network, or one of a single machine's link.
    """
    network = ip_network(text)
    if isinstance(network, IPv4Network):
        return network
    first = network.network_address
    if first.scope_id is not None:
        raise ValueError
    if first.ipv4_mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((first.ipv4_mapped, network.prefixlen - _MAPPED_BITS))
