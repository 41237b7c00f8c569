"""Continuous batching: plans steps, runs them, and turns their logits into output."""
