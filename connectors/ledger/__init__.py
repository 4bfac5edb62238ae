"""Transactional store of what must not be lost: deliveries, clients, authorizations, audit.

SQLite in the hub's home directory, PostgreSQL when several hosts share it. Records, findings
and files are elsewhere (``register``, ``serving_store``, ``landing``).
"""

from connectors.ledger.access import Access
from connectors.ledger.audit import BrokenRow, Entry, Head
from connectors.ledger.client_profiles import ClientChanges
from connectors.ledger.client_records import Client, ClientKey, ThirdParty
from connectors.ledger.contacts import Contact
from connectors.ledger.delivery_search import DeliveryQuery
from connectors.ledger.ledger import Ledger
from connectors.ledger.observations import Observation
from connectors.ledger.purges import PurgeApproval
from connectors.ledger.records import Channel, DeliveredFile, Delivery, DeliveryEvent
from connectors.ledger.tokens import Token
from connectors.ledger.uploads import Upload, UploadState

__all__ = [
    "Access",
    "BrokenRow",
    "Channel",
    "Client",
    "ClientChanges",
    "ClientKey",
    "Contact",
    "DeliveredFile",
    "Delivery",
    "DeliveryEvent",
    "DeliveryQuery",
    "Entry",
    "Head",
    "Ledger",
    "Observation",
    "PurgeApproval",
    "ThirdParty",
    "Token",
    "Upload",
    "UploadState",
]
