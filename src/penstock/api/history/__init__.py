"""Routes of what was generated."""
