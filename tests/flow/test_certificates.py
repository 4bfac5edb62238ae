"""Restriction certificates: what an office shares, signed, verified without the hub."""

import contextlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from typer.testing import CliRunner

from api.certificates import verify
from iphub.cli import app
from ipregister.authorizations import Decision, Grant
from ipregister.errors import ContentMismatch
from ipregister.model import Disclosure, Right
from ipregister.roles import Role
from ipregister.row_rules import RowRule

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "authorise-a-third-party.md"
PATH = "/v1/offices/KH/authorizations/Ann/certificate"
MINE = "/v1/me/authorizations/KH/certificate"
AUTHORIZER = Role.OFFICE_AUTHORIZER


@pytest.fixture
def shared(callers: Any) -> Any:
    """KH shares trademarks with Ann, without stakeholders; the API has the hub's keys."""
    object.__setattr__(callers.service, "keys", callers.desk.hub.signing_keys())
    callers.client(Role.THIRD_PARTY)
    rights = {Right.TRADEMARKS: frozenset({Disclosure.STAKEHOLDER})}
    callers.desk.hub.ledger.authorizations.set("KH", "Ann", rights, None, callers.desk.now, "Lim")
    return callers


def test_a_certificate_says_what_is_withheld_and_verifies_with_the_published_keys(
    shared: Any,
) -> None:
    answer = shared.get(PATH, AUTHORIZER)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt")
    published = shared.http.get("/oauth2/jwks").text
    claims = verify(answer.text, published)
    said = claims["authorization"]
    assert (said["office"], said["thirdParty"], said["version"]) == ("KH", "Ann", 1)
    assert claims["inForce"] is True
    elements = {each["element"] for each in claims["withheldElements"]["trademarks"]}
    assert {"applicants", "representatives"} <= elements
    assert "applicationNumber" not in elements
    # As anybody would, with PyJWT alone.
    (key,) = jwt.PyJWKSet.from_json(published).keys
    assert jwt.decode(answer.text, key, algorithms=["ES256"])["sub"] == "Ann"


def test_it_names_the_row_of_its_decision_and_not_where_the_chain_ends(shared: Any) -> None:
    """What others decide, and deliveries that bring nothing it may see, move only the end."""
    ledger, published = shared.desk.hub.ledger, shared.http.get("/oauth2/jwks").text
    before = verify(shared.get(MINE, Role.THIRD_PARTY).text, published)["auditChain"]
    shared.client(Role.OFFICE_DATA_MANAGER, "TH")
    assert verify(shared.get(MINE, Role.THIRD_PARTY).text, published)["auditChain"] == before
    (written,) = ledger.audit.entries(subject="KH:Ann")
    assert (written.action, written.seq) == ("authorization:set", before["seq"])
    ledger.authorizations.revoke("KH", "Ann", shared.desk.now, "Lim")
    end = ledger.audit.head()
    revoked = verify(shared.get(PATH, AUTHORIZER).text, published)["auditChain"]
    assert revoked == {"seq": end.seq, "hash": end.hash}


def test_it_says_neither_why_nor_by_whom(shared: Any) -> None:
    grants = {Right.TRADEMARKS: Grant(frozenset(Disclosure))}
    decision = Decision(grants, purpose="examination", reason="complaint of Mr Sok")
    ledger, at = shared.desk.hub.ledger, shared.desk.now
    ledger.authorizations.decide("KH", "Ann", decision, at, "Lim")
    published = shared.http.get("/oauth2/jwks").text
    for path, role in ((MINE, Role.THIRD_PARTY), (PATH, AUTHORIZER)):
        said = verify(shared.get(path, role).text, published)["authorization"]
        assert said["purpose"] == "examination"
        assert said.keys().isdisjoint({"reason", "setBy"})


def test_the_third_party_gets_its_own_and_nobody_elses(shared: Any) -> None:
    assert shared.get(MINE, Role.THIRD_PARTY).status_code == 200
    other = MINE.replace("KH", "TH")
    assert shared.get(other, Role.THIRD_PARTY).status_code == 404
    assert shared.get(PATH, Role.THIRD_PARTY).status_code == 404
    assert shared.get(PATH, AUTHORIZER, office="TH").status_code == 404
    assert shared.get(PATH, Role.COORDINATOR).status_code == 403
    assert shared.get(PATH.replace("Ann", "Bob"), AUTHORIZER).status_code == 404


def test_after_a_revocation_it_says_so(shared: Any) -> None:
    desk = shared.desk
    desk.hub.ledger.authorizations.revoke("KH", "Ann", desk.now, "Lim")
    claims = verify(shared.get(PATH, AUTHORIZER).text, shared.http.get("/oauth2/jwks").text)
    assert (claims["inForce"], claims["authorization"]["rights"]) == (False, [])
    assert shared.get(MINE, Role.THIRD_PARTY).status_code == 404


def test_a_certificate_of_much_that_is_withheld_verifies_too(shared: Any) -> None:
    """All rights with nothing but core: the longest list of elements there is."""
    desk, least = shared.desk, frozenset(Disclosure) - {Disclosure.CORE}
    desk.hub.ledger.authorizations.set(
        "KH", "Ann", dict.fromkeys(Right, least), None, desk.now, "L"
    )
    text, published = shared.get(PATH, AUTHORIZER).text, shared.http.get("/oauth2/jwks").text
    assert len(text) > 8_192
    assert verify(text, published)["withheldElements"].keys() == set(Right)


def test_what_was_changed_or_signed_by_others_is_not_believed(shared: Any) -> None:
    text, published = shared.get(PATH, AUTHORIZER).text, shared.http.get("/oauth2/jwks").text
    head, claims, signature = text.split(".")
    forged = jwt.utils.base64url_encode(
        jwt.utils.base64url_decode(claims).replace(b"stakeholder", b"examination")
    ).decode()
    with pytest.raises(ContentMismatch, match="changed after it was signed"):
        verify(f"{head}.{forged}.{signature}", published)
    with pytest.raises(ContentMismatch, match="None of these keys"):
        verify(text, '{"keys": []}')
    with pytest.raises(ContentMismatch, match="not a JWK Set"):
        verify(text, "[]")
    with pytest.raises(ContentMismatch, match="not a JWK Set"):
        verify(text, "[" * 100_000)
    (key,) = json.loads(published)["keys"]
    for damage in ({"kty": None}, {"crv": "P-999"}, {"x": "!"}, {"y": 5}, {"alg": ["ES256"]}):
        with pytest.raises(ContentMismatch, match="damaged"):
            verify(text, json.dumps({"keys": [key | damage]}))
    for wrong in ("", "a.b.c", jwt.encode({"sub": "x"}, "k" * 32, algorithm="HS256")):
        with pytest.raises(ContentMismatch, match="not a restriction certificate"):
            verify(wrong, published)


def test_a_rotated_key_still_verifies_what_it_signed(shared: Any) -> None:
    before = shared.get(PATH, AUTHORIZER).text
    shared.desk.hub.signing_keys().rotate(shared.desk.now)
    published = shared.http.get("/oauth2/jwks").text
    assert len(json.loads(published)["keys"]) == 2
    verify(before, published)
    verify(shared.get(PATH, AUTHORIZER).text, published)


def test_the_command_line_issues_and_verifies(shared: Any, tmp_path: Path) -> None:
    home, made = str(shared.desk.hub.home.root), tmp_path / "kh.jws"
    run, keys = CliRunner().invoke, tmp_path / "jwks.json"
    shared.desk.hub.signing_keys().rotate(shared.desk.now)  # so that two keys are published
    keys.write_text(shared.http.get("/oauth2/jwks").text)
    who = ["--office", "KH", "--third-party", "Ann"]
    issue = ["certificate", "issue", *who, "--home", home, "--output", str(made)]
    assert run(app, issue).exit_code == 0
    checked = run(app, ["certificate", "verify", str(made), "--jwks", str(keys)])
    assert (checked.exit_code, "everything but stakeholder" in checked.stdout) == (0, True)
    # As the guide tells anybody, on the file as it was written.
    lines = GUIDE.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    with contextlib.chdir(tmp_path):
        exec(compile(lines, GUIDE.name, "exec"), {})
    made.write_text(made.read_text()[:-4] + "AAAA")
    with pytest.raises(ContentMismatch):
        run(app, ["certificate", "verify", str(made), "--jwks", str(keys)], catch_exceptions=False)


def test_the_command_line_says_every_condition_of_what_it_verified(
    shared: Any, tmp_path: Path
) -> None:
    """Few records, a few days and one network are not "nothing withheld"."""
    rule = RowRule(publishedOnly=True, kinds=("collective", "word"))
    everything = Grant(frozenset(Disclosure), rule, freeText=False)
    decision = Decision(
        {Right.TRADEMARKS: everything},
        validUntil=shared.desk.now.date() + timedelta(days=3),
        allowedAddresses=("192.0.2.0/24",),
    )
    ledger, made, keys = shared.desk.hub.ledger, tmp_path / "kh.jws", tmp_path / "jwks.json"
    ledger.authorizations.decide("KH", "Ann", decision, shared.desk.now, "Lim")
    made.write_text(shared.get(PATH, AUTHORIZER).text)
    keys.write_text(shared.http.get("/oauth2/jwks").text)
    said = CliRunner().invoke(app, ["certificate", "verify", str(made), "--jwks", str(keys)]).stdout
    for word in (
        *(f"until {decision.validUntil}", "trademarks: everything but free text"),
        *("only records with publishedOnly\n", "only records with kinds=collective+word\n"),
        *("from 192.0.2.0/24 only", "terms of use: internal_use", "It was in force"),
    ):
        assert word in said, said
    shared.desk.hub.ledger.authorizations.revoke("KH", "Ann", shared.desk.now, "Lim")
    made.write_text(shared.get(PATH, AUTHORIZER).text)
    said = CliRunner().invoke(app, ["certificate", "verify", str(made), "--jwks", str(keys)]).stdout
    assert "nothing: revoked" in said
    assert "It was not in force" in said
