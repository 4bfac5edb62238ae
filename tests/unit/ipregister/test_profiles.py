"""Profiles: how an office's own ways are laid over a shared format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipregister import profiles
from ipregister.deliveries import Kind
from ipregister.errors import ConfigurationError
from ipregister.guard_limits import DEFAULTS, GuardLimits
from ipregister.model import Right

FORMAT = {
    "format": "plain",
    "reader": "xml",
    "right": "trademarks",
    "record": "Mark",
    "placeholders": ["-"],
    "elements": {"Number": {"field": "applicationNumber"}, "Date": {"field": "applicationDate"}},
    "vocabularies": {"status": {"Filed": "filed", "Ended": "expired"}},
    "derive": [{"field": "rightKind", "value": "trademark"}],
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A profile of KH that tests may change before they load it."""
    profile: dict[str, Any] = {
        "office": "KH",
        "name": "An office",
        "languages": ["km"],
        "rights": {"trademarks": {"format": "plain"}},
    }
    documents = {"kh.yaml": profile, "formats/plain.yaml": FORMAT}
    monkeypatch.setattr(profiles, "_load", lambda *path: dict(documents["/".join(path)]))
    profiles.load_profile.cache_clear()
    yield profile
    profiles.load_profile.cache_clear()


def loaded() -> profiles.Format:
    return profiles.load_profile("KH").format_of(Right.TRADEMARKS)


def test_an_office_without_ways_of_its_own_has_the_format(written: dict[str, Any]) -> None:
    assert loaded().elements["Number"][0].field == "applicationNumber"
    assert loaded().vocabularies == FORMAT["vocabularies"]


def test_an_offices_ways_are_merged_word_by_word_and_path_by_path(written: dict[str, Any]) -> None:
    written["rights"]["trademarks"] |= {
        "placeholders": ["KH/M/"],
        "elements": {"Date": {"ignore": True}, "Kind": {"field": "markKind"}},
        "vocabularies": {"status": {"Ended": "withdrawn"}, "kind": {"A": "individual"}},
        "derive": [{"field": "rightKind", "value": "gi"}],
    }
    merged = loaded()
    assert merged.vocabularies == {
        "status": {"Filed": "filed", "Ended": "withdrawn"},
        "kind": {"A": "individual"},
    }
    assert set(merged.elements) == {"Number", "Date", "Kind"}
    assert merged.elements["Date"][0].ignore
    assert set(merged.placeholders) == {"-", "KH/M/"}
    assert [entry.value for entry in merged.derive] == ["gi", "trademark"]


def test_an_office_has_quiet_times_without_asking(written: dict[str, Any]) -> None:
    habits = profiles.load_profile("KH").delivery
    assert habits.quiet_seconds == {Kind.FULL_EXTRACTION: 5, Kind.UPDATE: 2, Kind.TEST: 2}


def test_an_office_may_set_one_quiet_time_and_keep_the_others() -> None:
    habits = profiles.DeliveryHabits.model_validate({"quietSeconds": {"full_extraction": 600}})
    assert habits.quiet_seconds == {Kind.FULL_EXTRACTION: 600, Kind.UPDATE: 2, Kind.TEST: 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"office": "KHM"},
        {"delivery": {"group": "KH_([0-9]{8}"}},  # no regular expression
        {"office": "LA"},  # copied, and not changed
        {"colour": "red"},
        {
            "rules": {
                "ALL.CNS.001": {"severity": "mild", "reason": "because we say so", "owner": "x"}
            }
        },
        {"rules": {"ALL.CNS.001": {"severity": "info", "reason": "short", "owner": "x"}}},
        {"rights": {"coins": {"format": "plain"}}},
        {"rights": {"trademarks": {}}},
        {"rights": {"trademarks": {"format": "plain", "elements": {"A": {"feild": "x"}}}}},
        {"rights": {"trademarks": {"format": "plain", "elements": {"A": {"as": "guess"}}}}},
        {
            "rights": {
                "trademarks": {"format": "plain", "header": {"Batch/Count": "declaredRecords"}}
            }
        },
        {"rights": {"trademarks": {"format": "plain", "header": {"wo:Count": "declaredRecords"}}}},
        {"rights": {"trademarks": {"format": "plain", "beside": ["Batch/Sender"]}}},
        {"rights": {"trademarks": {"format": "plain", "record": "Marks/Mark"}}},
        {"rights": {"trademarks": {"format": "plain", "envelope": "@batch"}}},
        {"rights": {"trademarks": {"format": "plain", "reader": "csv"}}},
        {"rights": None},
    ],
)
def test_a_wrong_profile_does_not_load(wrong: dict[str, Any], written: dict[str, Any]) -> None:
    written |= wrong
    with pytest.raises(ConfigurationError, match=r"offices/kh\.yaml"):
        profiles.load_profile("KH")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it has no keys"),
        (b"- office: KH", "it has no keys"),
        (b"office: KH\nright: {}", "no 'rights' is given"),
        (b"# D\xe9partement\noffice: KH", "'utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_what_is_no_profile_is_said_with_the_file(
    content: bytes, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kh.yaml").write_bytes(content)
    monkeypatch.setattr(profiles, "files", lambda _package: tmp_path)
    with pytest.raises(ConfigurationError, match=rf"offices/kh\.yaml: {told}"):
        profiles.load_profile.__wrapped__("KH")


def test_an_office_that_does_not_send_a_right_says_so(written: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="no format for patents"):
        profiles.load_profile("KH").format_of(Right.PATENTS)


def test_an_unknown_office_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"zz\.yaml does not exist"):
        profiles.load_profile("ZZ")


def test_every_office_with_a_profile_is_listed() -> None:
    assert set(profiles.offices()) >= {"BN", "ID", "KH", "LA", "MY", "PH", "TH", "VN"}
    assert list(profiles.offices()) == sorted(profiles.offices())


def test_limits_of_the_guards_are_an_offices_own_and_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = profiles._load

    def own(guards: dict[str, object]) -> Callable[..., dict[str, Any]]:
        def load(*path: str) -> dict[str, Any]:
            document = real(*path)
            if path == ("tl.yaml",):
                document["rights"]["trademarks"]["guards"] = guards
            return document

        return load

    load = profiles.load_profile.__wrapped__
    monkeypatch.setattr(profiles, "_load", own({"vanishShare": 0.1}))
    loaded = load("TL")
    assert loaded.rights[Right.TRADEMARKS].guards == GuardLimits(vanish_share=0.1)
    assert loaded.rights[Right.PATENTS].guards == DEFAULTS
    for wrong in ({"vanishShare": 2}, {"vanishshare": 0.1}, {"rollingDays": 0}):
        monkeypatch.setattr(profiles, "_load", own(wrong))
        with pytest.raises(ConfigurationError, match=r"tl\.yaml"):
            load("TL")
