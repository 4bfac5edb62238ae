"""The change feed: what to do, in order, to hold exactly what the offices let you hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from asean_ip_hub_client.records import Record
from asean_ip_hub_client.transport import Transport


@dataclass(frozen=True, slots=True)
class Change:
    """One step: put a record (``upsert``) or drop it (``delete``, ``retract``).

    ``delete`` means that the office took the record away, ``retract`` that you may no longer
    hold what you have of it: drop it everywhere, backups included, as your authorization says.
    ``cause`` is ``source``, ``processing`` or ``authorization``.
    """

    type: Literal["upsert", "delete", "retract"]
    cause: str
    office: str
    right: str
    record_id: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes, and the cursor to keep once they are done."""

    changes: list[Change]
    cursor: str


class Changes:
    """The feed from a cursor on, or from the very beginning without one.

    ``cursor`` is where the feed stands after the last whole page that was handed out: keep it
    together with what you did, in one transaction where you can, and go on from it next time.
    """

    def __init__(
        self, transport: Transport, parameters: dict[str, str], cursor: str | None
    ) -> None:
        """Remember where to begin; nothing is sent yet."""
        self._transport, self._parameters, self.cursor = transport, parameters, cursor

    def pages(self) -> Iterator[Page]:
        """Yield pages until nothing more has happened.

        Raises:
            HubProblem: with the code ``resync_required`` when the hub no longer knows the
                cursor: begin again without one, and drop what does not come again.
        """
        more = True
        while more:
            asked = self._parameters | ({"cursor": self.cursor} if self.cursor else {})
            document = self._transport.get("/v1/changes", asked)
            page = Page([_change(item) for item in document["items"]], document["nextCursor"])
            yield page
            self.cursor, more = page.cursor, document["hasMore"]

    def __iter__(self) -> Iterator[Change]:
        """Yield the changes one by one."""
        for page in self.pages():
            yield from page.changes


def _change(item: dict[str, Any]) -> Change:
    return Change(
        type=item["changeType"],
        cause=item["cause"],
        office=item["officeCode"],
        right=item["right"],
        record_id=item["recordId"],
        record=item.get("record"),
    )
