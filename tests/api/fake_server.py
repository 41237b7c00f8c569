"""A server over the fake engine as a process of its own: `python -m tests.api.fake_server`.

Prints its address when it listens. Settings come from the environment; `FAKE_STEP_SECONDS` sets the
engine's pace and `FAKE_LOAD_SECONDS` how long the model takes to load.
"""

import os
import sys
import time

from penstock.api.building import build_services, with_dispatch
from penstock.api.server import serve
from penstock.scale.choosing import for_server
from penstock.serving.models import HostedModel
from penstock.settings import load_settings
from tests.fakes import FakeEngine, FakeModels

STEP_SECONDS = float(os.environ.get("FAKE_STEP_SECONDS", "0.01"))
LOAD_SECONDS = float(os.environ.get("FAKE_LOAD_SECONDS", "0"))


class SlowModels(FakeModels):
    def load(self, model_id: str) -> HostedModel:
        time.sleep(LOAD_SECONDS)
        return super().load(model_id)


if __name__ == "__main__":
    models = SlowModels(lambda: FakeEngine(step_seconds=STEP_SECONDS))
    settings = load_settings()
    services = with_dispatch(settings, build_services(settings, models), for_server)
    sys.exit(serve(settings, services, announce=lambda url: print(url, flush=True)))
