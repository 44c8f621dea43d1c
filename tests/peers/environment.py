"""The environment in which clients run that nobody here wrote, apart from ours because of the licence of one."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "peers.lock"
HOME = ROOT / ".venv-peers"
INSTALL_S = 300.0
"""An installation that takes longer has failed; it takes about three seconds where the packages are at hand."""


def peers_python() -> Path:
    """Return the environment's interpreter, after installing what the lock file names unless that is done.

    Raises:
        subprocess.CalledProcessError: the installation failed; what it said is on the standard error.
        subprocess.TimeoutExpired: it took longer than `INSTALL_S` seconds.
    """
    HOME.mkdir(exist_ok=True)
    home = HOME / _fingerprint()
    # Two test runs of one clone may come here at once.
    with (HOME / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            _install(home)
    return home / "bin" / "python"


def _fingerprint() -> str:
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]


def _install(home: Path) -> None:
    for old in HOME.glob("*/"):
        shutil.rmtree(old)
    python = [sys.executable, "-m"]
    install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    commands = (
        [*python, "venv", "--without-pip", str(home)],
        [*python, "pip", "--python", str(home / "bin" / "python"), *install, "-r", str(LOCK)],
    )
    for command in commands:
        subprocess.run(command, check=True, timeout=INSTALL_S)
    (home / "complete").touch()
