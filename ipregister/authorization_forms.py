"""How people write down what is shared: words of the command line, checked.

Every refusal says what is allowed. What a decision means is ``authorizations``.
"""

from collections.abc import Iterable, Mapping

from ipregister.authorizations import WITHHOLDABLE
from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure, Right
from ipregister.row_rules import LISTS


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


def parse_rows(rights: Iterable[Right], rows: Iterable[str]) -> dict[Right, dict[str, object]]:
    """Read the written form of row rules: one condition each, for all rights or for one.

    Args:
        rights: the rights that are shared.
        rows: ``publishedOnly``, ``applicationDateFrom=2020-01-01``,
            ``trademarks:kinds=individual+collective``.

    Returns:
        The rules as documents, for ``decision_documents`` to check.

    Raises:
        InvalidRequest: something is said of a right that is not shared.
    """
    rules: dict[Right, dict[str, object]] = {right: {} for right in rights}
    for entry in rows:
        head, colon, tail = entry.partition(":")
        left, equals, value = (tail if colon else head).partition("=")
        name = left.strip()
        only = _right(head.strip()) if colon else None
        if only is not None and only not in rules:
            raise InvalidRequest(f"{only} is not among the shared rights, so it has no rows")
        said: object = True
        if equals:
            said = [word.strip() for word in value.split("+")] if name in LISTS else value.strip()
        for right in rules if only is None else [only]:
            rules[right][name] = said
    return rules


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
