"""Invented people, companies, brands and addresses in English and five scripts of the region.

The words are data (``words.yaml``); this module only combines them with a seeded generator.
Nothing here names a real person, company or product. What a record is made of does not
belong here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

import yaml

Texts = tuple[tuple[str, str], ...]
"""Texts with their language codes (ISO 639-1)."""

FOREIGN = ("SG", "JP", "DE", "US", "KR", "FR")


@dataclass(frozen=True, slots=True)
class Party:
    """An applicant, agent, inventor or designer as an office writes it."""

    names: Texts
    country: str
    address: str
    identifier: str = ""


@cache
def words() -> Mapping[str, Any]:
    """Return the vocabulary of the demo registers."""
    document: dict[str, Any] = yaml.safe_load(
        files("iphub.demo").joinpath("words.yaml").read_text("utf-8")
    )
    return document


def generator(*seed: object) -> Random:
    """Return a random generator that depends on nothing but ``seed``."""
    return Random("/".join(map(str, seed)))  # noqa: S311 demo data, no secret depends on it


class Inventor:
    """Invents names for the records of one office; equal seeds invent equal names."""

    def __init__(self, random: Random, office: str, language: str) -> None:
        self.random, self.office, self.language = random, office, language
        self._words = words()

    def pick(self, *path: str | int) -> Any:
        """Return one entry of the list at ``path`` in the vocabulary."""
        entries: Any = self._words
        for step in path:
            entries = entries[step]
        return entries[int(self.random.random() * len(entries))]

    def brand(self, language: str = "en") -> tuple[str, str]:
        """Return an invented brand word and what it means in English (empty: nothing)."""
        if language == "en":
            return (self.pick("stems", "en", 0) + self.pick("stems", "en", 1)).upper(), ""
        stems: Sequence[str] = self._words["stems"][language]
        place = int(self.random.random() * len(stems))
        return stems[place], self._words["meanings"][language][place]

    def company(self, *, foreign: bool = False) -> Party:
        """Return an invented company; domestic ones carry their local and their English name."""
        latin = (self.pick("stems", "en", 0) + self.pick("stems", "en", 1)).capitalize()
        if foreign:
            country = FOREIGN[int(self.random.random() * len(FOREIGN))]
            name = self.pick("companies", "en").format(latin)
            return Party(((name, "en"),), country, self.address(country))
        local = self.pick("companies", self.language).format(self.pick("stems", self.language))
        names = ((local, self.language), (f"{latin} Co., Ltd.", "en"))
        return Party(names, self.office, self.address(self.office))

    def person(self, *, foreign: bool = False) -> Party:
        """Return an invented person."""
        language = "en" if foreign else self.language
        country = FOREIGN[int(self.random.random() * len(FOREIGN))] if foreign else self.office
        parts = (self.pick("people", language, 0), self.pick("people", language, 1))
        name = " ".join(parts)
        return Party(((name, language),), country, self.address(country))

    def agency(self) -> Party:
        """Return an invented agent of the office's own country."""
        latin = (self.pick("stems", "en", 0) + self.pick("stems", "en", 1)).capitalize()
        name = self.pick("agencies", "en").format(latin)
        number = f"{self.office}-A{int(self.random.random() * 900) + 100}"
        return Party(((name, "en"),), self.office, self.address(self.office), number)

    def address(self, country: str) -> str:
        """Return an address in a real city and a street that does not exist."""
        number = int(self.random.random() * 480) + 1
        return f"{number} {self.pick('streets', 'en')}, {self.pick('cities', country)}"
