"""The import contracts of pyproject.toml hold, and they cover every folder."""

from __future__ import annotations

import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def _contract(name: str) -> dict[str, Any]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return next(contract for contract in settings["contracts"] if contract["id"] == name)


def test_every_import_contract_is_kept() -> None:
    lint_imports = Path(sysconfig.get_path("scripts")) / "lint-imports"

    ran = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stdout
    assert "0 broken" in ran.stdout


def test_every_folder_of_an_actor_is_held_apart_from_the_others() -> None:
    folders = {path.parent.name for path in (ROOT / "actors").glob("*/__init__.py")}

    apart = set(_contract("actors")["layers"][0].split(" | "))

    assert apart == folders


def test_the_control_cell_is_kept_from_learning_serving_and_publishing() -> None:
    control = _contract("control")

    assert {"actors.inverter", "actors.safety", "actors.watchdog", "supervision"} <= set(
        control["source_modules"]
    )
    assert {"grpc", "onnxruntime", "sklearn", "uvicorn"} <= set(control["forbidden_modules"])
