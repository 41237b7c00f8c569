"""Binds a text to a form: a JSON schema, a regular expression, a choice or a grammar.

A grammar is compiled once, then a follower for each sequence says which tokens may come next. Knows
no requests, no strategies and no logits.
"""
