"""How parameters start: one row for each initialiser of the language."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import ParameterInfo
from rnnspec.script.code import Code, fill


@dataclass(frozen=True)
class Initialiser:
    """An expression with places for `rng`, `shape` and the initialiser's arguments, and the function it calls."""

    value: str
    function: str = ""


GLOROT_UNIFORM = '''
def glorot_uniform(rng, shape):
    """Uniform, as wide as keeps the variance of values and gradients through a matrix (Glorot and Bengio 2010)."""
    limit = (6 / max(1, sum(shape))) ** 0.5
    return rng.uniform(-limit, limit, shape)
'''

GLOROT_NORMAL = '''
def glorot_normal(rng, shape):
    """Normal, as wide as keeps the variance of values and gradients through a matrix (Glorot and Bengio 2010)."""
    return rng.normal(0.0, (2 / max(1, sum(shape))) ** 0.5, shape)
'''

HE_UNIFORM = '''
def he_uniform(rng, shape):
    """Uniform, as wide as keeps the variance of values through a matrix and a relu (He et al. 2015)."""
    limit = (6 / max(1, *shape[-1:])) ** 0.5
    return rng.uniform(-limit, limit, shape)
'''

HE_NORMAL = '''
def he_normal(rng, shape):
    """Normal, as wide as keeps the variance of values through a matrix and a relu (He et al. 2015)."""
    return rng.normal(0.0, (2 / max(1, *shape[-1:])) ** 0.5, shape)
'''

ORTHOGONAL = '''
def orthogonal(rng, shape, gain):
    """A random matrix whose rows (or columns, if these are fewer) are at right angles and of length `gain`."""
    rows, columns = shape
    q, r = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
    q *= np.sign(np.diag(r))  # without this, some directions would be more likely than others
    return gain * (q if rows >= columns else q.T)
'''

INITIALISERS = {
    "zeros": Initialiser("np.zeros({shape})"),
    "ones": Initialiser("np.ones({shape})"),
    "constant": Initialiser("np.full({shape}, {value})"),
    "normal": Initialiser("{rng}.normal(0.0, {std}, {shape})"),
    "uniform": Initialiser("{rng}.uniform(-{limit}, {limit}, {shape})"),
    "glorot_uniform": Initialiser("glorot_uniform({rng}, {shape})", GLOROT_UNIFORM),
    "glorot_normal": Initialiser("glorot_normal({rng}, {shape})", GLOROT_NORMAL),
    "he_uniform": Initialiser("he_uniform({rng}, {shape})", HE_UNIFORM),
    "he_normal": Initialiser("he_normal({rng}, {shape})", HE_NORMAL),
    "orthogonal": Initialiser("orthogonal({rng}, {shape}, {gain})", ORTHOGONAL),
    "identity": Initialiser("{gain} * np.eye(*{shape})"),
}


def initial_value(info: ParameterInfo, index: int) -> Code:
    """The expression for a fresh parameter, drawn by a generator of its own."""
    rng = fill('generator(seed, "init", {index})', index=index)
    row = INITIALISERS[info.init.name]
    return fill(row.value, rng=rng, shape=info.shape, **dict(info.init.arguments))


def initialiser_functions(parameters: tuple[ParameterInfo, ...]) -> list[str]:
    """The functions that these parameters need."""
    return [INITIALISERS[info.init.name].function for info in parameters]
