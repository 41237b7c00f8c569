"""What the documentation says is so: its trees, its links, its examples, its reference."""

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from penstock.api.app import create_app
from penstock.api.building import build_services, loading_options
from penstock.api.edge import Edge
from penstock.cli.main import run
from penstock.serving.local_models import LocalModels
from penstock.settings import Settings

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted({*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")})
MADE_BY_WORK = {"build", "dist", "runs", "test-results", "htmlcov", "node_modules"}


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def tree_paths() -> list[Path]:
    """The paths that the tree in the README shows, four characters of indentation per level."""
    paths: list[Path] = []
    folders: list[str] = []
    for line in (REPOSITORY / "README.md").read_text().splitlines():
        match = re.match(r"(?P<indent>[│ ]*)[├└]── (?P<rest>.*)", line)
        if match is None:
            continue
        depth = len(match["indent"]) // 4
        names = re.match(r"\S+(  ?[\w./]+\.\w+)*", match["rest"])
        assert names is not None, line
        for name in names.group().split():
            folders[depth:] = [name]
            paths.append(Path(*folders))
    return paths


def test_every_path_in_the_readmes_tree_exists() -> None:
    paths = tree_paths()

    assert len(paths) > 20
    assert [str(path) for path in paths if not (REPOSITORY / path).exists()] == []


def test_the_readmes_tree_leaves_out_no_folder() -> None:
    shown = {str(path) for path in tree_paths()}
    package = REPOSITORY / "src" / "penstock"
    top = [p for p in REPOSITORY.iterdir() if p.is_dir() and not p.name.startswith(".")]
    inner = [p for p in package.iterdir() if p.is_dir() and not p.name.startswith("__")]

    folders = {str(p.relative_to(REPOSITORY)) for p in (*top, *inner)} - MADE_BY_WORK - {"src"}

    assert folders <= shown


@pytest.mark.parametrize("document", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = document.read_text()
    anchors = {heading_anchor(line) for line in text.splitlines() if line.startswith("#")}

    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if not path:
            assert anchor in anchors, target
        elif not target.startswith(("http://", "https://")):
            assert (document.parent / path).exists(), target


def heading_anchor(line: str) -> str:
    """The anchor that a Markdown heading gets."""
    words = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
    return words.replace(" ", "-")


def test_the_reference_is_what_the_code_says_now() -> None:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    pages = {f"{name}.md": text for name, text in generate.build_pages().items()}

    assert {p.name: p.read_text() for p in generate.FOLDER.glob("*.md")} == pages


def examples(language: str) -> Iterator[tuple[str, str]]:
    """Code blocks of one language with the page they are on."""
    for page in PAGES:
        blocks = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.S | re.M)
        yield from ((name_of(page), block) for block in blocks)


CURLS = [
    (page, command)
    for page, block in examples("sh")
    for command in re.split(r"^(?=curl )", block, flags=re.M)
    if command.startswith("curl ")
]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A client of a server with the built-in model."""
    settings = Settings()
    source = LocalModels(settings.preload, loading_options(settings))
    app = create_app(build_services(settings, source), Edge(allowed_hosts=None))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.mark.parametrize(("source", "command"), CURLS, ids=[source for source, _ in CURLS])
def test_every_curl_example_is_answered(client: TestClient, source: str, command: str) -> None:
    words = shlex.split(command.replace("\\\n", " "))
    url = next(word for word in words if word.startswith("http://127.0.0.1:8000"))
    body = json.loads(words[words.index("-d") + 1]) if "-d" in words else {}

    response = client.post(url, json=body) if body else client.post(url)

    assert response.is_success, response.text
    assert ("data: [DONE]" in response.text) == body.get("stream", False)


COMMANDS = [
    (page, line)
    for page, block in examples("")
    for line in block.splitlines()
    if line.startswith("penstock ")
]


@pytest.mark.parametrize(("source", "line"), COMMANDS, ids=[line for _, line in COMMANDS])
def test_every_command_in_the_docs_has_the_options_it_uses(
    source: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(line)[1:]
    command = [word for word in words if re.fullmatch("[a-z]+", word)]

    grouped = {"models", "config", "jobs", "users", "keys"}
    status = run([*command[: 2 if command[0] in grouped else 1], "--help"])

    help_text = capsys.readouterr().out
    assert status == 0
    assert [word for word in words if word.startswith("--") and word not in help_text] == []
