"""Codes of what can go wrong while a script runs.  No spec is wrong in itself here, so the examples are what may help."""

from rnnspec.catalogue.entry import Entry

RUNNING: dict[str, Entry] = {
    "E0901": Entry(
        "the script failed while it computed an equation",
        "The spec is right, but its script could not go on with this data on this machine. The message names the equation "
        "and what Python said; the usual cause is memory, which smaller sizes or batches need less of.",
        wrong="train:\n  batch: 100000",
        right="train:\n  batch: 64",
    ),
}
"""Code -> entry."""
