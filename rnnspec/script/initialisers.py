"""How parameters start: one row for each initialiser of the language."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import ParameterInfo, Spec, Word
from rnnspec.script.code import Code, fill
from rnnspec.script.sources import relative


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

LECUN_UNIFORM = '''
def lecun_uniform(rng, shape):
    """Uniform, as wide as keeps the variance of values through a matrix (LeCun et al. 1998)."""
    limit = (3 / max(1, *shape[-1:])) ** 0.5
    return rng.uniform(-limit, limit, shape)
'''

LECUN_NORMAL = '''
def lecun_normal(rng, shape):
    """Normal, as wide as keeps the variance of values through a matrix (LeCun et al. 1998)."""
    return rng.normal(0.0, (1 / max(1, *shape[-1:])) ** 0.5, shape)
'''

TORCH_RNN = '''
def torch_rnn(rng, shape):
    """Uniform, narrower the more units there are: the matrices and vectors of PyTorch's recurrent layers."""
    limit = (1 / max(1, *shape[:1])) ** 0.5
    return rng.uniform(-limit, limit, shape)
'''

SPARSE = '''
def sparse(rng, shape, sparsity, std):
    """Normal, but equally many numbers of each column are 0 (Martens 2010)."""
    values = rng.normal(0.0, std, shape)
    order = np.argsort(rng.random(shape), axis=0)
    values[order < math.ceil(sparsity * shape[0])] = 0
    return values
'''

FROM_FILE = '''
def from_file(path, name):
    """An array of a file."""
    with np.load(data_file(path), allow_pickle=False) as archive:
        return archive[name]
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
    "lecun_uniform": Initialiser("lecun_uniform({rng}, {shape})", LECUN_UNIFORM),
    "lecun_normal": Initialiser("lecun_normal({rng}, {shape})", LECUN_NORMAL),
    "torch_rnn": Initialiser("torch_rnn({rng}, {shape})", TORCH_RNN),
    "sparse": Initialiser("sparse({rng}, {shape}, {sparsity}, {std})", SPARSE),
    "chrono": Initialiser("np.log({rng}.uniform(1, {longest} - 1, {shape}))"),
    "negative": Initialiser("-{of}"),
    "from_file": Initialiser("from_file({path}, {array})", FROM_FILE),
    "identity": Initialiser("{gain} * np.eye(*{shape})"),
}


def initial_values(spec: Spec) -> dict[str, Code]:
    """For each parameter the expression for a fresh one, drawn by a generator of its own."""
    found: dict[str, Code] = {}
    own_first = sorted(enumerate(spec.model.parameters), key=lambda item: _starts_elsewhere(item[1]))
    for index, info in own_first:
        rng = fill('generator(seed, "init", {index})', index=index)
        given = {
            key: found[value] if isinstance(value, Word) else relative(value, spec.path) for key, value in info.init.arguments
        }
        found[info.name] = fill(INITIALISERS[info.init.name].value, rng=rng, shape=info.shape, **given)
    return {info.name: found[info.name] for info in spec.model.parameters}


def _starts_elsewhere(info: ParameterInfo) -> bool:
    return any(isinstance(value, Word) for _, value in info.init.arguments)


def initialiser_functions(parameters: tuple[ParameterInfo, ...]) -> list[str]:
    """The functions that these parameters need."""
    return [INITIALISERS[info.init.name].function for info in parameters]
