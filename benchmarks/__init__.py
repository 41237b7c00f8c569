"""Measurements of Penstock beside others, in turn and in one run; nothing imports them."""
