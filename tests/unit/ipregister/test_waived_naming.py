"""Designers who waived being named: the record says so, and says it once."""

from pathlib import Path

import pytest
from lxml import etree

from ipregister.mapping import mapping_for
from ipregister.model import Right

FIXTURES = Path(__file__).parents[2] / "fixtures"
DESIGN = "{http://www.wipo.int/standards/XMLSchema/ST96/Design}"


@pytest.mark.parametrize(
    ("said", "waived"),
    [(("true",), True), (("false",), False), (("false", "true"), True), (("true", "0"), True)],
)
def test_that_a_designer_waived_being_named_is_read_once(
    said: tuple[str, ...], waived: bool
) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    design = next(root.iter("{*}Design"))
    for _ in said[1:]:
        design.addnext(etree.fromstring(etree.tostring(design)))
    for element, text in zip(root.iter("{*}Design"), said, strict=True):
        etree.SubElement(element, f"{DESIGN}DesignerWaiverIndicator").text = text
    mapped = mapping_for("VN", Right.DESIGNS).apply(root, {}, {})
    assert mapped.row["designerWaivedNaming"] is waived
    assert [issue for issue in mapped.issues if issue.field == "designerWaivedNaming"] == []
