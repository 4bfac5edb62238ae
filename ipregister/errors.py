"""Every exception the hub raises on purpose.

Trouble with an office's data is a finding, "not allowed" is a value, trouble with our
program or its surroundings is one of these. No HTTP status lives here: the one table of
statuses is ``api/problems.py``.
"""

from collections.abc import Mapping
from typing import ClassVar


class HubError(Exception):
    """Base of every error the hub raises on purpose.

    ``code`` is a promise to outsiders, ``detail`` is for people, ``context`` holds
    identifiers (office, right, delivery id), never payload content, tokens or names.
    """

    code: ClassVar[str] = "hub_error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, **context: str) -> None:
        """Keep the sentence for people and the identifiers apart."""
        super().__init__(detail)
        self.detail = detail
        self.context = context


class ConfigurationError(HubError):
    """Our YAML, settings or keys are wrong; refuse to start."""

    code = "configuration"


class DeliveryError(HubError):
    """A delivery cannot be taken as it is."""

    code = "delivery"


class UnreadableDelivery(DeliveryError):
    """Not XML, a broken ZIP, a wrong encoding; quarantine it and tell the office."""

    code = "unreadable_delivery"


class IncompleteDelivery(UnreadableDelivery):
    """The file ends before it should: still uploading, or an upload that died."""

    code = "incomplete_delivery"


class OversizedDelivery(DeliveryError):
    """Beyond a stated limit (bytes, entries, depth); quarantine it and tell the office."""

    code = "oversized_delivery"


class ExchangeError(HubError):
    """The other side of an exchange did not do its part."""

    code = "exchange"


class OfficeUnreachable(ExchangeError):
    """SFTP or API did not answer."""

    code = "office_unreachable"
    retryable = True


class OutOfTime(ExchangeError):
    """The time an office gets in one pass is used up; the next pass goes on."""

    code = "out_of_time"
    retryable = True


class OfficeRefused(ExchangeError):
    """Host key or credentials were rejected; a person must look."""

    code = "office_refused"


class RequestError(HubError):
    """The caller asked for something we cannot answer."""

    code = "request"


class InvalidRequest(RequestError):
    """The caller's parameters make no sense."""

    code = "invalid_request"


class UnsupportedMedia(RequestError):
    """The body comes in a form this route does not take."""

    code = "unsupported_media_type"


class ContentMismatch(RequestError):
    """The body is not what its sender said it is: another digest or length."""

    code = "content_mismatch"


class KeyReused(RequestError):
    """An idempotency key came again with another request."""

    code = "idempotency_key_reused"


class SearchTooSlow(RequestError):
    """A search was stopped because it took too long."""

    code = "search_too_slow"
    retryable = True


class InvalidMembers(InvalidRequest):
    """Members of a document make no sense; ``members`` says for each what would."""

    def __init__(self, members: Mapping[str, str] | str, **context: str) -> None:
        """Keep what is wrong with each member, by its path."""
        self.members = {".": members} if isinstance(members, str) else dict(members)
        told = "; ".join(f"{path}: {what}" for path, what in self.members.items())
        super().__init__(told, **context)


class InvalidClient(RequestError):
    """Client authentication failed (the OAuth name)."""

    code = "invalid_client"


class StoreError(HubError):
    """One of our stores is not in the state the caller needs."""

    code = "store"


class SnapshotMissing(StoreError):
    """Nothing was published yet for this office and right."""

    code = "snapshot_missing"


class UnknownDelivery(StoreError):
    """No delivery has this identifier."""

    code = "unknown_delivery"


class LedgerConflict(StoreError):
    """Someone else changed it; reread and decide."""

    code = "ledger_conflict"


class UnreadableBackup(StoreError):
    """A backup is damaged, incomplete or not one of ours; nothing of it was used."""

    code = "unreadable_backup"
