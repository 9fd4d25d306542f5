"""The library of cells, each in a file of its own, written in the language itself: the compiler knows none of them."""
