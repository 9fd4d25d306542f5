"""Running a compiled script: its process, its events, its progress, and the folder that keeps the run."""
