"""What importing may do: nothing but define things, quickly, with and without asserts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIGHT = (
    "penstock.errors",
    "penstock.types",
    "penstock.settings",
    "penstock.decoding.parameters",
    "penstock.decoding.strategies",
    "penstock.engine.scheduler",
    "penstock.engine.block_manager",
    "penstock.cli.main",
    "penstock.serving.spawn",
    "penstock.serving.worker_main",
    "penstock.api.server",
)

IMPORT_EVERYTHING = """
import importlib, pkgutil, socket, sys, threading
import penstock

connections = []
note = lambda event, args: connections.append(args) if event == "socket.connect" else None
sys.addaudithook(note)
for module in pkgutil.walk_packages(penstock.__path__, "penstock."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
ours = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
assert_nothing = connections + ours
sys.exit(f"importing made {assert_nothing}" if assert_nothing else 0)
"""


def python(code: str, *flags: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    return subprocess.run(
        [sys.executable, *flags, "-c", code],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.mark.parametrize("flags", [(), ("-O",)], ids=["with-asserts", "without-asserts"])
def test_importing_all_of_penstock_prints_writes_and_starts_nothing(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    done = python(IMPORT_EVERYTHING, *flags, home=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("module", LIGHT)
def test_what_decides_and_what_answers_help_imports_no_torch(module: str, tmp_path: Path) -> None:
    done = python(
        f"import sys, {module}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)",
        home=tmp_path,
    )

    assert (done.returncode, done.stderr) == (0, "")
