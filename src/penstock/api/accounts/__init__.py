"""The accounts dialect: tokens, the page's session, users and keys."""
