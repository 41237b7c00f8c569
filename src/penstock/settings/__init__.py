"""Everything an operator can set. Read by the command line and taken apart there and in the server.

Precedence: flag > environment > `.env` > config file > default.
"""

from penstock.settings.declared import DEFAULT_MODEL, NESTING, PREFIX, Group, Settings, is_loopback
from penstock.settings.sources import (
    EffectiveSetting,
    default_config_file,
    effective_settings,
    load_settings,
)

__all__ = [
    "DEFAULT_MODEL",
    "NESTING",
    "PREFIX",
    "EffectiveSetting",
    "Group",
    "Settings",
    "default_config_file",
    "effective_settings",
    "is_loopback",
    "load_settings",
]
