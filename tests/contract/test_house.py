"""The house rules that a machine can check: names, sizes, docstrings, arrows, locks, layers."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
ROOMS = ("ipregister", "connectors", "pipelines", "api", "iphub", "offices", "quality_rules")
DATA_ROOMS = ("offices", "quality_rules")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
SOURCES = MODULES + sorted(
    path
    for folder in ("client", "tests", "benchmarks", ".ci")
    for path in (ROOT / folder).rglob("*.py")
)
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
BROUGHT_ALONG = {"starlette"}  # FastAPI is made of it, and decides which version fits
OWNERS = packages_distributions()
LOCKS = ("requirements.txt", "requirements-dev.txt")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = [str(part) for part in command]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return run(Path(sys.executable).parent / "lint-imports", "--no-cache", cwd=root)


# --- names and sizes -------------------------------------------------------------------------


@pytest.mark.parametrize("room", ROOMS)
def test_we_alone_own_our_import_names(room: str) -> None:
    assert set(OWNERS[room]) == {"asean-ip-hub"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_say_what_they_are(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert docstring.strip(), "no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_stay_readable(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 500


@pytest.mark.parametrize(
    "path", sorted(p for room in DATA_ROOMS for p in (ROOT / room).rglob("*.py")), ids=name_of
)
def test_data_rooms_hold_no_python_but_one_docstring(path: Path) -> None:
    (only,) = ast.parse(path.read_text("utf-8")).body
    assert path.name == "__init__.py"
    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)


def test_no_pattern_takes_digits_of_other_scripts_for_ours() -> None:
    # Thai, Khmer, Lao and Burmese digits match it in Python and Rust. Say [0-9].
    files = [*MODULES, *(path for room in ROOMS for path in (ROOT / room).rglob("*.yaml"))]
    assert [name_of(path) for path in files if r"\d" in path.read_text("utf-8")] == []


def test_every_template_is_escaped_whatever_its_name_ends_with() -> None:
    # Jinja's select_autoescape and Starlette's Jinja2Templates leave out `.txt` and `.j2`.
    made = [
        (name_of(path), {word.arg: ast.unparse(word.value) for word in call.keywords})
        for path in MODULES
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).endswith(("Environment", "Jinja2Templates", "Template"))
    ]
    assert {name for name, _ in made} == {"api/documentation.py", "connectors/reports/pages.py"}
    assert {words.get("autoescape") for _, words in made} == {"True"}


def calls_of(name: str, paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Return where something is called, and with what first."""
    return [
        (name_of(path), ast.unparse(call.args[0]) if call.args else "")
        for path in paths
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == name
    ]


def test_duckdb_stores_nothing() -> None:
    opened = calls_of("duckdb.connect", MODULES)
    assert opened, "DuckDB is used"
    assert {where for _, where in opened} <= {"", "':memory:'"}


def test_nothing_private_of_paramiko_is_used() -> None:
    users = [path for path in MODULES if "paramiko" in imported(path)]
    assert len(users) > 3
    private = [
        (name_of(path), ast.unparse(node))
        for path in users
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) not in ("self", "cls")
    ]
    assert private == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout, so nothing is tracked")
def test_nothing_tracked_points_elsewhere() -> None:
    listed = run("git", "ls-files", "--stage", cwd=ROOT)
    assert listed.stdout, listed.stderr
    assert [line for line in listed.stdout.splitlines() if line.startswith("120000")] == []


def test_tests_have_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_the_layer_guard_stays_short() -> None:
    assert len((ROOT / "tests/conftest.py").read_text("utf-8").splitlines()) < 150


# --- arrows ----------------------------------------------------------------------------------


def test_the_arrows_hold() -> None:
    answer = lint_imports(ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "ipregister").rglob("*.py")), ids=name_of)
def test_the_domain_needs_only_pydantic_and_yaml(path: Path) -> None:
    outside = imported(path) - sys.stdlib_module_names
    assert outside <= {"ipregister", "pydantic", "yaml"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_is_imported_is_declared(path: Path) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in required()} | BROUGHT_ALONG
    foreign = imported(path) - sys.stdlib_module_names - set(ROOMS)
    undeclared = {
        name for name in foreign if not declared & set(map(canonicalize_name, OWNERS.get(name, ())))
    }
    assert undeclared == set()


PLANTED = [
    ("connectors", "import pipelines", "Rooms depend inwards only"),
    ("connectors", "import api", "Rooms depend inwards only"),
    ("api", "import pipelines", "Rooms depend inwards only"),
    ("pipelines", "import iphub", "Rooms depend inwards only"),
    ("ipregister", "import connectors", "Rooms depend inwards only"),
    ("ipregister", "import duckdb", "The domain knows no framework"),
    ("pipelines", "import duckdb", "Only connectors touch the outside"),
    ("api", "import paramiko", "Only connectors touch the outside"),
    ("api", "import httpx", "Only connectors touch the outside"),
    ("api", "import dagster", "Frameworks stay in their room: Dagster"),
    ("connectors", "import dagster", "Frameworks stay in their room: Dagster"),
    ("pipelines", "import fastapi", "Frameworks stay in their room: FastAPI"),
    ("connectors", "import starlette", "Frameworks stay in their room: FastAPI"),
]


@pytest.mark.parametrize(("room", "statement", "contract"), PLANTED)
def test_a_planted_import_breaks_its_contract(
    tmp_path: Path, room: str, statement: str, contract: str
) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in SETTINGS["tool"]["importlinter"]["root_packages"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(statement if name == room else "", "utf-8")
    answer = lint_imports(tmp_path)
    assert answer.returncode == 1
    assert f"{contract} BROKEN" in answer.stdout


# --- what is installed -----------------------------------------------------------------------


def locked(name: str) -> dict[str, str]:
    text = (ROOT / "deploy" / name).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def required(*groups: str) -> list[Requirement]:
    project = SETTINGS["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    for group in groups:
        texts += [entry for entry in SETTINGS["dependency-groups"][group] if isinstance(entry, str)]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize(
    ("lock", "groups"), [(LOCKS[0], ("build",)), (LOCKS[1], ("build", "dev"))], ids=LOCKS
)
def test_every_requirement_is_locked_within_its_bounds(lock: str, groups: tuple[str, ...]) -> None:
    versions = locked(lock)
    for requirement in required(*groups):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])


def test_both_locks_agree() -> None:
    assert locked("requirements.txt").items() <= locked("requirements-dev.txt").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_have_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / "deploy" / lock).read_text("utf-8")
    assert not re.search(r"://|^\s*-(?!-hash)|--(?!hash)\S*(index|url|links)", text, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


# --- the guards of tests/conftest.py ---------------------------------------------------------


def guarded(root: Path, layer: str, body: str) -> subprocess.CompletedProcess[str]:
    (root / "tests" / layer).mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", root)
    shutil.copy(ROOT / "tests/conftest.py", root / "tests")
    (root / "tests" / layer / "test_it.py").write_text(body, "utf-8")
    command = ["env", "-u", "IPHUB_TEST_POSTGRES_URL", "CI=true", sys.executable, "-m", "pytest"]
    return run(*command, "-q", "-p", "no:cacheprovider", "tests", cwd=root)


@pytest.mark.parametrize("layer", ["unit", "contract"])
def test_a_fast_test_may_not_ask_for_a_server(tmp_path: Path, layer: str) -> None:
    answer = guarded(tmp_path, layer, "def test_it(postgres_url): pass\n")
    assert answer.returncode == 1
    assert f"{layer} tests may not use 'postgres_url'" in answer.stdout


def test_a_test_outside_the_layers_is_refused(tmp_path: Path) -> None:
    answer = guarded(tmp_path, "misc", "def test_it(): pass\n")
    assert answer.returncode == 1
    assert "not in one of contract, flow" in answer.stdout


def test_a_fast_test_opens_no_socket(tmp_path: Path) -> None:
    answer = guarded(tmp_path, "unit", "import socket\ndef test_it(): socket.socket()\n")
    assert "SocketBlockedError" in answer.stdout
    assert answer.returncode == 1


@pytest.mark.parametrize(
    "body",
    [
        "def test_it(postgres_url): pass\n",
        "import pytest\npytest.skip('no server', allow_module_level=True)\n",
    ],
    ids=["test", "file"],
)
def test_a_skip_fails_in_ci(tmp_path: Path, body: str) -> None:
    answer = guarded(tmp_path, "flow", body)
    assert "skipped, which CI does not accept" in answer.stdout
    assert answer.returncode in {1, 2}  # 2: the collection stopped
