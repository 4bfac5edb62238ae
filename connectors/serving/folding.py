"""How texts, numbers and symbols are compared: the same folding when stored and when asked.

Folding is for searching only; what is served is verbatim. Latin accents fold away ("pho"
finds "phở"), marks of other scripts stay: without its vowel signs a Thai or Khmer word is
another word. Only the order in which signs of one letter were typed does not matter.

Standard: Unicode NFKC and case folding (UAX #15, UAX #21).
"""

import re
import unicodedata
from functools import lru_cache

_LATIN_MARKS = re.compile("[\u0300-\u036f]")
_UNSEEN = re.compile(
    "[\u00ad\u061c\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
"""What nobody sees (Default_Ignorable_Code_Point): word breaks in Khmer and Thai texts, present or
not at will; soft hyphens, marks of direction and variants that come along with what is copied."""


_MARKS = re.compile(
    "[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]{2,}"  # Thai
    "|[\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece]{2,}"  # Lao
    "|[\u102b-\u1038\u103a-\u103e]{2,}"  # Burmese, but for the stacker, which binds a letter
    "|[\u17b6-\u17d1\u17d3\u17dd]{2,}"  # Khmer, likewise
)
"""Signs on one letter. They look the same in any order and are typed in any; Unicode's own
ordering leaves them alone (tone before vowel sign or behind, and what SARA AM is made of)."""

_FIRST = (
    "\u0ebc"  # Lao
    "\u103b\u103c\u103d\u103e\u1031\u102d\u102e\u1032\u102f\u1030\u102b\u102c\u1036\u1037\u103a\u1038"
    "\u17cc\u17c9\u17ca"  # Khmer
)
"""Signs in the order in which they are written where it is not that of their numbers, which the
others follow: what is written in this order is not changed, so each part of it is found."""

_SIGNS = dict.fromkeys(_FIRST + "".join(map(chr, range(0x0E31, 0x17DE))))
_PLACES = {sign: place for place, sign in enumerate(_SIGNS)}


def fold_text(text: str) -> str:
    """Return ``text`` for comparison of words: case, width, Latin accents and spacing folded."""
    if text.isascii():
        return " ".join(text.lower().split())
    plain = unicodedata.normalize("NFKD", _UNSEEN.sub("", text)).casefold()
    plain = _LATIN_MARKS.sub("", plain).replace("\u0111", "d")
    plain = _MARKS.sub(lambda found: "".join(sorted(found[0], key=_PLACES.__getitem__)), plain)
    return " ".join(unicodedata.normalize("NFC", plain).split())


def fold_number(number: str) -> str:
    """Return an office number for comparison: width and case folded, no white space."""
    plain = number if number.isascii() else unicodedata.normalize("NFKC", number)
    return "".join(plain.upper().split())


@lru_cache(maxsize=65_536)
def fold_symbol(scheme: str, symbol: str) -> str:
    """Return a classification symbol for comparison; Nice and Locarno lose leading zeros."""
    folded = fold_number(symbol)
    if scheme in ("nice", "locarno"):
        return re.sub(r"(?<![0-9])0+(?=[0-9])", "", folded)
    return folded
