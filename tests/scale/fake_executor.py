"""An executor over the fake engine as a process of its own: `python -m tests.scale.fake_executor`.

Prints its name when it looks for jobs. `FAKE_STEP_SECONDS` sets the engine's pace.
"""

import os

from penstock.api.building import build_services, with_dispatch
from penstock.api.executing import execute
from penstock.scale.choosing import for_executor
from penstock.settings import load_settings
from tests.fakes import FakeEngine, FakeModels

STEP_SECONDS = float(os.environ.get("FAKE_STEP_SECONDS", "0.01"))

if __name__ == "__main__":
    models = FakeModels(lambda: FakeEngine(step_seconds=STEP_SECONDS))
    settings = load_settings()
    services = with_dispatch(settings, build_services(settings, models), for_executor)
    execute(settings, services, announce=lambda name: print(name, flush=True))
