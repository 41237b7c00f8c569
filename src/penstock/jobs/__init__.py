"""Work that outlasts the request that asked for it, and the process that does it."""
