"""Penstock on several machines: executors that hear of jobs from a broker."""
