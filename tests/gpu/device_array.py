"""Arrays on the device, as CuPy has them: like NumPy's, but the host must ask for their elements."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from tests.gpu.device import NULL_STREAM, Memory, Part, device

Host = np.ndarray[Any, Any]
Key = Any


class MemoryPointer:
    """Where the elements of an array begin."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class Flags:
    """How the elements of an array lie."""

    def __init__(self, host: Host) -> None:
        self.c_contiguous: bool = host.flags.c_contiguous
        self.f_contiguous: bool = host.flags.f_contiguous


class ndarray:  # the name that CuPy gives it
    """An array on the device; `_host` is a view of its memory that only the device may look at."""

    def __init__(self, memory: Memory, host: Host) -> None:
        self._memory = memory
        self._host = host

    # ------------------------------------------------------------------ what the host knows

    shape = property(lambda self: self._host.shape)
    strides = property(lambda self: self._host.strides)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: Flags(self._host))
    data = property(lambda self: MemoryPointer(self._host.ctypes.data))

    def part(self) -> Part:
        """The part of the memory that this array is."""
        offset = self._host.ctypes.data - self._memory.address
        return Part(weakref.ref(self._memory), offset, self.shape, self.strides, self.dtype)

    def __len__(self) -> int:
        return len(self._host)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array.")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        out = keywords.pop("out", (None,))[0]
        return elementwise(ufunc)(*inputs, out=out, **keywords)

    # ------------------------------------------------------------------ to the host and back

    def get(self, stream: Any = None, order: str = "C", out: Host | None = None) -> Host:
        """A copy on the host, which waits for it."""
        here = device()
        used = here.stream if stream is None else stream.ptr
        here.synchronise(used, "an array is copied to the host")
        self._memory.used_on(used, writes=False)
        here.synchronise(used, "an array is copied to the host")
        if out is None:
            return self._host.copy(order)  # type: ignore[arg-type]
        if out.dtype != self.dtype or out.shape != self.shape:
            raise ValueError(f"a {self.dtype} array {self.shape} cannot be written into a {out.dtype} array {out.shape}")
        out[...] = self._host
        return out

    def set(self, arr: Host, stream: Any = None) -> None:
        """Copy an array of the host, which must be of the same shape and type."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        if stream is None and device().stream == NULL_STREAM:
            device().waits += 1  # such a copy comes back when all work before it is done
        self._take(arr, stream)

    def _take(self, arr: Host, stream: Any = None) -> None:
        """The copy itself, in its turn."""
        device().refuse_in_capture("an array is copied from the host")
        device().submit(lambda out: np.copyto(out, arr), [self.part()], [], None if stream is None else stream.ptr)

    def item(self) -> Any:
        """The only element, on the host."""
        return self.get().item()

    def tolist(self) -> Any:
        """All elements, on the host."""
        return self.get().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    # ------------------------------------------------------------------ views and copies

    def _view(self, host: Host) -> ndarray:
        return ndarray(self._memory, host)

    @property
    def T(self) -> ndarray:  # the name that CuPy gives it
        """The array with its axes in the other order."""
        return self._view(self._host.T)

    def transpose(self, *axes: Any) -> ndarray:
        """The array with its axes in another order."""
        return self._view(self._host.transpose(*axes))

    def reshape(self, *shape: Any) -> ndarray:
        """The same elements in another shape; a copy only where no view has it."""
        host = self._host.reshape(*shape)
        return self._view(host) if np.shares_memory(host, self._host) or not host.size else self.copy().reshape(*shape)

    def ravel(self) -> ndarray:
        """The elements in one row."""
        return self.reshape(-1)

    def view(self) -> ndarray:
        """The same elements."""
        return self._view(self._host)

    def __getitem__(self, key: Key) -> ndarray:
        places = basic(key)
        whole = places if any(place is ... for place in places) else (*places, ...)  # a view, even of one element
        return self._view(self._host[whole])

    def __setitem__(self, key: Key, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        assign(self[key], value)

    def fill(self, value: Any) -> None:
        """Set every element to a number."""
        self[...] = value

    def copy(self) -> ndarray:
        """Another array with the same elements."""
        return self.astype(self.dtype)

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        """Another array with the same elements in another type."""
        if not copy and self.dtype == dtype:
            return self
        made = empty(self.shape, dtype)
        assign(made, self)
        return made


def basic(key: Key) -> tuple[Any, ...]:
    """A key as a tuple; TypeError for one that selects by an array, which the stand-in does not know."""
    key = key if isinstance(key, tuple) else (key,)
    for part in key:
        if not (part is None or part is ... or isinstance(part, (int, np.integer, slice))):
            raise TypeError(f"the stand-in takes numbers and slices as indices, not {type(part).__name__}")
    return key


def assign(out: ndarray, value: Any) -> None:
    """Copy an array of the device, or one number, into an array."""
    if isinstance(value, ndarray):
        device().submit(lambda to, source: np.copyto(to, source, casting="unsafe"), [out.part()], [value.part()])
    elif isinstance(value, (bool, int, float, np.generic, np.ndarray)):
        device().submit(lambda to: np.copyto(to, value, casting="unsafe"), [out.part()], [])
    else:
        raise TypeError(f"Unsupported type {type(value)}")


def empty(shape: Any, dtype: Any = float) -> ndarray:
    """An array whose elements are not set: no number, where the type has a word for it."""
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    kind = np.dtype(dtype)
    memory = device().allocate(int(np.prod(shape, dtype=int)) * kind.itemsize)
    host = np.ndarray(shape, kind, memory.bytes)
    if kind.kind == "f":
        host.fill(np.nan)
    return ndarray(memory, host)


def elementwise(function: np.ufunc) -> Callable[..., ndarray]:
    """CuPy's function of the same name: of arrays of the device and numbers, into `out` or a new array."""

    def call(*inputs: Any, out: ndarray | None = None, dtype: Any = None) -> ndarray:
        for one in inputs:
            if not isinstance(one, (ndarray, bool, int, float, np.generic)):
                raise TypeError(f"Unsupported type {type(one)}")
        if out is not None and not isinstance(out, ndarray):
            raise TypeError(f"return arrays must be of cupy.ndarray, not {type(out)}")
        arrays = [one for one in inputs if isinstance(one, ndarray)]

        def work(to: Host, *hosts: Host) -> None:
            rest = iter(hosts)
            with np.errstate(all="ignore"):
                function(*(next(rest) if isinstance(one, ndarray) else one for one in inputs), out=to, casting="same_kind")

        if out is None:
            made = [one._host if isinstance(one, ndarray) else one for one in inputs]
            with np.errstate(all="ignore"):
                like = function(*made, dtype=dtype)
            out = empty(like.shape, like.dtype)
        device().submit(work, [out.part()], [one.part() for one in arrays])
        return out

    return call


def reduction(function: Callable[..., Any]) -> Callable[..., ndarray]:
    """CuPy's function of the same name, which gathers the elements along an axis or all of them; refused during a capture."""

    def call(a: ndarray, axis: Any = None, dtype: Any = None, out: ndarray | None = None, keepdims: bool = False) -> ndarray:
        device().refuse_in_capture(f"{function.__name__} needs a workspace")
        if not isinstance(a, ndarray):
            raise TypeError(f"Unsupported type {type(a)}")
        keywords = {"axis": axis} | ({"dtype": dtype} if dtype else {}) | ({"keepdims": True} if keepdims else {})
        like = np.asarray(function(a._host, **keywords))
        made = empty(like.shape, like.dtype) if out is None else out
        device().submit(lambda to, source: np.copyto(to, function(source, **keywords)), [made.part()], [a.part()])
        return made

    return call


def _operator(function: np.ufunc, reflected: bool = False) -> Callable[[ndarray, Any], ndarray]:
    call = elementwise(function)
    return (lambda self, other: call(other, self)) if reflected else (lambda self, other: call(self, other))


def _in_place(function: np.ufunc) -> Callable[[ndarray, Any], ndarray]:
    call = elementwise(function)
    return lambda self, other: call(self, other, out=self)


def product(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray:
    """CuPy's matmul, which cannot be captured."""
    if device().capturing:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    if not isinstance(a, ndarray) or not isinstance(b, ndarray):
        raise TypeError("matmul takes arrays of the device")
    like = np.asarray(a._host @ b._host)
    made = empty(like.shape, like.dtype) if out is None else out
    device().submit(lambda to, left, right: np.copyto(to, left @ right), [made.part()], [a.part(), b.part()])
    return made


OPERATORS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
}
COMPARISONS = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
}
for _name, _function in OPERATORS.items():
    setattr(ndarray, f"__{_name}__", _operator(_function))
    setattr(ndarray, f"__r{_name}__", _operator(_function, reflected=True))
    setattr(ndarray, f"__i{_name}__", _in_place(_function))
for _name, _function in COMPARISONS.items():
    setattr(ndarray, f"__{_name}__", _operator(_function))
for _name, _one in {"neg": np.negative, "abs": np.absolute, "invert": np.invert}.items():
    setattr(ndarray, f"__{_name}__", elementwise(_one))
for _method in ("sum", "max", "min", "mean", "all", "any", "argmax"):
    setattr(ndarray, _method, reduction(getattr(np, _method)))
ndarray.__matmul__ = product  # type: ignore[attr-defined]
