"""Records under another name or in another file: told, counted, and not taken for gone."""

from typing import Any

import pytest

from ipregister.deliveries import Kind, Receipt, State


def test_a_record_under_another_name_is_told_and_does_not_vanish(desk: Any, ipas: Any) -> None:
    numbers = [f"KH/{number}/2019" for number in range(90_001, 90_101)]
    marks = [ipas.mark(number) for number in numbers]
    desk.deliver(ipas.marks(*marks), kind=Kind.FULL_EXTRACTION)
    marks[5] = marks[5].replace("TradeMark>", "Trademark>")
    done = desk.deliver(ipas.marks(*marks), kind=Kind.FULL_EXTRACTION)
    assert done.receipt == Receipt(recordsRead=100, rejected=1, unchanged=99)
    assert done.state is State.HELD
    assert list(desk.served()) == numbers
    finding = desk.found(done, "ALL.PKG.019")
    assert (finding["applicationNumber"], finding["value"]) == (numbers[5], "Trademark")
    assert "is no record here" in finding["message"]


@pytest.mark.parametrize(
    "name", ["KH2.xml.gz", "new/KH2.XML.txt", "20261122.xml.rar", "KH2.xml.bak", "more.7z"]
)
def test_packed_and_renamed_records_are_no_images(name: str, desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.zipped({"a.xml": ipas.marks(ipas.mark()), name: "\x1f\x8b"}))
    assert desk.found(done, "ALL.PKG.018")["value"] == name
