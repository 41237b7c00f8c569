"""Batches: many requests in a file, each answered once, however often the server is stopped."""
