"""What the documents say of commands, settings, packages and files is what there is."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from typer.main import get_command

from api import problems
from benchmarks.__main__ import BENCHMARKS
from connectors.settings import Settings
from iphub.cli import app
from ipregister import profiles
from ipregister.guard_limits import GuardLimits
from ipregister.quality import load_rules
from tests.contract.test_house import MODULES, ROOT, SETTINGS, imported, name_of

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "client/README.md",
    ROOT / "tests/README.md",
]
RUNBOOK = (ROOT / "docs/runbook.md").read_text("utf-8")
WRITES_A_DOCUMENT = {"delivery missing", "certificate issue"}
"""CSV and JWS: other programs' forms, which JSON around them would only spoil."""


# --- commands --------------------------------------------------------------------------------


def commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Return every command that does something, by its words."""
    if not getattr(command, "commands", None):
        yield " ".join(path), command
        return
    for name, below in command.commands.items():
        yield from commands(below, *path, name)


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return dict(commands(get_command(app)))


def calls(text: str) -> list[str]:
    """Return what documents tell people to type behind ``iphub``, in blocks and in sentences."""
    text = re.sub(r"\\\n\s*", " ", text)
    found = re.findall(r"`iphub ([^`]*)`", text)
    for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            for piece in re.split(r"[|;&]|\$\(", line.partition(" #")[0]):
                if match := re.match(r"\s*(?:\.venv/bin/)?iphub (.*)", piece):
                    found.append(match[1])
    return found


def wrong_words(call: str, known: dict[str, Any]) -> set[str]:
    """Return the command, or the options, of a call that there are not."""
    words = re.findall(r'"[^"]*"|[^\s"]+', call.replace("…", ""))
    names = {" ".join(words[:length]) for length in range(1, 4)} & known.keys()
    if not names:
        # A group by itself (`iphub history`), or all of it (`record|changes`), may be spoken of.
        groups = {name.rpartition(" ")[0] for name in known}
        spoken = bool(words) and words[0] in groups and (len(words) == 1 or "|" in words[1])
        return set() if spoken or not words else {words[0]}
    command = known[max(names, key=len)]
    there = {option for each in command.params for option in each.opts + each.secondary_opts}
    asked = {word.partition("=")[0] for word in words if word.startswith("--")}
    return asked - there - {"--help"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_and_option_of_a_document_exists(
    document: Path, known: dict[str, Any]
) -> None:
    wrong = {call: wrong_words(call, known) for call in calls(document.read_text("utf-8"))}
    assert {call: words for call, words in wrong.items() if words} == {}


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ("process --home hub", set()),
        ("client set ID --dpop required", set()),
        ("history", set()),
        ("history record|changes", set()),
        ("proces --home hub", {"proces"}),
        ("delivery aprove ID", {"delivery"}),
        ("process --hom=hub --office KH", {"--hom"}),
    ],
)
def test_a_wrong_command_or_option_is_noticed(
    call: str, wrong: set[str], known: dict[str, Any]
) -> None:
    assert wrong_words(call, known) == wrong


def test_every_command_answers_in_json_but_those_that_write_a_document(
    known: dict[str, Any],
) -> None:
    without = set()
    for name, command in known.items():
        formats = [each for each in command.params if "--format" in each.opts]
        members = formats[0].type_descriptor.annotation if formats else ()
        if "json" not in [str(member) for member in members]:
            without.add(name)
    assert without == WRITES_A_DOCUMENT
    for document in ("README.md", "docs/runbook.md"):
        text = (ROOT / document).read_text("utf-8")
        assert all(f"`iphub {name}`" in text for name in WRITES_A_DOCUMENT), document


def test_every_target_of_make_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    there = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        named = re.findall(
            r"(?:`|^)make ([a-z-]+)(?=`| +#|$| [A-Z])", document.read_text("utf-8"), re.MULTILINE
        )
        told = set(named) - there
        assert told == set(), document


# --- settings --------------------------------------------------------------------------------


def shown(value: object) -> str:
    return "" if value is None else f"`{value}`"


def test_the_runbook_lists_every_setting_with_its_default() -> None:
    rows = [
        f"| `IPHUB_{name.upper()}` | "
        f"{'number of processors' if field.default_factory else shown(field.default)} | "
        f"{field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    assert [line for line in RUNBOOK.splitlines() if line.startswith("| `IPHUB_")] == rows


@pytest.mark.parametrize(
    "document", [each for each in DOCUMENTS if each.name != "CHANGELOG.md"], ids=name_of
)
def test_no_document_names_a_setting_there_is_not(document: Path) -> None:
    there = {f"IPHUB_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\bIPHUB_[A-Z_]*[A-Z]", document.read_text("utf-8")))
    assert {name for name in named - there if not name.startswith("IPHUB_TEST_")} == set()


def test_every_setting_is_read() -> None:
    read = {
        node.attr
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert Settings.model_fields.keys() - read == set()


# --- packages --------------------------------------------------------------------------------


def test_the_record_of_dependencies_has_every_one_with_its_reason() -> None:
    (record,) = (ROOT / "docs/adr").glob("0013-*.md")
    rows = re.findall(r"^\| ([a-z].*) \| .+ \|$", record.read_text("utf-8"), re.MULTILINE)
    explained = [re.sub(r"\[.*\]", "", name) for row in rows for name in row.split(", ")]
    assert sorted(explained) == sorted(
        Requirement(text).name for text in SETTINGS["project"]["dependencies"]
    )


FRAMEWORKS = {"dagster", "fastapi", "starlette", "jwt", "typer", "rich", "uvicorn"}


@pytest.mark.parametrize("room", ["ipregister", "connectors", "pipelines", "api"])
def test_a_room_imports_what_the_guide_for_contributors_allows(room: str) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (allowed,) = re.findall(rf"^\| `{room}` \| .* \| (.*) \|$", guide, re.MULTILINE)
    words = set(allowed.replace("`", "").split(", "))
    found: set[str] = set()
    for path in (ROOT / room).rglob("*.py"):
        found |= imported(path)
    found -= sys.stdlib_module_names | {room}
    if "drivers" in words:
        assert found & (FRAMEWORKS | {"pipelines", "api", "iphub"}) == set()
    else:
        assert found - words == set()


def test_the_client_has_the_version_of_the_hub() -> None:
    client = tomllib.loads((ROOT / "client/pyproject.toml").read_text("utf-8"))
    assert client["project"]["version"] == SETTINGS["project"]["version"]


# --- answers and profiles --------------------------------------------------------------------


def codes_told(document: str) -> dict[str, int]:
    text = (ROOT / document).read_text("utf-8")
    return {
        code: int(status)
        for status, codes in re.findall(r"^\| `?([0-9]{3})`? \| (`.*?`) \|", text, re.MULTILINE)
        for code in re.findall(r"`([a-z_]+)`", codes)
    }


def test_every_code_of_the_api_stands_where_its_readers_look() -> None:
    there = {code: refusal[0] for code, refusal in problems.REFUSALS.items()}
    there |= {kind.code: status for kind, status in problems.STATUSES.items()}
    # Made where their details are known; the framework's own.
    there |= {"quota_exceeded": 429, "not_acceptable": 406, "method_not_allowed": 405}
    # In OAuth's own form; told as `not_found`; a package is read after its answer.
    never = {"invalid_client", "unknown_delivery", "unreadable_delivery"}
    reader = codes_told("docs/third-party-quickstart.md")
    office = codes_told("docs/guides/deliver-by-api.md")
    told = reader | office | {"precondition_required": 428}
    assert told == {code: status for code, status in there.items() if code not in never}
    decider = (ROOT / "docs/guides/authorise-a-third-party.md").read_text("utf-8")
    assert "428 `precondition_required`" in decider


def test_the_profiles_of_the_guide_load_and_its_limits_are_the_defaults() -> None:
    guide = (ROOT / "docs/guides/add-an-office.md").read_text("utf-8")
    shown = [yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)]
    first, ways, habits, rules, guards, header, new_format = shown
    trademarks = {"format": "ipas_trademarks"} | header
    made = {}
    for number, right in enumerate((ways["rights"], guards["rights"], {"trademarks": trademarks})):
        made[number] = {name: profile_of(own) for name, own in right.items()}
    first["rights"] = {name: profile_of(own) for name, own in first["rights"].items()}
    profiles.Profile.model_validate(first | habits | rules)
    for rights in made.values():
        profiles.Profile.model_validate(first | {"rights": rights})
    of_new_format = profiles._merge(new_format, {"format": new_format["format"]})
    profiles.Profile.model_validate(first | {"rights": {"trademarks": of_new_format}})
    limits = guards["rights"]["trademarks"]["guards"]
    assert limits == GuardLimits().model_dump(by_alias=True)
    assert rules["rules"].keys() <= {rule.code for rule in load_rules()}


def profile_of(own: dict[str, Any]) -> dict[str, Any]:
    return profiles._merge(profiles._load("formats", f"{own['format']}.yaml"), own)


# --- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8"))
    gone = [
        link
        for link in links
        if not link.startswith(("http://", "https://")) and not (document.parent / link).exists()
    ]
    assert gone == []


def test_every_record_of_a_decision_is_in_the_index() -> None:
    records = {path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md")}
    index = (ROOT / "docs/adr/README.md").read_text("utf-8")
    assert set(re.findall(r"\]\(([0-9][^)]*)\)", index)) == records
    for path in sorted(records):
        title = (ROOT / "docs/adr" / path).read_text("utf-8").splitlines()[0]
        assert title.removeprefix(f"# {path[:4]}: ") in index, path


@pytest.mark.parametrize("record", sorted((ROOT / "docs/adr").glob("[0-9]*.md")), ids=name_of)
def test_a_record_of_a_decision_says_whether_it_holds_and_why(record: Path) -> None:
    _, state, *rest = record.read_text("utf-8").split("\n\n")
    assert re.match(r"(Accepted|Replaced), [A-Z][a-z]+ [0-9]{4}\.", state)
    parts = [line for line in "\n".join(rest).splitlines() if line.startswith("#")]
    assert parts == ["## Context", "## Decision", "## Consequences"]


def test_the_benchmarks_are_all_run() -> None:
    there = {
        f"benchmarks.{path.stem}"
        for path in (ROOT / "benchmarks").glob("[a-z]*.py")
        if "import argparse" in path.read_text("utf-8") or "def main" in path.read_text("utf-8")
    }
    assert {module for module, *_ in BENCHMARKS} == there
