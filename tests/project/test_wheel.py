"""The wheel, as someone gets it: it holds all it needs, and works far from the repository.

Its dependencies are borrowed from the environment that runs the tests; Penstock itself is not.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.server_process import running_server

REPOSITORY = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE", "src")
LEAVE_OUT = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def build_wheel(folder: Path, **environment: str) -> Path:
    """Build the wheel from a copy of the sources, so that nothing built earlier gets into it."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in SOURCES:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=LEAVE_OUT)
        elif path.exists():
            shutil.copy(path, source)
    command = ["-m", "pip", "wheel", str(source), "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run(
        [sys.executable, *command, str(folder)],
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that holds this wheel."""
    environment = tmp_path_factory.mktemp("elsewhere") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, wheel], check=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def test_the_wheel_holds_the_page_the_model_and_the_credits(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for wanted in (
        "penstock/py.typed",
        "penstock/web/index.html",
        "penstock/api/docs_assets/docs.html",
        "penstock/storage/migrations/env.py",
        "penstock/storage/migrations/versions/0001_jobs.py",
        "penstock/model/builtin/model.safetensors",
        "penstock/model/builtin/tokenizer.json",
        "penstock/model/builtin_adapters/penstock-tiny-chat/adapter_model.safetensors",
        "penstock-0.1.0.dist-info/licenses/LICENSE",
        "penstock-0.1.0.dist-info/licenses/NOTICE",
    ):
        assert wanted in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "frontend/"))]


def test_without_a_compiler_the_wheel_is_built_without_kernels(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, CC="false", CXX="false")

    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]


def test_the_installed_command_writes_far_from_the_repository(
    installed: Path, tmp_path: Path
) -> None:
    command = [installed / "penstock", "generate", "Once upon a time", "--json"]
    limits = ["--max-new-tokens", "8", "--seed", "1"]

    done = subprocess.run(
        [*command, *limits],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    answer = json.loads(done.stdout)
    assert answer["usage"]["completion_tokens"] == 8
    assert answer["generated_text"].startswith("Once upon a time")


def test_the_code_that_runs_is_the_wheels_own(installed: Path, tmp_path: Path) -> None:
    code = "import penstock; print(penstock.__file__)"

    where = subprocess.run(
        [installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert Path(where.stdout.strip()).is_relative_to(installed.parent)


def test_the_installed_server_shows_the_page_and_writes(installed: Path, tmp_path: Path) -> None:
    body = json.dumps({"prompt": "Once upon a time", "max_new_tokens": 8}).encode()
    headers = {"content-type": "application/json"}

    with running_server([installed / "penstock"], "--no-browser", folder=tmp_path) as server:
        page = fetch(f"{server.url}/")
        documentation = fetch(f"{server.url}/docs")
        answer = fetch(urllib.request.Request(f"{server.url}/generate", body, headers))

    assert b"<html" in page.lower()
    assert b"<html" in documentation.lower()
    assert json.loads(answer)["usage"]["completion_tokens"] == 8


def fetch(what: str | urllib.request.Request) -> bytes:
    with urllib.request.urlopen(what) as response:
        content: bytes = response.read()
    return content
