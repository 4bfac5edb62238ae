"""Notifications from the hub: believe only what it signed, and only while it is fresh.

Standard: Standard Webhooks 1.0 (``webhook-id``, ``webhook-timestamp``, ``webhook-signature``).
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from asean_ip_hub_client.errors import HubError


def verify_notification(
    body: bytes | str, headers: Mapping[str, str], secret: str
) -> dict[str, Any]:
    """Return a notification's document if the hub signed it within the last five minutes.

    Args:
        body: as it came, not parsed and written again.
        headers: of the request, in any case.
        secret: ``whsec_…``, as the hub showed it once.

    Raises:
        HubError: it is not from the hub, was changed on the way, or is too old; or the secret is
            none, or the package ``standardwebhooks`` is not installed.
    """
    try:
        library: Any = import_module("standardwebhooks.webhooks")
    except ImportError as exc:
        raise HubError("pip install standardwebhooks to check notifications") from exc
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        document: dict[str, Any] = library.Webhook(secret).verify(body, lowered)
    except (library.WebhookVerificationError, ValueError) as exc:  # not even text, or not signed
        raise HubError(f"not a notification of the hub: {exc}") from exc
    except library.EmptyWebhookSecretError as exc:
        raise HubError(str(exc)) from exc
    return document
