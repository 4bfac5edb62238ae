"""The originating offices: ST.3 code, name, languages, the rights they send, their folders.

One value for everything that has to walk through all offices. How an office writes its
records is ``profiles``; who may use its folder is the affair of whoever runs the exchange.

Standard: WIPO ST.3 for codes; the folder tree is the one agreed for the exchange,
``/ipob_xx/{Patents,Trademarks,Designs}/{Full_Extraction,Updates}``.
"""

from dataclasses import dataclass
from functools import cache

from ipregister import profiles
from ipregister.deliveries import FOLDERS, RIGHT_FOLDERS, Kind
from ipregister.model import Right


@dataclass(frozen=True, slots=True)
class Office:
    """One originating office.

    ``languages`` are ISO 639-1 codes, the office's own language first. ``rights`` are those
    the hub has a format for: an office may send fewer.
    """

    code: str
    name: str
    languages: tuple[str, ...]
    rights: tuple[Right, ...]

    @property
    def account(self) -> str:
        """Return the name of the office's SFTP account and top folder, ``ipob_kh``."""
        return f"ipob_{self.code.lower()}"

    def folder(self, right: Right, kind: Kind) -> str:
        """Return the lane for one right, ``/ipob_kh/Trademarks/Updates``."""
        return f"/{self.account}/{RIGHT_FOLDERS[right]}/{FOLDERS[kind]}"


@cache
def originating_offices() -> tuple[Office, ...]:
    """Return every office that has a profile, by ST.3 code.

    Raises:
        ConfigurationError: a profile is not valid.
    """
    return tuple(_office(profiles.load_profile(code)) for code in profiles.offices())


def _office(profile: profiles.Profile) -> Office:
    rights = tuple(right for right in Right if right in profile.rights)
    return Office(profile.office, profile.name, profile.languages, rights)
