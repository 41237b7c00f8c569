"""Text in and out of a model: tokens, streams, stop strings, prompts and post-processing."""
