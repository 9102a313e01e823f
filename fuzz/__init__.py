"""Fuzzing: a byte string is a sequence of public calls (target.py), chosen by coverage (__main__.py)."""
