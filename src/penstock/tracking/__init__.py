"""Tracking: the log of a run, its pictures and report, and other people's trackers beside it."""
