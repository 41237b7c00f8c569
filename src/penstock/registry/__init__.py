"""Tuned models with their lineage: from a run to what is served, and back to what was before."""
