"""A hub with a desk where tests hand in deliveries; loaded by ``conftest.py``.

``Desk`` is the hub seen from an office: files in, a delivery with its receipt and findings
out, and what third parties would read. ``mark`` and ``marks`` write small IPAS documents.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from connectors.hub import Hub
from connectors.ledger import DeliveredFile, Delivery
from connectors.serving_store import START, Filters
from connectors.settings import Settings
from ipregister.authorizations import Grant
from ipregister.deliveries import Kind
from ipregister.model import Disclosure, Right
from pipelines.ingest import process_delivery

EVERYTHING = Grant(frozenset(Disclosure))
ROOT = (
    '<Transaction xmlns="http://www.wipo.int/standards/XMLSchema/trademarks" '
    'xmlns:wo="http://www.wipo.int/standards/XMLSchema/wo-trademarks">'
)


@dataclass
class Desk:
    """A hub; an hour passes with every delivery."""

    hub: Hub
    now: datetime = field(default_factory=lambda: datetime(2026, 11, 22, 3, tzinfo=UTC))

    def hand_in(
        self,
        *files: bytes | str,
        office: str = "KH",
        right: Right = Right.TRADEMARKS,
        kind: Kind = Kind.UPDATE,
        names: tuple[str, ...] = (),
    ) -> Delivery:
        """Land files and record them as one delivery, as every door does."""
        self.now += timedelta(hours=1)
        delivered = []
        for number, content in enumerate(files):
            content = content.encode() if isinstance(content, str) else content
            landed = self.hub.landing.put(io.BytesIO(content))
            suffix = "zip" if content[:2] == b"PK" else "xml"
            name = names[number] if names else f"part{number}.{suffix}"
            delivered.append(DeliveredFile(name, landed.sha256, landed.bytes))
        return self.hub.ledger.deliveries.record(
            office, right, kind, "local", delivered, at=self.now, by="test"
        )

    def process(self, delivery: Delivery) -> Delivery:
        """Take one delivery to its end, without Dagster."""
        done = process_delivery(
            self.hub, delivery.deliveryId, worker="test", clock=lambda: self.now
        )
        assert done is not None
        assert done.receipt is not None
        assert done.receipt.adds_up()
        return done

    def deliver(self, *files: bytes | str, **what: Any) -> Delivery:
        """Hand in and process."""
        return self.process(self.hand_in(*files, **what))

    def findings(self, delivery: Delivery) -> list[dict[str, Any]]:
        """Return every finding of a delivery."""
        return pq.read_table(self.hub.home.findings(delivery.deliveryId)).to_pylist()  # type: ignore[no-any-return]

    def found(self, delivery: Delivery, code: str) -> dict[str, Any]:
        """Return the only finding of one rule."""
        matching = [each for each in self.findings(delivery) if each["ruleCode"] == code]
        assert len(matching) == 1, (code, matching, self.findings(delivery))
        return matching[0]

    def served_bytes(self, office: str = "KH", right: Right = Right.TRADEMARKS) -> dict[str, bytes]:
        """Return what a third party that may see everything reads, by application number."""
        page = self.hub.serving.page(
            office, right, EVERYTHING, Filters(), after=START, limit=10_000
        )
        return {json.loads(body).get("applicationNumber", ""): body for body in page.bodies}

    def served(
        self, office: str = "KH", right: Right = Right.TRADEMARKS
    ) -> dict[str, dict[str, Any]]:
        """Return the same as documents."""
        return {name: json.loads(body) for name, body in self.served_bytes(office, right).items()}


def open_desk(home: Path, **settings: Any) -> Desk:
    """Return a desk at a hub in ``home``, which is made when it is not there."""
    return Desk(Hub.create(Settings(home=home, workers=1, **settings)))


def mark(
    number: str = "KH/90001/2019",
    word: str = "LUMATIVA",
    *,
    office: str = "KH",
    status: str = "Filed",
    filed: str = "2019-05-02",
    applicant: str = "Veldara Co., Ltd.",
    image: str = "",
    more: str = "",
) -> str:
    """Return one record element of the IPAS dialect; ``more`` is put in as it is."""
    picture = f"<MarkImageFilename>{image}</MarkImageFilename>" if image else ""
    given = f"<ApplicationNumber>{number}</ApplicationNumber>" if number else ""
    return (
        f"<TradeMark><RegistrationOfficeCode>{office}</RegistrationOfficeCode>\n{given}"
        f"<ApplicationDate>{filed}</ApplicationDate><KindMark>Individual</KindMark>"
        f"<MarkFeature>Word</MarkFeature><MarkImageDetails><MarkImage>{picture}</MarkImage>"
        "</MarkImageDetails><GoodsServicesDetails><GoodsServices><ClassDescriptionDetails>"
        "<ClassDescription><ClassNumber>30</ClassNumber><GoodsServicesDescription "
        'languageCode="en">rice and noodles</GoodsServicesDescription></ClassDescription>'
        "</ClassDescriptionDetails></GoodsServices></GoodsServicesDetails>"
        "<ApplicantDetails><Applicant><ApplicantAddressBook><FormattedNameAddress><Name>"
        '<FreeFormatName><FreeFormatNameDetails><FreeFormatNameLine languageCode="en">'
        f"{applicant}</FreeFormatNameLine></FreeFormatNameDetails></FreeFormatName></Name>"
        "<Address><AddressCountryCode>KH</AddressCountryCode></Address></FormattedNameAddress>"
        "</ApplicantAddressBook></Applicant></ApplicantDetails><wo:WordMarkSpecification>"
        f'<wo:MarkVerbalElementText languageCode="en">{word}</wo:MarkVerbalElementText>'
        f"</wo:WordMarkSpecification>{more}"
        f"<wo:MarkCurrentStatusCode>{status}</wo:MarkCurrentStatusCode></TradeMark>\n"
    )


def marks(*records: str, root: str = ROOT) -> str:
    """Return one IPAS document; the first record's first line is line 2."""
    return (
        f"{root}<TradeMarkTransactionBody><TransactionContentDetails>"
        "<TransactionCode>Trademark</TransactionCode>"
        "<TransactionSubCode>Domestic Trademark</TransactionSubCode>"
        f"<TransactionData><TradeMarkApplication><TradeMarkDetails>\n{''.join(records)}"
        "</TradeMarkDetails></TradeMarkApplication></TransactionData>"
        "</TransactionContentDetails></TradeMarkTransactionBody></Transaction>"
    )


def zipped(members: Mapping[str, bytes | str]) -> bytes:
    """Return a ZIP whose bytes depend on its members only."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return sink.getvalue()
