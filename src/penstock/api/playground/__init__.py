"""The playground dialect: generate, compare, and what the page is built from."""
