"""Users, keys, sessions and tokens: who someone is and what they may do. Knows no HTTP."""
