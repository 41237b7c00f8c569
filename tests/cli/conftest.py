"""A command line in surroundings that hold nothing of the machine's own settings."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.cli.main import run

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working and home folder, and no variable that sets anything."""
    for name in list(os.environ):
        if name.startswith(("PENSTOCK_", "APP_")) or name in {"PORT", "MODEL_NAME", "HF_HOME"}:
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def penstock(bare: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line; its exit status, what it printed and its news."""

    def command(*arguments: str) -> tuple[int, str, str]:
        try:
            status = run(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command
