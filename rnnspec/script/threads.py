"""The function of a script that asks how many threads multiply: several share a product better as a whole."""

HELPER = '''@lru_cache
def groups(count):
    """In how many groups of rows a large product is taken: so many, small ones, by one thread; as a whole by several."""
    said = (os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    threads = next(filter(None, said), os.cpu_count())
    return count if str(threads) == "1" else 1'''
"""As far as a script can tell; a wrong answer costs time, nothing else."""
