"""The HTTP face: wire schemas, routes, errors and streams. The only package that knows FastAPI."""
