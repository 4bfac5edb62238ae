"""The status of single designs: each one's own in a list, the first one's for the record."""

from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from ipregister.errors import ConfigurationError
from ipregister.levels import PASSED
from ipregister.mapping import Mapped, RecordMapping, mapping_for
from ipregister.model import Right
from ipregister.profiles import Entry

FIXTURES = Path(__file__).parents[2] / "fixtures"
MAPPING = mapping_for("VN", Right.DESIGNS)
FIRST = {"officeStatus": "Registered", "status": "registered", "statusDate": date(2021, 11, 29)}


def designs(*said: tuple[str | None, str | None], number: bool = True) -> Mapped:
    """Return an application with a design for each category of status and its date."""
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    bag = next(root.iter("{*}DesignBag"))
    [design] = bag
    bag[:] = [etree.fromstring(etree.tostring(design)) for _ in said]
    for position, (inner, values) in enumerate(zip(bag, said, strict=True), 1):
        identifier = next(inner.iter("{*}DesignIdentifier"))
        identifier.text = str(position)
        if not number:
            inner.remove(identifier)
        for name, text in zip(("Category", "Date"), values, strict=True):
            [told] = inner.iterfind(f"{{*}}DesignCurrentStatus{name}")
            told.text = text
            if text is None:
                inner.remove(told)
    unknown: dict = {}
    mapped = MAPPING.apply(root, {}, unknown)
    assert unknown == {}
    return mapped


def of_record(mapped: Mapped) -> dict:
    return {name: mapped.row[name] for name in FIRST if name in mapped.row}


def test_each_design_has_its_own_status_and_the_record_the_first_ones() -> None:
    mapped = designs(("Registered", "2021-11-29"), ("Withdrawn", "2023-05-02"))
    assert mapped.row["designStatuses"] == [
        {"designIdentifier": "1"} | FIRST,
        {
            "designIdentifier": "2",
            "officeStatus": "Withdrawn",
            "status": "withdrawn",
            "statusDate": date(2023, 5, 2),
        },
    ]
    assert (of_record(mapped), mapped.issues) == (FIRST, [])


def test_a_design_nothing_is_said_of_has_no_status() -> None:
    mapped = designs((None, None), ("Registered", "2021-11-29"))
    assert mapped.row["designStatuses"] == [{"designIdentifier": "2"} | FIRST]
    assert [lines[PASSED] for lines in mapped.lines["designStatuses"]] == [1]
    assert (of_record(mapped), mapped.issues) == (FIRST, [])


def test_the_record_has_the_date_of_the_design_whose_status_it_has() -> None:
    mapped = designs(("Registered", None), ("Expired", "2023-05-02"))
    assert of_record(mapped) == {"officeStatus": "Registered", "status": "registered"}
    mapped = designs((None, "2023-05-02"), ("Registered", "2021-11-29"))
    assert (of_record(mapped), mapped.issues) == (FIRST, [])
    assert mapped.row["designStatuses"][0] == {
        "designIdentifier": "1",
        "statusDate": date(2023, 5, 2),
    }


@pytest.mark.parametrize("status", ["Registered", "Expired", "Withdrawn", None])
def test_only_the_event_that_ended_the_application_dates_its_end(status: str | None) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    bag = next(root.iter("{*}DesignBag"))
    bag.append(etree.fromstring(etree.tostring(bag[0])))
    for inner, said in zip(bag, (status, "Withdrawn"), strict=True):
        told = next(inner.iter("{*}DesignCurrentStatusCategory"))
        told.text = said
    next(bag[1].iter("{*}DesignEventCategory")).text = "Withdrawn"
    row = MAPPING.apply(root, {}, {}).row
    assert [told["category"] for told in row["statusEvents"]] == [
        "registered",
        "withdrawn",
        "filed",
    ]
    has_ended = row["status"] == "withdrawn"
    assert has_ended is (status not in ("Registered", "Expired"))
    assert row.get("terminationDate") == (date(2021, 11, 29) if has_ended else None)


def test_designs_without_numbers_stand_in_their_order() -> None:
    mapped = designs(*3 * [("Registered", "2021-11-29")], number=False)
    assert mapped.row["designStatuses"] == 3 * [FIRST]


def test_what_is_wrong_with_one_status_stands_in_its_design() -> None:
    mapped = designs(("Registered", "2021-11-29"), ("Sleeping", "2023-13-02"))
    path = "DesignApplication/DesignBag/Design[2]/DesignCurrentStatus"
    assert [(issue.code, issue.field, issue.source) for issue in mapped.issues] == [
        ("ALL.CNF.006", "designStatuses[1].status", f"{path}Category"),
        ("ALL.CNF.002", "designStatuses[1].statusDate", f"{path}Date"),
    ]
    assert MAPPING.element_path("designStatuses[1].officeStatus") == f"{path}Category"
    told = designs(("Sleeping", "2021-11-29"))
    assert [(issue.code, issue.field) for issue in told.issues] == [("ALL.CNF.006", "status")]


def test_what_stands_in_a_design_is_numbered_in_it() -> None:
    path = MAPPING.element_path("designs[1].views[2].fileName")
    assert path == (
        "DesignApplication/DesignBag/Design[2]/DesignRepresentationBag/DesignRepresentation/"
        "ViewBag/View[3]/FileName"
    )


def test_a_list_inside_another_item_of_the_same_element_is_refused() -> None:
    elements = MAPPING.format.elements
    both = (Entry(item="designs"), Entry(item="designs.views"))
    format = MAPPING.format.model_copy(
        update={"elements": elements | {"DesignBag/Design": both}, "route": (), "derive": ()}
    )
    with pytest.raises(ConfigurationError, match="no element above opens 'designs'"):
        RecordMapping("VN", Right.DESIGNS, format)
