"""What a token opens is remembered on SQLite, and never longer than it holds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import make_url

from connectors.ledger import Access, Client, Ledger, access
from connectors.ledger.commits import Commits
from ipregister.errors import StoreError
from ipregister.model import Right
from ipregister.profiles import load_profile

AT = datetime(2026, 3, 4, 16, 59, 58, tzinfo=UTC)
"""Two seconds before midnight in Phnom Penh."""

SECOND = timedelta(seconds=1)
HASH = sha256(b"an access token").digest()
REVOKED = "UPDATE clients SET revoked_at = 1"

Tamper = Callable[[str], None]

pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(access, "monotonic", made)
    return made


@pytest.fixture
def client(ledger: Ledger) -> Client:
    made, _ = ledger.clients.add(name="Ann's reader", third_party="Ann", at=AT, by="operator")
    ledger.tokens.issue(made.clientId, HASH, AT + 4 * SECOND, AT)
    return made


def _seen(ledger: Ledger, at: datetime = AT) -> Access:
    found = ledger.access(HASH, at)
    assert found is not None
    return found


def test_nothing_is_asked_again_until_the_hub_writes(
    ledger: Ledger, client: Client, tamper: Tamper, clock: Clock
) -> None:
    before = _seen(ledger)
    tamper("DELETE FROM tokens")  # by another program, which counts for nothing at first
    assert _seen(ledger, AT + SECOND) is before
    ledger.clients.add(name="b", third_party="Bo", at=AT, by="operator")
    assert ledger.access(HASH, AT + SECOND) is None


def test_what_another_program_wrote_counts_a_moment_later(
    ledger: Ledger, client: Client, tamper: Tamper, clock: Clock
) -> None:
    assert _seen(ledger)
    tamper("DROP TABLE tokens")
    clock.now += access.MOST_SECONDS
    with pytest.raises(StoreError, match="the ledger's database failed"):
        ledger.access(HASH, AT)


def test_a_token_ends_while_it_is_remembered(ledger: Ledger, client: Client, clock: Clock) -> None:
    assert _seen(ledger, AT + 3 * SECOND)
    assert ledger.access(HASH, AT + 4 * SECOND) is None


def test_a_day_ends_while_it_is_remembered(ledger: Ledger, client: Client, clock: Clock) -> None:
    today = load_profile("KH").day_of(AT)
    ledger.authorizations.set("KH", "Ann", {Right.PATENTS: ()}, today, AT, "Sok")
    assert _seen(ledger, AT + SECOND).grants
    assert not _seen(ledger, AT + 2 * SECOND).grants
    assert _seen(ledger, AT).grants  # a clock that is set back


def test_a_process_killed_in_the_midst_of_a_commit_leaves_nothing_remembered(
    ledger: Ledger, client: Client, tamper: Tamper, clock: Clock, url: str
) -> None:
    assert _seen(ledger)
    killed = Commits(Path(str(make_url(url).database)))
    killed.begin()
    assert _seen(ledger)  # asked, and not remembered: it may have been before the commit
    tamper(REVOKED)
    assert ledger.access(HASH, AT) is None
    killed.close()


def test_two_who_write_at_once_never_hide_a_commit(ledger: Ledger, url: str) -> None:
    one, other = (Commits(Path(str(make_url(url).database))) for _ in range(2))
    first = one.begin()
    second = other.begin()  # the first has given the lock back, and is late to say so
    other.end(second)
    assert one.settled == second
    one.end(first)
    assert other.settled is None
    other.end(other.begin())
    assert one.settled == second + 1
    one.close()
    other.close()


def test_there_is_room_for_the_numbers_before_anything_is_counted(ledger: Ledger, url: str) -> None:
    path = Path(f"{make_url(url).database}-commits")
    assert path.stat().st_blocks > 0  # on a full disk, the first to touch a hole is killed
