"""What every test may ask for: the shared data, a browser; and how much of the machine it gets.

What a machine lacks is skipped with the reason, unless PENSTOCK_REQUIRE names it, as in
`PENSTOCK_REQUIRE=chromium,shared-data`: then its absence is a failure.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side; read when torch loads
# What servers keep while they are tested does not lie among what the user's own keep.
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="penstock-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_DATA_HOME"], ignore_errors=True)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

REPOSITORY = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# A build server draws the same examples every time, so that it judges the change and not the day;
# everywhere else each run looks for new ones.
settings.register_profile(
    "penstock",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("penstock")


def missing(what: str, reason: str) -> None:
    """Skip the test for `reason`, or fail it where the surroundings promise `what`."""
    if what in os.environ.get("PENSTOCK_REQUIRE", "").split(","):
        pytest.fail(f"{reason} It is required here (PENSTOCK_REQUIRE).")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of corpora, tokenizers and reference weights that lies beside the repository."""
    folder = Path(os.environ.get("PENSTOCK_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        missing("shared-data", f"There is no shared data at {folder}.")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium."""
    found = os.environ.get("PENSTOCK_CHROMIUM") or next(
        filter(None, map(shutil.which, BROWSERS)), None
    )
    if found is None:
        missing("chromium", f"No browser is installed (looked for {', '.join(BROWSERS)}).")
    return str(found)
