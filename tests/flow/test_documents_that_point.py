"""Documents that point to a file or an address: what is there is neither read nor called."""

import socket
from pathlib import Path
from typing import Any

import pytest

from ipregister.deliveries import State

POINTS_OUT = {
    "document type": ('<!DOCTYPE Transaction SYSTEM "{}">', ""),
    "stylesheet": ('<?xml-stylesheet href="{}" type="text/xsl"?>', ""),
    "schema": (
        "",
        '<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:a {}"/>',
    ),
    "inclusion": (
        "",
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}" parse="text"/>',
    ),
}
"""Before the document, and in its record."""


@pytest.mark.parametrize("what", POINTS_OUT)
def test_nothing_a_document_points_to_is_read_or_called(
    desk: Any, ipas: Any, tmp_path: Path, what: str
) -> None:
    canary = tmp_path / "canary.txt"
    canary.write_text("CANARY")
    before, inside = POINTS_OUT[what]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        for place in (canary.as_uri(), f"http://127.0.0.1:{listener.getsockname()[1]}/x"):
            pointer = inside.format(place)
            record = ipas.mark(word=f"LUMATIVA {pointer}", more=pointer)
            delivery = desk.deliver(before.format(place) + ipas.marks(record))
            assert delivery.receipt.recordsRead == 1
            assert delivery.state is not State.REJECTED
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert b"LUMATIVA" in desk.served_bytes()["KH/90001/2019"]
    assert b"CANARY" not in b"".join(desk.served_bytes().values())
