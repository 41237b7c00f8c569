"""Training: recipes, corpora, the loop, resume and export. Knows nothing of the server."""
