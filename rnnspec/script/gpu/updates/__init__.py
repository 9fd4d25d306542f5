"""The update of a GPU script: kernels in CUDA C from one row an optimizer, clip and average."""
