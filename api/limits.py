"""Limits that explain themselves: requests and rows per client, failures per credential.

A client has two buckets, one of requests and one of rows, both full after a minute of
silence. A request takes one from the first and is refused when either is empty; the rows of
its answer are taken when they are sent, so a large answer is never cut in the middle and is
paid by waiting. What is told depends only on what the client asked and got.

Workers of one host share the buckets (``connectors.buckets``); several hosts each count for
themselves.

Standard: draft-ietf-httpapi-ratelimit-headers-10 (``RateLimit-Policy``, ``RateLimit``).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil

from starlette.requests import Request
from starlette.responses import Response

from api.problems import problem
from connectors.buckets import Buckets, Pair, Rate
from connectors.ledger import Access, Client
from ipregister.instants import instant

WINDOW_SECONDS = 60

MAX_FAILURES = 10
"""Failed authentications a minute, per client and address, before the next is not looked at."""

A_SECRET, AN_ASSERTION = 1.0, 0.1
"""What a failure counts. A signature cannot be guessed, so a signed assertion is refused for a
mistake: whoever learns to sign them may make ten times as many before having to wait."""

LEAST_CALLS, REQUESTS_A_CALL = 60, 10
"""Calls of OAuth's endpoints a minute: each writes to the ledger, and a token lasts for minutes."""

_FAILURES = Rate((MAX_FAILURES, 1), (MAX_FAILURES / WINDOW_SECONDS, 1))
_ONE: Pair = (1.0, 0.0)
_NOTHING: Pair = (0.0, 0.0)
_NONE = -1e18
_ANY: Pair = (_NONE, _NONE)

TELLS_QUOTA = "/v1/me"
"""Gives no rows away: who has used up theirs may still ask here when to go on."""

REQUESTS, ROWS = "requests", "rows"

OWED_SHARE = 1_000
"""A worker may owe a client's bucket less than this part of its quotas: nothing against any."""

OWED_SECONDS = 0.1
"""After which it looks anyway: other workers take from the same bucket."""


@dataclass(slots=True)
class Account:
    """What this worker has let one client have and not taken from its bucket yet.

    Rows go with the client's next look at the bucket, so that a single record needs one and not
    two; and whoever may send thousands of requests a minute needs none for most of them.
    ``levels`` are those of the last look, at the instant ``looked``, less what is owed.
    """

    levels: Pair = (0.0, 0.0)
    looked: float = _NONE
    requests: int = 0
    rows: int = 0

    def admits(self, rate: Rate, now: float, row: float) -> bool:
        """Tell whether one more request needs no look at the bucket."""
        return (
            (self.requests + 1) * OWED_SHARE < rate.capacity[0]
            and 0 <= now - self.looked < OWED_SECONDS
            and self.levels[0] >= 1
            and self.levels[1] >= row
        )

    def owes_much(self, rate: Rate) -> bool:
        """Tell whether the rows have to be taken now."""
        return self.rows * OWED_SHARE >= rate.capacity[1]


@dataclass(frozen=True, slots=True)
class Limits:
    """The hub's quotas a minute, for clients without their own, and what was used of them."""

    quotas: Buckets
    failures: Buckets
    requests: int
    rows: int
    accounts: dict[bytes, Account] = field(default_factory=dict)

    def look(
        self, name: bytes, rate: Rate, now: float, *, needed: Pair = _ANY, taken: Pair = _NOTHING
    ) -> tuple[bool, Account]:
        """Take from a client's bucket, and what is owed with it, whatever is left."""
        account = self.accounts.setdefault(name, Account())
        owed = float(account.requests), float(account.rows)
        account.requests = account.rows = 0  # at once: other threads look, too
        both = (taken[0] + owed[0], taken[1] + owed[1])
        enough, levels = self.quotas.take(
            name, rate, now, needed=(needed[0] + owed[0], needed[1] + owed[1]), taken=both
        )
        if not enough and any(owed):
            _, levels = self.quotas.take(name, rate, now, needed=_ANY, taken=owed)
        account.levels, account.looked = levels, now
        return enough, account


@dataclass(slots=True)
class Meter:
    """What one request takes; kept in its scope and settled when the answer is sent."""

    limits: Limits
    name: bytes
    rate: Rate
    account: Account
    now: float
    rows: int = 0
    settled: int = 0

    def settle(self) -> None:
        """Take the rows counted since the last time; a few may wait for the next request."""
        # Two numbers, each written by one side: a stream counts in a thread while it is sent.
        counted = self.rows - self.settled
        if not counted:
            return
        self.settled += counted
        account = self.account
        account.rows += counted
        account.levels = (account.levels[0], account.levels[1] - counted)
        if account.owes_much(self.rate):
            self.limits.look(self.name, self.rate, self.now)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return what the client may know: its quotas, what is left, when they are full."""
        (requests, rows), (left, rows_left) = self.rate.capacity, self.account.levels
        per_second, rows_per_second = self.rate.per_second
        state = b'"requests";r=%d;t=%d, "rows";r=%d;t=%d' % (
            left if left > 0 else 0,
            ceil((requests - left) / per_second),
            rows_left if rows_left > 0 else 0,
            ceil((rows - rows_left) / rows_per_second),
        )
        return [(b"ratelimit-policy", _policy(self.rate)), (b"ratelimit", state)]


def admit(request: Request, access: Access, limits: Limits | None, at: datetime) -> Response | None:
    """Count a client's request; return the refusal when one of its quotas is used up."""
    if limits is None:
        return None
    requests = access.requestsPerMinute or limits.requests
    rate, now = _rate(requests, access.rowsPerMinute or limits.rows), at.timestamp()
    name = _name(limits.quotas, access.clientId)
    row = _NONE if request.scope["path"] == TELLS_QUOTA else 1.0
    account, enough = limits.accounts.get(name), True
    if account is not None and account.admits(rate, now, row):
        account.requests += 1
        account.levels = (account.levels[0] - 1, account.levels[1])
    else:
        enough, account = limits.look(name, rate, now, needed=(1.0, row), taken=_ONE)
    meter = request.scope["meter"] = Meter(limits, name, rate, account, now)
    return None if enough else _refuse(request, meter, at, (1.0, row))


def quota(request: Request) -> dict[str, object] | None:
    """Return what the client of a request has and has left, for ``/v1/me``."""
    meter: Meter | None = request.scope.get("meter")
    if meter is None:
        return None
    full = seconds_until(meter.rate, meter.account.levels, meter.rate.capacity)
    return {
        name: {
            "limit": int(meter.rate.capacity[number]),
            "windowSeconds": WINDOW_SECONDS,
            "remaining": int(max(0, meter.account.levels[number])),
            "fullAgainInSeconds": full[number],
        }
        for number, name in enumerate((REQUESTS, ROWS))
    }


def count_rows(request: Request, rows: int) -> None:
    """Count rows of an answer; call it before they are sent, as often as there are more."""
    meter: Meter | None = request.scope.get("meter")
    if meter is not None:
        meter.rows += rows


def try_credential(
    limits: Limits | None, client_id: str, address: str, at: datetime, weight: float
) -> int:
    """Count a failed authentication in advance; return seconds to wait, or 0 to go on.

    Counted before anything is looked at, so that guesses cost next to nothing and tell
    nothing; given back by ``credential_was_right``. Only this client from this address waits:
    nobody can lock a client out from elsewhere.
    """
    if limits is None:
        return 0
    name = limits.failures.name(f"{address} {client_id}")
    one: Pair = (weight, 0.0)
    enough, levels = limits.failures.take(name, _FAILURES, at.timestamp(), needed=one, taken=one)
    return 0 if enough else max(1, seconds_until(_FAILURES, levels, one)[0])


def credential_was_right(
    limits: Limits | None, client_id: str, address: str, at: datetime, weight: float
) -> None:
    """Give back what ``try_credential`` counted."""
    if limits is not None:
        name = limits.failures.name(f"{address} {client_id}")
        limits.failures.take(name, _FAILURES, at.timestamp(), needed=_ANY, taken=(-weight, 0.0))


def try_oauth(limits: Limits | None, client: Client, at: datetime) -> int:
    """Return in how many seconds a client may call OAuth's endpoints again; 0 for now.

    Counted apart from its requests: who has used those up still gets a token.
    """
    return _take_oauth(limits, client, at, _NOTHING)


def count_oauth(limits: Limits | None, client: Client, at: datetime) -> None:
    """Count a call of OAuth's endpoints by a client that was believed, and no other.

    Who caught a signed assertion that was used before must not use the client's calls up.
    """
    _take_oauth(limits, client, at, _ONE)


def _take_oauth(limits: Limits | None, client: Client, at: datetime, taken: Pair) -> int:
    if limits is None:
        return 0
    requests = client.requestsPerMinute or limits.requests
    rate = _rate(max(LEAST_CALLS, requests // REQUESTS_A_CALL), limits.rows)
    name = limits.quotas.name(f"oauth {client.clientId}")
    enough, levels = limits.quotas.take(name, rate, at.timestamp(), needed=_ONE, taken=taken)
    return 0 if enough else max(1, seconds_until(rate, levels, _ONE)[0])


def seconds_until(rate: Rate, levels: Pair, wanted: Pair) -> tuple[int, int]:
    """Return in how many whole seconds each level is as high as wanted."""
    return (
        ceil(max(0.0, wanted[0] - levels[0]) / rate.per_second[0]),
        ceil(max(0.0, wanted[1] - levels[1]) / rate.per_second[1]),
    )


def _refuse(request: Request, meter: Meter, at: datetime, needed: Pair) -> Response:
    waits = seconds_until(meter.rate, meter.account.levels, needed)
    violated = [name for name, wait in zip((REQUESTS, ROWS), waits, strict=True) if wait]
    wait = max(1, *waits)
    quotas = dict(zip((REQUESTS, ROWS), meter.rate.capacity, strict=True))
    said = " and ".join(f"{int(quotas[name])} {name}" for name in violated)
    resets = (at + timedelta(seconds=wait)).replace(microsecond=0)
    return problem(
        request,
        429,
        "quota_exceeded",
        "Too many requests",
        f"This client may have {said} a minute and has used them up. Go on in {wait} s; "
        "GET /v1/me and the RateLimit header say how much is left.",
        headers={"Retry-After": str(wait)},
        more={
            "limits": violated,
            "retryAfterSeconds": wait,
            "resetsAt": instant(resets),
        },
    )


@lru_cache(maxsize=1024)
def _rate(requests: int, rows: int) -> Rate:
    return Rate((requests, rows), (requests / WINDOW_SECONDS, rows / WINDOW_SECONDS))


@lru_cache(maxsize=1024)
def _policy(rate: Rate) -> bytes:
    (requests, rows), window = rate.capacity, WINDOW_SECONDS
    return b'"requests";q=%d;w=%d, "rows";q=%d;w=%d' % (requests, window, rows, window)


@lru_cache(maxsize=4096)
def _name(quotas: Buckets, client_id: str) -> bytes:
    return quotas.name(client_id)
