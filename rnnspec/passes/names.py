"""Display names for what stands for several values."""

from __future__ import annotations

LONGEST = 24


def common_name(names: list[str]) -> str:
    """W_i, W_f -> W_if;  h1.b_i, h1.b_f -> h1.b_if;  r, z -> rz;  mean, mean -> means."""
    unique = list(dict.fromkeys(names))
    if len(unique) == 1:
        return unique[0] if unique[0].endswith("s") else f"{unique[0]}s"
    heads = {n.rpartition(".")[0] for n in unique}
    if len(heads) == 1 and next(iter(heads)):
        return f"{heads.pop()}.{common_name([n.rpartition('.')[2] for n in unique])}"
    columns = list(zip(*(n.split("_") for n in unique), strict=False))
    if len({n.count("_") for n in unique}) == 1 and sum(len(set(c)) > 1 for c in columns) == 1:
        joined = "_".join(c[0] if len(set(c)) == 1 else "".join(p.rpartition(".")[2] for p in c) for c in columns)
        if len(joined) <= LONGEST:
            return joined
    return f"{unique[0]}_to_{unique[-1].rpartition('.')[2]}"
