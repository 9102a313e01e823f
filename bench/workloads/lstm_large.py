"""The largest of ADBench's sizes of lstm."""

from .lstm import TOY, UNIT, make

__all__ = ["FULL", "TITLE", "TOY", "UNIT", "make"]

TITLE = "lstm_large: 4 layers, 4,096 characters"
WORDS = "LSTM of 4 layers over 4,096 characters"
FULL = {"layers": 4, "length": 4096, "bits": 14}
