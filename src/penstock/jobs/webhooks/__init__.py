"""Telling whoever asked for it that a job has ended."""
