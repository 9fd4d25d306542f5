"""A device that is none: memory, streams, and graphs of what was captured.

Work that is submitted is done at once, except while a stream is captured: then it becomes a node of a graph.  What a real
device does in another order, or refuses, is refused here: memory that two streams use without waiting, a copy to the host
during a capture, a graph whose memory was given back.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

ALIGNMENT = 512
"""Bytes; memory of CuPy's pool begins at multiples of it."""

NULL_STREAM = 0
_LIBC = ctypes.CDLL(None)


class CUDARuntimeError(RuntimeError):
    """What CuPy raises when CUDA refuses."""


class Memory:
    """An allocation, filled with numbers that are far out of any range."""

    def __init__(self, size: int) -> None:
        place = ctypes.c_void_p()
        if _LIBC.posix_memalign(ctypes.byref(place), ctypes.c_size_t(ALIGNMENT), ctypes.c_size_t(max(size, 1))):
            raise MemoryError
        self.address = place.value or 0
        weakref.finalize(self, _LIBC.free, place)
        self.bytes = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self.address))
        self.bytes.fill(0x7F)
        self.pending: dict[int, bool] = {}  # streams that may still be using it, and whether they write

    def used_on(self, stream: int, writes: bool) -> None:
        """Note that a stream uses it; CUDARuntimeError if another one may not have finished with it."""
        for other, wrote in self.pending.items():
            if other != stream and (writes or wrote):
                raise CUDARuntimeError(f"stream {stream} uses memory that stream {other} may still be using: it must wait")
        self.pending[stream] = self.pending.get(stream, False) or writes


@dataclass(frozen=True)
class Part:
    """Some elements of a memory, as an array; it does not keep the memory alive."""

    memory: weakref.ref[Memory]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]

    def elements(self) -> np.ndarray[Any, Any]:
        """The array on the host; CUDARuntimeError if the memory was given back."""
        memory = self.memory()
        if memory is None:
            raise CUDARuntimeError("a graph uses memory that was given back")
        return np.ndarray(self.shape, self.dtype, memory.bytes, self.offset, self.strides)


@dataclass(frozen=True)
class Node:
    """Work of a graph: a function of the arrays that it writes and then of those that it reads."""

    work: Callable[..., None]
    writes: tuple[Part, ...]
    reads: tuple[Part, ...]

    def run(self, stream: int) -> None:
        """Do the work on a stream."""
        for parts, writes in ((self.writes, True), (self.reads, False)):
            for part in parts:
                memory = part.memory()
                if memory is not None:
                    memory.used_on(stream, writes)
        self.work(*(part.elements() for part in (*self.writes, *self.reads)))


class Device:
    """One device: its memory, its current stream, and the capture that is going on, if any."""

    def __init__(self, schedule: int = 0) -> None:
        self.schedule = schedule
        """Seed of the order in which the threads of kernels run; 0 for their natural order."""
        self.stream: int = NULL_STREAM
        self.cublas_stream: int = NULL_STREAM
        self.cublas_workspace: weakref.ref[Memory] | None = None
        self.cublas_exists = False
        self.launches = 0
        self.waits = 0
        """How often the host has waited for the device."""
        self._capturing: int | None = None
        self._nodes: list[Node] = []
        self._memories: weakref.WeakSet[Memory] = weakref.WeakSet()

    # ------------------------------------------------------------------ memory

    def allocate(self, size: int) -> Memory:
        """New memory; refused during a capture, whose graph would go on using it after it was given to somebody else."""
        self.refuse_in_capture("memory is allocated")
        memory = Memory(size)
        self._memories.add(memory)
        return memory

    def part_at(self, address: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any], what: str) -> Part:
        """An array of whichever memory it lies in; CUDARuntimeError if it lies in none."""
        last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        size = last + dtype.itemsize if all(shape) else 0
        for memory in self._memories:
            offset = address - memory.address
            if offset >= 0 and offset + size <= memory.bytes.size:
                return Part(weakref.ref(memory), offset, shape, strides, dtype)
        raise CUDARuntimeError(f"{what}: {size} bytes at {address:#x} lie in no memory of the device")

    def bytes_at(self, address: int, size: int, what: str) -> Part:
        """So many bytes of whichever memory they lie in; CUDARuntimeError if they lie in none."""
        return self.part_at(address, (size,), (1,), np.dtype(np.uint8), what)

    # ------------------------------------------------------------------ work

    def submit(
        self, work: Callable[..., None], writes: Iterable[Part], reads: Iterable[Part], stream: int | None = None
    ) -> None:
        """Do work on a stream (the current one), or make it a node of the graph."""
        stream = self.stream if stream is None else stream
        node = Node(work, tuple(writes), tuple(reads))
        if self._capturing is None:
            node.run(stream)
        elif stream != self._capturing:
            raise CUDARuntimeError(f"work goes to stream {stream} while stream {self._capturing} is captured")
        else:
            self._nodes.append(node)

    def synchronise(self, stream: int | None, what: str) -> None:
        """Let the host wait for a stream, or for all of them; refused during a capture."""
        self.refuse_in_capture(what)
        self.waits += 1
        for memory in self._memories:
            for one in list(memory.pending) if stream is None else [stream]:
                memory.pending.pop(one, None)

    def refuse_in_capture(self, what: str) -> None:
        """CUDARuntimeError while a stream is captured."""
        if self._capturing is not None:
            raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} while a stream is captured")

    @property
    def capturing(self) -> bool:
        """Whether a stream is captured."""
        return self._capturing is not None

    def begin_capture(self, stream: int) -> None:
        """From now on work becomes nodes of a graph."""
        self.refuse_in_capture("another capture begins")
        if stream == NULL_STREAM:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self._capturing = stream

    def end_capture(self, stream: int) -> list[Node]:
        """The nodes since the capture began."""
        if self._capturing != stream:
            raise CUDARuntimeError("cudaErrorIllegalState: this stream is not captured")
        nodes, self._nodes, self._capturing = self._nodes, [], None
        return nodes

    def next_seed(self) -> int:
        """The seed of one launch; another one for each launch, unless threads run in their natural order."""
        self.launches += 1
        return self.schedule and self.schedule * 1_000_003 + self.launches


_devices: list[Device] = []


def device() -> Device:
    """The device of the innermost `present`."""
    if not _devices:
        raise CUDARuntimeError("cudaErrorInsufficientDriver: there is no device outside `cupy_on_host`")
    return _devices[-1]


@contextmanager
def present(found: Device) -> Iterator[Device]:
    """A device that is there for as long as the context lasts."""
    _devices.append(found)
    try:
        yield found
    finally:
        _devices.pop()
