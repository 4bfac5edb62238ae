"""Which version of mapping and rules a delivery was read with.

The version is the hash of everything that is data: the office's profile laid over its format,
the table and the rules. A change of the program itself is not in it.
"""

import hashlib
from functools import cache

from ipregister.model import Right, load_tables
from ipregister.profiles import load_profile
from ipregister.quality import rules_for

DIGITS = 16
"""64 bits of the hash: versions of one office and right are a few dozen."""


@cache
def processing_version(office: str, right: Right) -> str:
    """Return the version with which one office's deliveries of a right are read now.

    Raises:
        ConfigurationError: the office has no valid profile or does not send this right.
    """
    profile = load_profile(office)
    described = [
        profile.format_of(right).model_dump_json(),
        *(f"{code} {rule.model_dump_json()}" for code, rule in sorted(profile.rules.items())),
        load_tables()[right].model_dump_json(),
        *(rule.model_dump_json() for rule in rules_for(right)),
    ]
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:DIGITS]
