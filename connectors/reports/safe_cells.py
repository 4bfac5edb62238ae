"""What a cell may hold when a spreadsheet opens it: text that stays text.

A value that an office or an applicant wrote must never run as a formula on an officer's
machine. JSON stays verbatim; it is the lossless form.

Source: OWASP, CSV injection.
"""

import re

ACTIVE = re.compile(
    r"(?:^|(?<=[;\t\r\n]))(?=[\s\ufeff\u200b]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
)
"""Where a cell starts with a character that spreadsheets act on, full-width forms among them.

Also after a semicolon or a line break in the text: a spreadsheet of a locale that separates
by semicolons starts a new cell there.
"""

CELL_CHARACTERS = 32_767
"""The longest text a cell of Excel holds; a longer one would be left out without a word."""

_UNSEEN = (
    *range(0x20),
    *range(0x7F, 0xA0),
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
_SHOWN = {code: f"\u27e6U+{code:04X}\u27e7" for code in _UNSEEN if chr(code) not in "\t\n\r"}
_HIDDEN = re.compile(f"[{''.join(map(chr, _SHOWN))}]")
"""Control characters, and those that turn the direction of text: a name could pose as another.

Joiners and zero-width spaces stay: Khmer, Thai and Burmese are written with them.
"""

_SUSPECT = re.compile(f"[;\t\r\n{''.join(map(chr, _SHOWN))}]")
"""What can make a text need a change that begins with a letter or a digit."""


def for_csv(value: object) -> str:
    """Return one cell of a CSV file; an apostrophe goes before what would be active."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    if value[:1].isalnum() and not _SUSPECT.search(value):
        return value  # nine texts in ten, and a tenth of the time
    return ACTIVE.sub("'", visible(value))


def for_xlsx(value: object) -> str:
    """Return one text cell of a workbook; it is written as a string and never as a formula."""
    return "" if value is None else visible(str(value))[:CELL_CHARACTERS]


def visible(text: str) -> str:
    """Return a text in which what cannot be seen can: ``\u27e6U+0007\u27e7`` for a bell."""
    # Nearly no text has any, and translating one that has none costs ten times the look.
    return text.translate(_SHOWN) if _HIDDEN.search(text) else text
