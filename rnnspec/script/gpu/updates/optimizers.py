"""How parameters are updated on a GPU: one row for each optimizer of the language.

The lines are CUDA C for one number of the parameters.  They know it as `weight`, its `gradient`, what is kept of it under the
names of the state (`m`, `v`, ...), and the arguments of the optimizer by their names; they find `change`, which is subtracted.
What is the same for all numbers, such as the learning rate `lr`, is found once by one thread, in double precision: those lines
know the `step`, counted from 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.script.gpu.updates.adafactor import ADAFACTOR, Whole
from rnnspec.script.optimizer_rows import Choice


@dataclass(frozen=True)
class Optimizer:
    """Lines for each number, lines of one thread, and what is done before with rows, columns and whole parameters."""

    code: tuple[Choice, ...]
    once: str = ""
    average: str = ""
    whole: Whole | None = None


def mean_of_gradients(share: str) -> str:
    """The line that updates `m`; `share` names the argument that says how much of it stays."""
    return f"m = {share} * m + (1 - {share}) * gradient;"


def mean_of_squares(share: str) -> str:
    """The line that updates `v`; `share` names the argument that says how much of it stays."""
    return f"v = {share} * v + (1 - {share}) * gradient * gradient;"


MOMENTS = (mean_of_gradients("beta1"), mean_of_squares("beta2"))

M_SHARE = "const double m_share = 1 - pow(double(beta1), step);  // what all gradients so far weigh in m"
V_SHARE = "const double v_share = 1 - pow(double(beta2), step);  // what all squares so far weigh in v"
SHARES = f"{M_SHARE}\n{V_SHARE}"

ADAM: Choice = {
    "amsgrad": """
v_max = fmax(v_max, v);
real change = lr * (m / m_share) / (sqrt(v_max / v_share) + eps);
""",
    "": "real change = lr * (m / m_share) / (sqrt(v / v_share) + eps);",
}

DECAY: Choice = {
    "decay": "change += lr * decay * weight;  // apart from the gradient (Loshchilov and Hutter 2019)",
    "": "",
}


def interpolation(share: str) -> str:
    """The averaging of the schedule-free optimizers; `share` names the argument that says how much of it weights are."""
    return f"""
average = (1 - share) * average + share * z;
weight = (1 - {share}) * z + {share} * average;  // where the next gradient is taken
"""


SHARE_OF_Z = """
total += lr * lr;
const double share = lr * lr / total;
"""

OPTIMIZERS = {
    "sgd": Optimizer(
        (
            {"momentum": "velocity = momentum * velocity + gradient;", "": ""},
            {
                "nesterov": "real change = lr * (gradient + momentum * velocity);",
                "momentum": "real change = lr * velocity;",
                "": "real change = lr * gradient;",
            },
        ),
    ),
    "adam": Optimizer((*MOMENTS, ADAM), SHARES),
    "adamw": Optimizer((*MOMENTS, ADAM, DECAY), SHARES),
    "nadam": Optimizer(
        (
            *MOMENTS,
            """
const real mean = now * gradient + ahead * m;
real change = lr * mean / (sqrt(v / v_share) + eps);
""",
        ),
        f"""
const double mu = beta1 * (1 - 0.5 * pow(0.96, momentum_decay * step));
const double next_mu = beta1 * (1 - 0.5 * pow(0.96, momentum_decay * (step + 1)));
product *= mu;
const double now = (1 - mu) / (1 - product);
const double ahead = next_mu / (1 - product * next_mu);
{V_SHARE}
""",
    ),
    "radam": Optimizer(
        (
            *MOMENTS,
            """
real change = lr * (m / m_share);
if (trust > 0) change *= trust / (sqrt(v) + eps);
""",
        ),
        f"""
{SHARES}
const double longest = 2 / (1 - double(beta2)) - 1;
const double length = longest - 2 * step * (1 - v_share) / v_share;  // how many squares the mean is made of
const double rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length);
const double trust = length > 5 ? sqrt(rectified * v_share) : 0;  // too few for their root
""",
    ),
    "rmsprop": Optimizer(
        (
            mean_of_squares("rho"),
            {
                "centered": f"""
{mean_of_gradients("rho")}
const real variance = fmax(v - m * m, real(0));  // rounding may have made it negative
const real scaled = gradient / (sqrt(variance) + eps);
""",
                "": "const real scaled = gradient / (sqrt(v) + eps);",
            },
            {
                "momentum": "velocity = momentum * velocity + scaled;\nreal change = lr * velocity;",
                "": "real change = lr * scaled;",
            },
        ),
    ),
    "adagrad": Optimizer(("v += gradient * gradient;\nreal change = lr * gradient / (sqrt(v) + eps);",)),
    "adadelta": Optimizer(
        (
            mean_of_squares("rho"),
            """
const real scaled = gradient * sqrt(u + eps) / sqrt(v + eps);
u = rho * u + (1 - rho) * scaled * scaled;
real change = lr * scaled;
""",
        ),
    ),
    "lion": Optimizer(
        (
            """
real change = lr * sign(beta1 * m + (1 - beta1) * gradient);
m = beta2 * m + (1 - beta2) * gradient;
""",
            DECAY,
        ),
    ),
    "adafactor": Optimizer(
        ("real change = gradient;",),
        """
const double fresh = pow(step, double(beta2_decay));  // what new squares weigh in the running means
const double pace = fmin(lr, 1 / sqrt(step));  // how far a parameter moves, in units of its root mean square
""",
        whole=ADAFACTOR,
    ),
    "schedule_free_sgd": Optimizer(
        ("real change = lr * gradient;",),
        SHARE_OF_Z,
        average=interpolation("momentum"),
    ),
    "schedule_free_adamw": Optimizer(
        (
            mean_of_squares("beta2"),
            "real change = lr * gradient / (sqrt(v / v_share) + eps);",
            DECAY,
        ),
        f"{V_SHARE}\n{SHARE_OF_Z.strip()}",
        average=interpolation("beta1"),
    ),
}
