"""Prove that the wheel holds every file of the rooms and that every module imports from it.

Run by ``.ci/run`` with the interpreter of a clean environment, isolated (``-I``) so that the
checkout cannot stand in for a file the wheel forgot. Nothing about behaviour belongs here.
"""

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

ROOMS = ("ipregister", "connectors", "pipelines", "api", "iphub", "offices", "quality_rules")


def tracked_files(checkout: Path) -> set[str]:
    """Return the files of the rooms that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *ROOMS]
    listing = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True)  # noqa: S603 - a constant command
    return {name for name in listing.stdout.splitlines() if (checkout / name).is_file()}


def importable(names: set[str]) -> list[str]:
    """Return the modules among ``names``; migrations are scripts that only Alembic may run."""
    modules = []
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.suffix == ".py" and "migrations" not in path.parts:
            parts = path.with_suffix("").parts
            modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in modules if not name.endswith("__main__")]


def main(wheel: Path) -> int:
    """Compare, import everything, and report."""
    expected = tracked_files(Path(__file__).parent.parent)
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    problems = [f"not in the wheel: {name}" for name in sorted(expected - packed)]
    problems += [f"in the wheel by accident: {name}" for name in sorted(packed - expected)]
    modules = importable(expected)
    for name in modules:
        try:
            origin = importlib.import_module(name).__file__
        except Exception as error:  # whatever keeps a module from loading is what we look for
            problems.append(f"{name} does not import: {error!r}")
            continue
        if origin is None or not Path(origin).is_relative_to(sys.prefix):
            problems.append(f"{name} came from {origin}, not from the wheel")
    sys.stdout.write("\n".join([*problems, f"{len(packed)} files, {len(modules)} modules\n"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
