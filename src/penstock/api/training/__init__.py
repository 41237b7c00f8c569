"""`/training/runs`: models trained by the server, each in a process of its own."""
