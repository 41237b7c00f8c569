"""Penstock: a text-generation studio and server. Importing it builds nothing."""

__version__ = "0.1.0"
