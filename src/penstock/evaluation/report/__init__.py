"""Evaluations as people read them: Markdown, JSON, and a page with plots."""
