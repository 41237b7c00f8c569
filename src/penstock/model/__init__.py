"""Models: which there are, where their files come from, how a folder comes to run."""
