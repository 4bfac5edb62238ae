"""Pictures that several designs of one application share: told by name, for the office to find."""

from pathlib import Path
from typing import Any

from ipregister.model import Right

SEVERAL = Path(__file__).parents[1] / "fixtures/kh/designs/full_2026-09.xml"
PNG = b"\x89PNG\r\n\x1a\n and so on"


def test_a_picture_of_two_designs_is_told_by_its_names(desk: Any, ipas: Any) -> None:
    start, end = "<dgn:Design>", "</dgn:Design>"
    text = SEVERAL.read_text("utf-8")
    first = text[text.index(start) : text.index(end) + len(end)]
    second = first.replace("ATTACHMENT/view_1_", "ATTACHMENT/view_2_")
    second = second.replace("<dgn:DesignIdentifier>1", "<dgn:DesignIdentifier>2")
    members = {
        f"ATTACHMENT/view_{design}_{view}.png": PNG
        + bytes([view if view == 1 else 10 * design + view])
        for design in (1, 2)
        for view in (1, 2, 3)
    }
    document = text.replace(first, first + second, 1)
    done = desk.deliver(ipas.zipped({"a.xml": document} | members), right=Right.DESIGNS)
    found = [each for each in desk.findings(done) if each["ruleCode"] == "DS.CNS.004"]
    assert found, desk.findings(done)
    named = {name for name in members if name in found[0]["message"]}
    assert named == {"ATTACHMENT/view_1_1.png", "ATTACHMENT/view_2_1.png"}
