"""`/evaluations`: models measured on rows that a client sends, by the server that serves them."""
