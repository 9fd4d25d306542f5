"""The function of a script that cuts its steps into parts, over which weight gradients are summed one after another."""

COLUMNS = 1024
"""Steps times sequences of one part.  With fewer, it is the adding of the parts that takes time; with more, copies leave the
cache before they are multiplied.
"""

NAMES = frozenset(["part", "steps"])
"""What a loop over parts binds: the steps of a part, and how many they are."""

HELPER = f'''def in_parts(T, B):
    """All steps in parts of about {COLUMNS} columns, as even as can be: the steps of each, and how many they are."""
    count = max(1, min(T, math.ceil(T * B / {COLUMNS})))
    ends = [T * k // count for k in range(count + 1)]
    return [(slice(start, end), end - start) for start, end in zip(ends, ends[1:])]'''
