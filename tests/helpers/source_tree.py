"""The files of the project."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def project_files() -> list[Path]:
    """Tracked and new files that git does not ignore; without git, what is not hidden or installed."""
    listing = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        found = [ROOT / name for name in done.stdout.split("\0") if name]
    else:
        found = [p for p in ROOT.rglob("*") if not {".venv", "__pycache__", ".git"} & set(p.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file())


def sources(*folders: str) -> list[Path]:
    """The Python files below these folders of the project."""
    files = [path for path in project_files() if path.suffix == ".py"]
    return [path for path in files if path.relative_to(ROOT).parts[0] in folders]
