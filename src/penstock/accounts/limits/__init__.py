"""How much users and keys may take: limits, what has been taken, and what is left."""
