"""Environments of peers whose pins cannot live beside ours, below ``.bench/``."""

import subprocess
import sys
from pathlib import Path


def environment(name: str, *requirements: str) -> Path:
    """Return the Python of an environment, made and filled when it is missing."""
    python = Path(f".bench/{name}/bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
    return python
