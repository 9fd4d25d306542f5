"""How parameters are updated: one row for each optimizer, schedule and clip of the language.

The lines work on flat vectors and in place: `w` the parameters, `dw` their gradient, `change` scratch that ends up as
what is subtracted from `w`; `lr` is the learning rate of this step, `step` its number, from 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.frontend.typed import Setting
from rnnspec.script.code import Code, fill, lines


@dataclass(frozen=True)
class Optimizer:
    """What it does in one sentence, the vectors it keeps from step to step (name, meaning), and its lines."""

    title: str
    state: tuple[tuple[str, str], ...]
    code: str


MEAN_SQUARE = ("v", "running mean of the squared gradient")

OPTIMIZERS = {
    "sgd": Optimizer(
        "Gradient descent.",
        (),
        """
np.multiply(dw, lr, out=change)
""",
    ),
    "sgd momentum": Optimizer(
        "Gradient descent with momentum: the gradient pushes a velocity.",
        (("velocity", "decaying sum of the gradients"),),
        """
velocity *= {momentum}
velocity += dw
np.multiply(velocity, lr, out=change)
""",
    ),
    "sgd nesterov": Optimizer(
        "Gradient descent with momentum that looks one step ahead (Nesterov).",
        (("velocity", "decaying sum of the gradients"),),
        """
velocity *= {momentum}
velocity += dw
np.multiply(velocity, {momentum}, out=change)
change += dw
change *= lr
""",
    ),
    "adam": Optimizer(
        "Adam (Kingma and Ba 2015): the mean gradient over the root of its mean square, both freed of their start.",
        (("m", "running mean of the gradient"), MEAN_SQUARE),
        """
# m = beta1 * m + (1 - beta1) * dw
m *= {beta1}
np.multiply(dw, 1 - {beta1}, out=change)
m += change
# v = beta2 * v + (1 - beta2) * dw ** 2
v *= {beta2}
np.multiply(dw, dw, out=change)
change *= 1 - {beta2}
v += change
# change = lr * (m / (1 - beta1 ** step)) / (sqrt(v / (1 - beta2 ** step)) + eps)
root = (1 - {beta2}**step) ** 0.5
np.sqrt(v, out=change)
change += {eps} * root
np.divide(m, change, out=change)
change *= lr * root / (1 - {beta1}**step)
""",
    ),
    "rmsprop": Optimizer(
        "RMSprop (Hinton 2012): the gradient over the root of its recent mean square.",
        (MEAN_SQUARE,),
        """
# v = rho * v + (1 - rho) * dw ** 2
v *= {rho}
np.multiply(dw, dw, out=change)
change *= 1 - {rho}
v += change
# change = lr * dw / (sqrt(v) + eps)
np.sqrt(v, out=change)
change += {eps}
np.divide(dw, change, out=change)
change *= lr
""",
    ),
    "adagrad": Optimizer(
        "Adagrad (Duchi et al. 2011): the gradient over the root of the sum of all its squares.",
        (("v", "sum of the squared gradients"),),
        """
# v = v + dw ** 2
np.multiply(dw, dw, out=change)
v += change
# change = lr * dw / (sqrt(v) + eps)
np.sqrt(v, out=change)
change += {eps}
np.divide(dw, change, out=change)
change *= lr
""",
    ),
}

DECAY = """
# weight decay, apart from the gradient (Loshchilov and Hutter 2019); dw is not needed any more
np.multiply(w, lr * {decay}, out=dw)
change += dw
"""

SCHEDULES = {
    "constant": """
return LR
""",
    "cosine": """
if step <= {warmup}:
    return LR * step / {warmup}
progress = (step - {warmup}) / max(1, steps - {warmup})
return {final} + (LR - {final}) * (1 + math.cos(math.pi * progress)) / 2
""",
    "cosine without warmup": """
return {final} + (LR - {final}) * (1 + math.cos(math.pi * step / steps)) / 2
""",
    "step": """
return LR * {factor} ** ((step - 1) // {every})
""",
    "exponential": """
return LR * {rate} ** (step - 1)
""",
}

CLIPS = {
    "none": "",
    "global_norm": """
if norm > {max}:  # shorten the whole gradient, keep its direction
    dw *= {max} / norm
""",
    "value": """
np.clip(dw, -{max}, {max}, out=dw)
""",
}


def optimizer_row(setting: Setting) -> Optimizer:
    """The row of a setting; `sgd` has three."""
    arguments = dict(setting.arguments)
    if setting.name != "sgd" or not arguments["momentum"]:
        return OPTIMIZERS[setting.name]
    return OPTIMIZERS["sgd nesterov" if arguments["nesterov"] else "sgd momentum"]


def optimizer_lines(setting: Setting) -> Code:
    """The lines that compute `change`."""
    arguments = dict(setting.arguments)
    decay = fill(DECAY, decay=arguments["decay"]) if arguments.get("decay") else ""
    return lines([fill(optimizer_row(setting).code, **arguments), decay])


def schedule_lines(setting: Setting | None) -> Code:
    """The lines that return the learning rate of a step."""
    if setting is None:
        return fill(SCHEDULES["constant"])
    bare = setting.name == "cosine" and not setting["warmup"]
    return fill(SCHEDULES["cosine without warmup" if bare else setting.name], **dict(setting.arguments))


def clip_lines(setting: Setting | None) -> Code:
    """The lines that limit the gradient `dw`, whose length is `norm`."""
    return fill(CLIPS[setting.name], **dict(setting.arguments)) if setting else Code("")
