"""The command line, one command per file. Reads settings, sets up logging, prints; no more."""
