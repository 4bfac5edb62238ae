"""Records page by page, as an iterable that asks for the next page when it is needed."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from asean_ip_hub_client.errors import HubError
from asean_ip_hub_client.transport import Transport

if TYPE_CHECKING:
    import pandas

Record = dict[str, Any]
"""One record as the hub's data dictionary describes it; a member that is absent is unknown or
not shared with you."""


class Records:
    """The records of one office and right that match some filters; iterate as often as needed."""

    def __init__(self, transport: Transport, path: str, parameters: Mapping[str, str]) -> None:
        """Remember what to ask; nothing is sent yet."""
        self._transport, self._path, self._parameters = transport, path, dict(parameters)

    def pages(self) -> Iterator[list[Record]]:
        """Yield the pages, by application number, or in the order asked for."""
        cursor: str | None = None
        while True:
            asked = self._parameters | ({"cursor": cursor} if cursor else {})
            page = self._transport.get(self._path, asked)
            yield page["items"]
            if (cursor := page.get("nextCursor")) is None:
                return

    def count(self, *, estimate: bool = False) -> int:
        """Return how many records there are; an estimate is quick whatever the filters are."""
        asked = self._parameters | {"limit": "1", "count": "estimate" if estimate else "exact"}
        return int(self._transport.get(self._path, asked)["count"])

    def __iter__(self) -> Iterator[Record]:
        """Yield the records one by one."""
        for page in self.pages():
            yield from page

    def to_pandas(self) -> "pandas.DataFrame":
        """Return all of them as a table, one row per record; nested members stay objects.

        Raises:
            HubError: pandas is not installed.
        """
        try:
            pandas: Any = import_module("pandas")
        except ImportError as exc:
            raise HubError("pip install pandas to get a DataFrame") from exc
        frame: pandas.DataFrame = pandas.DataFrame(list(self))
        return frame
