"""What is written down of requests that have ended: what they used, and what they generated."""
