"""Answers to requests that must come out the same, given again without computing them."""
