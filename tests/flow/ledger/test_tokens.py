"""Access tokens and the assertions they are given for, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from connectors.ledger import Client, Ledger
from connectors.ledger.tokens import KEEP_ASSERTIONS, KEEP_TOKENS, MAX_LIFETIME, Use
from ipregister.errors import ConfigurationError, InvalidClient

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HASH = sha256(b"an access token").digest()

Together = Callable[..., list[Any]]


def test_a_token_opens_until_it_expires(ledger: Ledger, client: Client) -> None:
    end = AT + MAX_LIFETIME
    moment = timedelta(microseconds=1)
    assert [ledger.access(HASH, at) is not None for at in (AT, end - moment, end)] == [
        True,
        True,
        False,
    ]
    token = ledger.tokens.find(HASH, AT)
    assert token is not None
    assert (token.clientId, token.issuedAt, token.expiresAt) == (client.clientId, AT, end)
    assert ledger.tokens.find(HASH, end) is None
    assert ledger.access(b"\0" * 32, AT) is None


def test_a_token_of_a_clock_that_was_ahead_opens_nothing(ledger: Ledger, client: Client) -> None:
    ahead, of_then = AT + timedelta(days=365), b"x" * 32
    ledger.tokens.issue(client.clientId, of_then, ahead + MAX_LIFETIME, ahead)
    assert ledger.access(of_then, ahead) is not None
    assert ledger.access(of_then, AT) is ledger.tokens.find(of_then, AT) is None
    assert ledger.access(HASH, AT - 4 * MINUTE) is not None  # another machine's, a little behind
    assert ledger.tokens.purge(AT) == 1
    assert ledger.access(of_then, ahead) is None


def test_a_token_may_not_live_long(ledger: Ledger, client: Client) -> None:
    with pytest.raises(ConfigurationError, match="at most"):
        ledger.tokens.issue(client.clientId, b"x" * 32, AT + MAX_LIFETIME + MINUTE, AT)
    with pytest.raises(InvalidClient):
        ledger.tokens.issue("nobody", b"x" * 32, AT + MINUTE, AT)


def test_a_client_revokes_its_own_tokens_only(ledger: Ledger, client: Client) -> None:
    assert not ledger.tokens.revoke(HASH, AT, client_id="somebody else")
    assert ledger.access(HASH, AT) is not None
    assert ledger.tokens.revoke(HASH, AT, client_id=client.clientId)
    assert ledger.access(HASH, AT) is None
    assert not ledger.tokens.revoke(HASH, AT)


def test_what_has_expired_is_forgotten(ledger: Ledger, client: Client) -> None:
    end = AT + MAX_LIFETIME
    assert ledger.tokens.use_assertion(client.clientId, "j", AT)
    assert ledger.tokens.purge(AT) == 0
    assert ledger.tokens.purge(AT + KEEP_ASSERTIONS) == 1
    assert ledger.tokens.purge(end) == 0
    assert ledger.tokens.purge(end + KEEP_TOKENS) == 1
    assert ledger.tokens.use_assertion(client.clientId, "j", AT)


def test_an_assertion_is_used_once_by_each_client(ledger: Ledger) -> None:
    use = ledger.tokens.use_assertion
    uses = [("a", "1"), ("a", "1"), ("b", "1"), ("a", "2"), ("a", "x" * 10_000), ("a", "\0\ud800")]
    assert [use(*each, AT) for each in uses] == [True, False, True, True, True, True]


def test_an_assertion_is_used_once_by_many_processes(ledger: Ledger, together: Together) -> None:
    work = 'result = [ledger.tokens.use_assertion("a", "j", AT) for _ in range(50)]'
    assert sum(sum(uses) for uses in together(4, work)) == 1


def test_a_token_uses_its_assertion_up_or_is_not_given(ledger: Ledger, client: Client) -> None:
    def issue(name: bytes, jti: str, whose: str = client.clientId) -> bool:
        token = sha256(name).digest()
        return ledger.tokens.issue(whose, token, AT + MINUTE, AT, assertion=Use(jti, AT + MINUTE))

    assert issue(b"first", "j")
    rows = len(ledger.audit.entries())
    assert not issue(b"second", "j")
    assert ledger.access(sha256(b"second").digest(), AT) is None
    assert len(ledger.audit.entries()) == rows
    with pytest.raises(InvalidClient):
        issue(b"third", "k", "nobody")
    assert ledger.tokens.use_assertion("nobody", "k", AT + MINUTE)  # nothing was kept of it
    assert ledger.verify() is None


def test_of_many_processes_one_gets_a_token_for_an_assertion(
    ledger: Ledger, client: Client, together: Together
) -> None:
    work = f"""
from hashlib import sha256
from connectors.ledger.tokens import Use
later = AT + timedelta(minutes=1)
def ask(n):
    token = sha256(f"{{number}} {{n}}".encode()).digest()
    return ledger.tokens.issue({client.clientId!r}, token, later, AT, assertion=Use("j", later))
result = [ask(n) for n in range(25)]
"""
    assert sum(sum(given) for given in together(4, work)) == 1
    assert ledger.verify() is None
