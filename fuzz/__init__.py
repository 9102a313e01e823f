"""Fuzzing: a byte string is a sequence of calls (target.py), coverage chooses (__main__.py)."""
