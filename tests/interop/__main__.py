"""Runs other people's programs against a server: `make interop`.

It is run by the Python of an environment that has those programs and not Penstock; it is told the
`penstock` command and the folders of the models that are compared.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.interop.chats import chat_through_langchain, chat_through_llm
from tests.interop.harness import compare
from tests.interop.tasks import write_tasks

START_SECONDS = 120


def main(arguments: Sequence[str]) -> int:
    """0 if all agree; else a message says which does not."""
    parser = argparse.ArgumentParser(prog="tests.interop", description=__doc__)
    parser.add_argument("--penstock", required=True, help="The command.")
    parser.add_argument("--stories", required=True, type=Path, help="A JSONL file of stories.")
    parser.add_argument("models", nargs="+", type=Path, help="Folders.")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = write_tasks(options.stories, folder)
        for model in options.models:
            with serving(options.penstock, model.resolve(), folder) as url:
                started = time.monotonic()
                compare(url, model.resolve(), tasks, folder)
                print(chat_through_langchain(url, model.name))
                print(chat_through_llm(url, model.name, folder))
                print(f"{model.name}: {time.monotonic() - started:.0f} s")
    return 0


@contextlib.contextmanager
def serving(penstock: str, model: Path, folder: Path) -> Iterator[str]:
    """The address of a server with the model."""
    with (folder / f"{model.name}.log").open("w+") as log:
        process = subprocess.Popen(
            [penstock, "serve", "--port", "0", "--no-browser", "--model", str(model)],
            stdout=log, stderr=log, env=os.environ | {"XDG_DATA_HOME": str(folder / "data")},
        )  # fmt: skip
        try:
            yield address(process, Path(log.name))
        finally:
            process.terminate()
            process.wait(30)


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server is, once its model is there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        told = [line for line in log.read_text().splitlines() if line.startswith("Penstock is at ")]
        if told:
            url = told[0].removeprefix("Penstock is at ").strip()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return url
        time.sleep(0.1)
    sys.exit(f"The server did not become ready.\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
