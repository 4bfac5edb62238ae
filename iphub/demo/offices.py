"""The demo offices: how each writes numbers, kinds and statuses.

Invented registers of real ST.3 codes, so that the profiles under ``offices/`` are used as
they are. Serial numbers start at 90,000, above what the offices have issued in a year, so
that no number means a real right. Mapping the other way round lives in ``offices/*.yaml``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

ENGLISH = {
    "filed": "Filed",
    "pending": "Examined",
    "published": "Published",
    "registered": "Registered",
    "expired": "Expired",
    "withdrawn": "Withdrawn",
    "refused": "Rejected",
}
VIETNAMESE = {
    "filed": "Đang giải quyết",
    "pending": "Đang giải quyết",
    "published": "Công bố",
    "registered": "Cấp bằng",
    "expired": "Hết hạn",
    "withdrawn": "Rút đơn",
    "refused": "Từ chối",
}


@dataclass(frozen=True, slots=True)
class DemoOffice:
    """One office of the demo and its ways; numbers are ``str.format`` patterns.

    ``single_file`` offices send all their trademarks in one XML file, others send ZIPs
    with one member per record.
    """

    code: str
    language: str
    mark: str
    transaction: tuple[str, str]
    madrid: tuple[str, str, str] | None = None
    patent: str | None = None
    utility: str | None = None
    design: str | None = None
    statuses: Mapping[str, str] = field(default_factory=lambda: ENGLISH)
    single_file: bool = False

    @property
    def folder(self) -> str:
        """Return the office's folder under the root of the SFTP server."""
        return f"ipob_{self.code.lower()}"


OFFICES = (
    DemoOffice(
        code="KH",
        language="km",
        mark="KH/{serial}/{year}",
        transaction=("Trademark", "Domestic Trademark"),
        madrid=("Madrid Designated", "Madrid Mark", "KH/{irn}/M"),
        patent="KH/P/{year}/{serial}",
        utility="KH/U/{year}/{serial}",
        design="KH/D/{year}/{serial}",
    ),
    DemoOffice(
        code="LA",
        language="lo",
        mark="{serial}",
        transaction=("Trademark - Individual", "TM Individual"),
        madrid=("Trademark - Madrid", "Trademark - Madrid", "M/{irn}"),
        design="I/{serial}",
    ),
    DemoOffice(
        code="MM",
        language="my",
        mark="MM/T/{year}/{serial:06d}",
        transaction=("Trademark", ""),
    ),
    DemoOffice(
        code="TH",
        language="th",
        mark="{yy:02d}01{serial:05d}",
        transaction=("Trademark", "National"),
        patent="{yy:02d}01{serial:06d}",
        utility="{yy:02d}03{serial:06d}",
        design="{yy:02d}02{serial:06d}",
    ),
    DemoOffice(
        code="VN",
        language="vi",
        mark="4-{year}-{serial:05d}",
        transaction=("TradeMark", ""),
        patent="1-{year}-{serial:05d}",
        utility="2-{year}-{serial:05d}",
        design="3-{year}-{serial:05d}",
        statuses=VIETNAMESE,
        single_file=True,
    ),
)


def office(code: str) -> DemoOffice:
    """Return a demo office by its ST.3 code.

    Raises:
        KeyError: the demo has no such office.
    """
    return {entry.code: entry for entry in OFFICES}[code]
