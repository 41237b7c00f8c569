"""How logits become tokens: processors, sampling, strategies. Importing it loads no torch."""
