"""The hub as a third party sees it: who am I, which offices, records, changes."""

from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from asean_ip_hub_client.changes import Changes
from asean_ip_hub_client.credentials import Credentials, Secret
from asean_ip_hub_client.records import Record, Records
from asean_ip_hub_client.transport import Transport

PAGE_SIZE = 1000
"""The most the hub gives at a time; fewer requests for the same records."""


class Hub:
    """One hub, reached with the credentials of one client; may be shared between threads."""

    def __init__(
        self,
        base_url: str,
        client: str | Credentials,
        secret: str | None = None,
        *,
        timeout_seconds: float = 60.0,
    ) -> None:
        """Prepare; nothing is sent until something is asked.

        Args:
            base_url: ``https://hub.example``.
            client: the client identifier, with ``secret``; or a ``PrivateKey``.
            secret: the client's secret.
            timeout_seconds: the longest wait for one answer.

        Raises:
            ValueError: no address, or not one way to sign in.
        """
        if isinstance(client, str):
            if secret is None:
                raise ValueError("give the client's secret, or a PrivateKey as client")
            client = Secret(client, secret)
        elif secret is not None:
            raise ValueError("a PrivateKey needs no secret")
        self.transport = Transport(base_url, client, timeout_seconds=timeout_seconds)

    def me(self) -> dict[str, Any]:
        """Return who you are and what each office lets you see."""
        document: dict[str, Any] = self.transport.get("/v1/me")
        return document

    def offices(self) -> list[dict[str, Any]]:
        """Return the offices that share something with you, with numbers of records by right."""
        items: list[dict[str, Any]] = self.transport.get("/v1/offices")["items"]
        return items

    def record(self, office: str, right: str, record_id: str) -> Record:
        """Return one record.

        Raises:
            HubProblem: ``not_found`` (it is not there, or not shared with you) or
                ``record_withdrawn``.
        """
        path = f"{_records_path(office, right)}/{quote(record_id, safe='')}"
        record: Record = self.transport.get(path)
        return record

    def records(
        self, office: str, right: str, *, page_size: int = PAGE_SIZE, **filters: object
    ) -> Records:
        """Return the records of one office and right, to be iterated or made a table.

        Args:
            office: ST.3 code, such as ``KH``.
            right: ``patents``, ``trademarks`` or ``designs``.
            page_size: records asked for at a time.
            filters: as the API names them, such as ``status="registered"``,
                ``niceClass=[9, 35]`` or ``applicationDateFrom="2024-01-01"``; and in which
                order, ``sort="-applicationNumber"`` for the last number first.

        Raises:
            ValueError: ``limit`` is no filter: all records that match come.
        """
        if "limit" in filters:
            raise ValueError("say page_size; itertools.islice(records, n) takes the first n")
        asked = {name: _written(value) for name, value in filters.items() if value is not None}
        path = _records_path(office, right)
        return Records(self.transport, path, asked | {"limit": str(page_size)})

    def changes(
        self,
        cursor: str | None = None,
        *,
        office: str = "",
        right: str = "",
        page_size: int = PAGE_SIZE,
    ) -> Changes:
        """Return the change feed from a cursor on; without one, from the very beginning.

        A cursor belongs to the ``office`` and ``right`` it was asked with.
        """
        asked = {"office": office, "right": right, "limit": str(page_size)}
        parameters = {name: value for name, value in asked.items() if value}
        return Changes(self.transport, parameters, cursor)

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> Self:
        """Return the hub; it is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()


def _records_path(office: str, right: str) -> str:
    return f"/v1/offices/{quote(office, safe='')}/{quote(right, safe='')}/records"


def _written(value: object) -> str:
    """Return a filter as the API takes it: several values are separated by commas."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple | set) else str(value)
