"""The typed tree and its program as the text of a training script."""
