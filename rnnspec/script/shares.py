"""What a step, or a sequence, weighs in the loss of a batch: a mean, whatever counts in it."""

from __future__ import annotations

from rnnspec.frontend.typed import Spec
from rnnspec.script.code import Code
from rnnspec.script.devices import Device, Name
from rnnspec.script.windows import back

OF_SEQUENCES: dict[Name, str] = {
    "cpu": "w.share = 1 / w.B  # what a sequence weighs in the loss",
    "gpu": "upload(w.share, 1 / w.B)  # what a sequence weighs in the loss",
}
OF_STEPS: dict[tuple[Name, bool, bool], str] = {
    ("cpu", False, False): "w.share = 1 / (w.T * w.B)  # what a step weighs in the loss",
    ("cpu", True, False): "w.share[...] = w.mask / w.mask.sum()  # what a step weighs in the loss",
    ("cpu", False, True): """
w.share[: w.seen] = 0  # what a step weighs in the loss: nothing if it was in the window before
w.share[w.seen :] = 1 / ((w.T - w.seen) * w.B)
""",
    ("cpu", True, True): """
w.share[...] = w.mask
w.share[: w.seen] = 0  # what a step weighs in the loss: nothing if it was in the window before
w.share /= w.share.sum()
""",
    ("gpu", False, False): "upload(w.share, 1 / (w.T * w.B))  # what a step weighs in the loss",
    ("gpu", True, False): "upload(w.share, valid / valid.sum())  # what a step weighs in the loss",
    ("gpu", False, True): """
new = np.arange(w.T)[:, None] >= w.seen  # a step weighs nothing if it was in the window before
upload(w.share, new / ((w.T - w.seen) * w.B))
""",
    ("gpu", True, True): """
new = valid & (np.arange(w.T)[:, None] >= w.seen)  # a step weighs nothing if it was in the window before
upload(w.share, new / new.sum())
""",
}
"""By (device, whether sequences differ in length, whether windows overlap)."""


def share(spec: Spec, device: Device) -> Code:
    """The lines that weigh the terms of the loss."""
    if spec.model.loss.when != "step":
        return Code(OF_SEQUENCES[device.name])
    return Code(OF_STEPS[device.name, spec.model.masked, back(spec) > 0].strip())
