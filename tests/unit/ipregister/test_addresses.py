"""An address that ST.66 writes in parts is read with all of them, in their order."""

from pathlib import Path

import pytest
from lxml import etree

from ipregister.mapping import mapping_for
from ipregister.model import Right

MARK = Path(__file__).parents[2] / "fixtures/kh/trademarks/domestic.xml"
PARTS = {
    "AddressPostOfficeBox": "PO Box 87",
    "AddressRoom": "Room 4",
    "AddressFloor": "Floor 2",
    "AddressBuilding": "Lantern House",
    "AddressStreet": "5 Example Lantern Road",
    "AddressCity": "Kampot",
    "AddressCounty": "Teuk Chhou District",
    "AddressState": "Kampot Province",
    "AddressPostcode": "07000",
    "FormattedAddressCountryCode": "KH",
}


@pytest.mark.parametrize("role", ["applicants", "representatives"])
def test_no_part_of_an_address_is_left_out(role: str) -> None:
    record = next(etree.parse(MARK).getroot().iter("{*}TradeMark"))
    (party,) = record.iter(
        {"applicants": "{*}Applicant", "representatives": "{*}Representative"}[role]
    )
    address = next(party.iter("{*}Address"))
    address[:] = [etree.Element("FormattedAddress")]
    for name, text in PARTS.items():
        etree.SubElement(address[0], name).text = text
    unknown: dict[str, object] = {}
    read = mapping_for("KH", Right.TRADEMARKS).apply(record, {}, unknown).row[role][0]
    assert unknown == {}
    assert read["addressLines"] == [
        "PO Box 87",
        "Room 4",
        "Floor 2",
        "Lantern House",
        "5 Example Lantern Road",
        "Teuk Chhou District",
    ]
    assert (read["cityName"], read["regionName"]) == ("Kampot", "Kampot Province")
    assert (read["postalCode"], read["countryCode"]) == ("07000", "KH")
