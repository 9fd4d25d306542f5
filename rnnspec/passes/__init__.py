"""Typed tree -> program, and program -> program: each pass small, pure and printable.  `compiler.PASSES` lists their order."""
