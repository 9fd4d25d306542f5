"""How parameters are updated: one row for each optimizer of the language.

The lines work on flat vectors and in place: `weights` the parameters, `gradient` theirs, `change` scratch that ends up as
what is subtracted from `weights`; `lr` is the learning rate of this step, `step` its number, from 1.
`gradient` may be used up, but stays 0 in the gaps between parameters, where nobody sets it again.
"""

from __future__ import annotations

import re

from rnnspec.frontend.typed import Setting
from rnnspec.script.code import Code, fill, lines
from rnnspec.script.optimizer_rows import Choice, Interpolation, Optimizer, State, chosen


def mean_of_gradients(share: str) -> str:
    """Lines that update `m`; `share` names the argument that says how much of it stays."""
    return f"""
# m = {share} * m + (1 - {share}) * gradient
m *= {{{share}}}
np.multiply(gradient, 1 - {{{share}}}, out=change)
m += change
"""


def mean_of_squares(share: str) -> str:
    """Lines that update `v`; `share` names the argument that says how much of it stays."""
    return f"""
# v = {share} * v + (1 - {share}) * gradient ** 2
v *= {{{share}}}
np.multiply(gradient, gradient, out=change)
change *= 1 - {{{share}}}
v += change
"""


M = State("m", "running mean of the gradient")
V = State("v", "running mean of the squared gradient")
V_MAX = State("v_max", "largest running mean so far")
VELOCITY = State("velocity", "decaying sum of what moves the parameters")

MOMENTS = (mean_of_gradients("beta1"), mean_of_squares("beta2"))

ADAM = """
# change = lr * (m / (1 - beta1 ** step)) / (sqrt(v / (1 - beta2 ** step)) + eps)
root = (1 - {beta2}**step) ** 0.5
np.sqrt(v, out=change)
change += {eps} * root
np.divide(m, change, out=change)
change *= lr * root / (1 - {beta1}**step)
"""

AMSGRAD: Choice = {
    "amsgrad": """
# v is from here on the largest one so far
v = np.maximum(v_max, v, out=v_max)
""",
    "": "",
}

DECAY: Choice = {
    "decay": """
# weight decay, apart from the gradient (Loshchilov and Hutter 2019); the gradient is not needed any more
np.multiply(weights, lr * {decay}, out=gradient)
change += gradient
""",
    "": "",
}

OF_MATRICES = "{{name: np.zeros_like(p.named[name]{}) for name in TRAINED if p.named[name].ndim == 2}}"
OF_VECTORS = "{name: np.zeros_like(p.named[name]) for name in TRAINED if p.named[name].ndim < 2}"

Z = State("z", "the point that moves; the weights lie between it and the average", "p.trained.copy()")
TOTAL = State("total", "sum of the squared learning rates", "np.zeros(())")


def interpolation(share: str) -> Interpolation:
    """The averaging of the schedule-free optimizers; `share` names the argument that says how much of it weights are."""
    code = f"""
# average = (1 - share) * average + share * z, where the share is that of lr ** 2 in its sum over all steps
total += lr**2
np.subtract(z, average, out=change)
change *= lr**2 / float(total)
average += change
# weights = (1 - {share}) * z + {share} * average
np.multiply(average, {{{share}}}, out=weights)
np.multiply(z, 1 - {{{share}}}, out=change)
weights += change
"""
    return Interpolation("Move the average towards z, and the weights to where the next gradient is taken.", code)


OPTIMIZERS = {
    "sgd": Optimizer(
        {
            "nesterov": "Gradient descent with momentum that looks one step ahead (Nesterov 1983).",
            "momentum": "Gradient descent with momentum: the gradient pushes a velocity (Polyak 1964).",
            "": "Gradient descent.",
        },
        (
            {"momentum": "velocity *= {momentum}\nvelocity += gradient", "": ""},
            {
                "nesterov": """
# change = lr * (gradient + momentum * velocity)
np.multiply(velocity, {momentum}, out=change)
change += gradient
change *= lr
""",
                "momentum": "np.multiply(velocity, lr, out=change)",
                "": "np.multiply(gradient, lr, out=change)",
            },
        ),
        (VELOCITY,),
    ),
    "adam": Optimizer(
        {
            "amsgrad": "AMSGrad (Reddi et al. 2018): Adam with the largest mean square so far.",
            "": "Adam (Kingma and Ba 2015): the mean gradient over its root mean square, both corrected for starting at zero.",
        },
        (*MOMENTS, AMSGRAD, ADAM),
        (M, V, V_MAX),
    ),
    "adamw": Optimizer(
        {
            "amsgrad": "AdamW (Loshchilov and Hutter 2019) with the largest mean square so far (Reddi et al. 2018).",
            "": "AdamW (Loshchilov and Hutter 2019): Adam, and weights that decay apart from the gradient.",
        },
        (*MOMENTS, AMSGRAD, ADAM, DECAY),
        (M, V, V_MAX),
    ),
    "nadam": Optimizer(
        "NAdam (Dozat 2016): Adam with Nesterov's look ahead, and a momentum `mu` that grows.",
        (
            *MOMENTS,
            """
# change = lr * ((1 - mu) / (1 - product) * gradient + ahead / (1 - product * ahead) * m)
#          / (sqrt(v / (1 - beta2 ** step)) + eps)
mu, ahead = ({beta1} * (1 - 0.5 * 0.96 ** ({momentum_decay} * n)) for n in (step, step + 1))
product *= mu
share, share_ahead = (1 - mu) / (1 - float(product)), ahead / (1 - float(product) * ahead)
np.multiply(v, 1 / (1 - {beta2}**step), out=change)
np.sqrt(change, out=change)
change += {eps}
gradient *= lr * share
gradient /= change
np.divide(m, change, out=change)
change *= lr * share_ahead
change += gradient
""",
        ),
        (M, V, State("product", "product of the momenta so far", "np.ones(())")),
    ),
    "radam": Optimizer(
        "RAdam (Liu et al. 2020): Adam, with the mean square trusted only as far as its variance is small.",
        (
            *MOMENTS,
            """
# change = lr * rectified * m / (1 - beta1 ** step) / (sqrt(v) + eps) * sqrt(1 - beta2 ** step)
longest = 2 / (1 - {beta2}) - 1
length = longest - 2 * step * {beta2}**step / (1 - {beta2}**step)  # how many squares the mean is made of
if length > 5:
    rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    np.sqrt(v, out=change)
    change += {eps}
    np.divide(m, change, out=change)
    change *= lr * (rectified * (1 - {beta2}**step)) ** 0.5 / (1 - {beta1}**step)
else:  # too few for their root
    np.multiply(m, lr / (1 - {beta1}**step), out=change)
""",
        ),
        (M, V),
    ),
    "rmsprop": Optimizer(
        "RMSprop (Hinton 2012): the gradient over the root of its recent mean square.",
        (
            mean_of_squares("rho"),
            {
                "centered": """
# change = gradient / (sqrt(v - m ** 2) + eps), where m = rho * m + (1 - rho) * gradient
m *= {rho}
np.multiply(gradient, 1 - {rho}, out=change)
m += change
np.multiply(m, m, out=change)
np.subtract(v, change, out=change)
np.maximum(change, 0, out=change)  # where rounding has made it negative
np.sqrt(change, out=change)
change += {eps}
np.divide(gradient, change, out=change)
""",
                "": """
# change = gradient / (sqrt(v) + eps)
np.sqrt(v, out=change)
change += {eps}
np.divide(gradient, change, out=change)
""",
            },
            {
                "momentum": "velocity *= {momentum}\nvelocity += change\nnp.multiply(velocity, lr, out=change)",
                "": "change *= lr",
            },
        ),
        (V, M, VELOCITY),
    ),
    "adagrad": Optimizer(
        "Adagrad (Duchi et al. 2011): the gradient over the root of the sum of all its squares.",
        (
            """
# v = v + gradient ** 2
np.multiply(gradient, gradient, out=change)
v += change
# change = lr * gradient / (sqrt(v) + eps)
np.sqrt(v, out=change)
change += {eps}
np.divide(gradient, change, out=change)
change *= lr
""",
        ),
        (State("v", "sum of the squared gradients"),),
    ),
    "adadelta": Optimizer(
        "Adadelta (Zeiler 2012): the gradient in units of the changes that were made before.",
        (
            mean_of_squares("rho"),
            """
# change = gradient * sqrt(u + eps) / sqrt(v + eps)
np.add(v, {eps}, out=change)
np.sqrt(change, out=change)
gradient /= change
np.add(u, {eps}, out=change)
np.sqrt(change, out=change)
change *= gradient
# u = rho * u + (1 - rho) * change ** 2
u *= {rho}
np.multiply(change, change, out=gradient)
gradient *= 1 - {rho}
u += gradient
change *= lr
""",
        ),
        (V, State("u", "running mean of the squared change")),
    ),
    "lion": Optimizer(
        "Lion (Chen et al. 2023): the sign of a running mean, so that all parameters move equally far.",
        (
            """
# change = lr * sign(beta1 * m + (1 - beta1) * gradient)
np.multiply(m, {beta1}, out=change)
gradient *= 1 - {beta1}
change += gradient
np.sign(change, out=change)
change *= lr
# m = beta2 * m + (1 - beta2) * gradient, which is multiplied by 1 - beta1 already
m *= {beta2}
gradient *= (1 - {beta2}) / (1 - {beta1})
m += gradient
""",
            DECAY,
        ),
        (M,),
    ),
    "adafactor": Optimizer(
        "Adafactor (Shazeer and Stern 2018): mean squares of a matrix as those of its rows times those of its columns.",
        (
            """
# the share of the new squares in the running means; how far a parameter moves, in units of its root mean square
share, pace, tiny = step**{beta2_decay}, min(lr, step**-0.5), np.finfo(weights.dtype).eps
for name in TRAINED:
    part = g.named[name]
    square = part * part
    if name in rows:
        rows[name] += share * (square.mean(1, keepdims=True) - rows[name])
        columns[name] += share * (square.mean(0) - columns[name])
        square = rows[name] * columns[name] / max(rows[name].mean(), tiny)
    else:
        v[name] += share * (square - v[name])
        square = v[name]
    part /= np.sqrt(np.maximum(square, tiny**2))
    size = max({eps}, math.sqrt(np.mean(p.named[name] ** 2)))
    part *= size * pace / max(1, math.sqrt(np.mean(part**2)) / {d})
np.copyto(change, gradient)
""",
        ),
        (
            State(
                "rows", "of each matrix, running means of the squared gradient over rows", OF_MATRICES.format("[:, :1]"), True
            ),
            State("columns", "... and over columns", OF_MATRICES.format("[0]"), True),
            State("v", "of each vector, running mean of the squared gradient", OF_VECTORS, True),
        ),
    ),
    "schedule_free_sgd": Optimizer(
        "Schedule-free gradient descent (Defazio et al. 2024): the average of where it goes is what it learns.",
        ("np.multiply(gradient, lr, out=change)",),
        (Z, TOTAL),
        moves="z",
        average=interpolation("momentum"),
    ),
    "schedule_free_adamw": Optimizer(
        "Schedule-free AdamW (Defazio et al. 2024): the average of where it goes is what it learns.",
        (
            mean_of_squares("beta2"),
            """
# change = lr * gradient / (sqrt(v / (1 - beta2 ** step)) + eps)
root = (1 - {beta2}**step) ** 0.5
np.sqrt(v, out=change)
change += {eps} * root
np.divide(gradient, change, out=change)
change *= lr * root
""",
            DECAY,
        ),
        (V, Z, TOTAL),
        moves="z",
        average=interpolation("beta1"),
    ),
}


def title_of(setting: Setting) -> str:
    """What the optimizer of a setting does."""
    return chosen(OPTIMIZERS[setting.name].title, setting)


def used(setting: Setting, code: str) -> tuple[State, ...]:
    """What of the state of an optimizer stands in some lines."""
    return tuple(state for state in OPTIMIZERS[setting.name].state if re.search(rf"\b{state.name}\b", code))


def optimizer_lines(setting: Setting) -> Code:
    """The lines that compute `change`."""
    parts = (chosen(part, setting) for part in OPTIMIZERS[setting.name].code)
    return lines(fill(part, **dict(setting.arguments)) for part in parts)
