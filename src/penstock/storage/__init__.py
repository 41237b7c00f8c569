"""What outlasts the process: tables in SQLite or PostgreSQL, and contents as files beside them."""
