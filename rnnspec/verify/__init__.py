"""Proof of a generated script: its gradients against references made from the typed tree, not from the program."""
