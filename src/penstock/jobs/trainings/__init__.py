"""Training runs as jobs: each in a process of its own, from wherever an earlier attempt got to."""
