"""`/jobs`: work that goes on when the connection, or the server, does not."""
