"""Partitions: one per office and right, such as ``PH.trademarks``."""

import dagster as dg

from ipregister.model import Right
from ipregister.profiles import offices


def partition(office: str, right: Right) -> str:
    """Return the partition key of one office and right."""
    return f"{office}.{right}"


office_rights = dg.StaticPartitionsDefinition(
    [partition(office, right) for office in offices() for right in Right]
)
