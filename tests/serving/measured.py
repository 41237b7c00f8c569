"""What this process holds by itself, whatever it shares with others."""

import re
from pathlib import Path


def own_memory() -> int:
    """Bytes of anonymous memory: not the files that other processes map too."""
    found = re.search(r"^RssAnon:\s+(\d+) kB$", Path("/proc/self/status").read_text(), flags=re.M)
    assert found is not None
    return int(found[1]) * 1024
