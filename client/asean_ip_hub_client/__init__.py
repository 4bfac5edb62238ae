"""Read the ASEAN IP Data Hub: records, the change feed, a local copy that stays in step.

Begin with ``Hub``; ``README.md`` beside this package shows each part in a few lines. What a
record holds is in the hub's data dictionary, not here.
"""

from asean_ip_hub_client.changes import Change, Changes
from asean_ip_hub_client.credentials import PrivateKey
from asean_ip_hub_client.errors import HubError, HubProblem, HubUnreachable
from asean_ip_hub_client.hub import Hub
from asean_ip_hub_client.notifications import verify_notification
from asean_ip_hub_client.records import Records
from asean_ip_hub_client.replica import Replica, Synced

__all__ = [
    "Change",
    "Changes",
    "Hub",
    "HubError",
    "HubProblem",
    "HubUnreachable",
    "PrivateKey",
    "Records",
    "Replica",
    "Synced",
    "verify_notification",
]
