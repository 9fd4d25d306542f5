"""How data is written: what the checks of a spec and the scripts must read alike."""

from __future__ import annotations

MISSING = ("", "?", "na", "nan", "null")
"""How a table writes a missing number, in small letters."""

TOKEN = r"\w+|[^\w\s]|\n"
"""The pattern of a word, a punctuation mark, or the end of a line."""

OTHER = "<unk>"
"""Stands for every word that a vocabulary leaves out."""
