"""Typed tree -> program, and program -> program: each pass small, pure and printable.  `compiler.passes` lists their order."""
