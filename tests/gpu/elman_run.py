"""Running the hand-written network on the stand-in, and its gradient found in another way."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.gpu.cupy_stand_in import cupy_on_host

TEXT = (Path(__file__).parent / "elman.py").read_text()
KERNELS = re.search(r'KERNELS = r"""(.*?)"""', TEXT, re.DOTALL)[1]  # type: ignore[index]
Host = np.ndarray[Any, Any]


def loaded() -> ModuleType:
    """The script as a module; only where there is a device."""
    module = ModuleType("elman")
    exec(compile(TEXT, "elman.py", "exec"), module.__dict__)
    return module


def problem(T: int = 4, B: int = 3, seed: int = 0) -> dict[str, Host]:
    """Random parameters, inputs and targets."""
    rng = np.random.default_rng(seed)
    shapes = {"W_xh": (7, 5), "W_hh": (7, 7), "b_h": (7,), "W_hy": (3, 7), "b_y": (3,), "x": (T, B, 5), "target": (T, B, 3)}
    return {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}


def expected(values: dict[str, Host]) -> tuple[float, dict[str, Host]]:
    """Loss and gradients by complex steps, from the equations."""

    def loss(v: dict[str, Any]) -> Any:
        h, ys = np.zeros((v["x"].shape[1], 7)), []
        for x in v["x"]:
            h = np.tanh(x @ v["W_xh"].T + h @ v["W_hh"].T + v["b_h"])
            ys.append(h @ v["W_hy"].T + v["b_y"])
        return ((np.array(ys) - v["target"]) ** 2).mean()

    gradients = {}
    for name in ("W_xh", "W_hh", "b_h", "W_hy", "b_y"):
        gradients[name] = np.zeros_like(values[name])
        for place in np.ndindex(values[name].shape):
            moved = values[name].astype(complex)
            moved[place] += 1e-30j
            gradients[name][place] = loss(values | {name: moved}).imag / 1e-30
    return float(loss(values)), gradients


def found(values: dict[str, Host], dtype: str = "float64", schedule: int = 0, graph: bool = False) -> dict[str, Host]:
    """Loss and gradients by the script, as they come from the device; by the second launch of a graph, if asked for."""
    import sys

    with cupy_on_host(schedule):
        cp: Any = sys.modules["cupy"]
        script = loaded()
        T, B, _ = values["x"].shape
        stream = cp.cuda.Stream(non_blocking=True)
        with stream:
            w = script.allocate(T, B, dtype)
            script.on_stream(w, stream)
            p = SimpleNamespace(**{name: cp.asarray(values[name].astype(dtype)) for name in script.SHAPES})
            g = SimpleNamespace(**{name: cp.empty(shape, dtype) for name, shape in script.SHAPES.items()})
            w.x.set(values["x"].astype(dtype))
            w.target.set(values["target"].astype(dtype))
            if graph:
                stream.begin_capture()
            script.forward(p, w)
            script.backward(p, w, g)
            if graph:
                captured = stream.end_capture()
                assert np.isnan(w.loss.get()).all()  # nothing was done yet
                captured.launch(stream)
                captured.launch(stream)
            return {"loss": w.loss.get()} | {name: getattr(g, name).get() for name in script.SHAPES}
