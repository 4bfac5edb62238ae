"""The loader of the tables: what it refuses, what it hands out."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from ipregister import model, strict_yaml
from ipregister.errors import ConfigurationError
from ipregister.model import Disclosure, Field, Member, Right, Table, load_tables

NUMBER = {"name": "number", "type": "string", "description": "Number of it", "disclosure": "core"}
DATE = {"name": "date", "type": "date", "description": "Date of the event"}
EVENTS = {
    "name": "events",
    "type": "list",
    "description": "What happened",
    "disclosure": "status_change",
    "fields": [DATE],
}


def table(*fields: dict[str, object]) -> Table:
    return Table.model_validate({"name": "designs", "standard": "WIPO ST.80", "fields": fields})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A room of its own with three small tables, which ``load_tables`` reads."""
    (tmp_path / "tables").mkdir()
    for right in Right:
        text = (
            f"name: {right}\nstandard: ours\nfields:\n"
            "  - {name: number, type: string, disclosure: core, description: Number of it}\n"
        )
        (tmp_path / "tables" / f"{right}.yaml").write_text(text, "utf-8")
    monkeypatch.setattr(model, "files", lambda room: tmp_path)
    load_tables.cache_clear()
    return tmp_path / "tables"


@pytest.fixture(autouse=True)
def _forget_the_tables() -> object:
    yield
    load_tables.cache_clear()


def test_a_field_nobody_classified_does_not_load() -> None:
    unclassified = {key: value for key, value in NUMBER.items() if key != "disclosure"}
    with pytest.raises(ValidationError, match=r"fields\.0\.disclosure\s+Field required"):
        table(unclassified)


@pytest.mark.parametrize("disclosure", ["public", "", None])
def test_a_class_that_does_not_exist_does_not_load(disclosure: str | None) -> None:
    with pytest.raises(ValidationError, match="disclosure"):
        table(NUMBER | {"disclosure": disclosure})


def test_a_member_has_no_class_of_its_own() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        table(EVENTS | {"fields": [DATE | {"disclosure": "core"}]})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"description": "short"}, "at least 10 characters"),
        ({"name": "application_number"}, "pattern"),
        ({"type": "text"}, "'string', 'strings'"),
        ({"inid": "(21)"}, "pattern"),
        ({"st96": "ApplicationNumber"}, "pattern"),
        ({"discloser": "core"}, "Extra inputs"),
        ({"type": "list"}, "type list and members do not fit"),
        ({"fields": [DATE]}, "type string and members do not fit"),
    ],
)
def test_a_field_that_is_not_right_does_not_load(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        table(NUMBER | change)


def test_a_name_stands_once_at_every_level() -> None:
    with pytest.raises(ValidationError, match=r"fields named twice: \['number'\]"):
        table(NUMBER, EVENTS, NUMBER)
    with pytest.raises(ValidationError, match=r"members named twice: \['date'\]"):
        table(EVENTS | {"fields": [DATE, DATE]})


def test_fields_are_found_by_name_and_by_class() -> None:
    small = table(NUMBER, EVENTS)
    assert small.field("events").disclosure is Disclosure.STATUS_CHANGE
    assert [field.name for field in small.of_class(Disclosure.CORE)] == ["number"]
    assert small.of_class(Disclosure.DOCUMENTS) == ()
    with pytest.raises(ConfigurationError, match="table designs has no field 'title'"):
        small.field("title")


def test_members_inherit_the_class_of_their_field() -> None:
    paths = [(path, disclosure) for path, _, disclosure in table(NUMBER, EVENTS).paths()]
    assert paths == [
        ("number", Disclosure.CORE),
        ("events", Disclosure.STATUS_CHANGE),
        ("events.date", Disclosure.STATUS_CHANGE),
    ]


def test_a_loaded_table_cannot_be_changed() -> None:
    field = table(NUMBER).field("number")
    with pytest.raises(ValidationError, match="frozen"):
        field.disclosure = Disclosure.CORE  # type: ignore[misc]


def test_only_fields_carry_a_class() -> None:
    assert "disclosure" in Field.model_fields
    assert "disclosure" not in Member.model_fields


def test_tables_load_from_their_folder(folder: Path) -> None:
    tables = load_tables()
    assert list(tables) == list(Right)
    assert tables[Right.PATENTS].field("number").description == "Number of it"


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "designs.yaml").write_text("name: designs\nstandard: ours\nfields: [{name: x}]\n")
    with pytest.raises(ConfigurationError, match=r"tables/designs\.yaml: [\s\S]*disclosure"):
        load_tables()


def test_a_field_classified_twice_does_not_load(folder: Path) -> None:
    path = folder / "patents.yaml"
    path.write_text(path.read_text().replace("core,", "stakeholder, disclosure: core,"))
    with pytest.raises(ConfigurationError, match=r"patents\.yaml: the key 'disclosure' is given"):
        load_tables()


def test_yaml_is_data_and_never_code() -> None:
    assert strict_yaml.load("a: [1, {b: 2}]") == {"a": [1, {"b": 2}]}
    with pytest.raises(strict_yaml.yaml.YAMLError, match="python/object"):
        strict_yaml.load("!!python/object/apply:os.getcwd []")
