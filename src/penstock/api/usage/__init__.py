"""Routes about limits and what was used."""
