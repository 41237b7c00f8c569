"""Receipts: what decided a text, kept so that the same text can be had again."""
