"""The settings between a gradient and the new parameters: optimizers, schedules of the learning rate, clips, averages.

What each of them does in a script stands under the same name in a table of `rnnspec/script`.
"""

from __future__ import annotations

from rnnspec.frontend.arguments import Row, flag, number, row, whole
from rnnspec.frontend.values import FRACTION, NOT_NEGATIVE, POSITIVE, Range

LR = number("lr", allowed=POSITIVE)
EPS = number("eps", 1e-8, POSITIVE)
BETAS = (number("beta1", 0.9, FRACTION), number("beta2", 0.999, FRACTION))
MOMENTUM = number("momentum", 0.0, FRACTION)
AMSGRAD = flag("amsgrad", False)
SHARE = Range(0, 1, above=True, closed=True)
SHARE_BELOW_1 = Range(0, 1, above=True)
FROM_ZERO = Range(0, 1_000_000_000, closed=True)
WARMUP = whole("warmup", 0, FROM_ZERO)

UPDATES: dict[str, dict[str, Row]] = {
    "optimizer": {
        "sgd": row(
            "gradient descent, with momentum where it is given",
            LR,
            MOMENTUM,
            flag("nesterov", False),
            needs={"nesterov": "momentum"},
        ),
        "adam": row("Adam; `amsgrad` divides by the largest mean square so far", LR, *BETAS, EPS, AMSGRAD),
        "adamw": row(
            "Adam, and weights that decay apart from the gradient: by `lr * decay` at each step",
            LR,
            *BETAS,
            EPS,
            number("decay", 0.01, NOT_NEGATIVE),
            AMSGRAD,
        ),
        "nadam": row("Adam with Nesterov's look ahead", LR, *BETAS, EPS, number("momentum_decay", 0.004, NOT_NEGATIVE)),
        "radam": row("Adam that trusts its mean square little at the start", LR, *BETAS, EPS),
        "rmsprop": row(
            "divides by a running mean of squares, of which `centered` takes the square of the mean",
            LR,
            number("rho", 0.9, FRACTION),
            EPS,
            MOMENTUM,
            flag("centered", False),
        ),
        "adagrad": row("divides by the sum of all squares so far", LR, number("eps", 1e-10, POSITIVE)),
        "adadelta": row(
            "measures the gradient in units of the changes made before",
            number("lr", 1.0, POSITIVE),
            number("rho", 0.9, FRACTION),
            number("eps", 1e-6, POSITIVE),
        ),
        "lion": row(
            "the sign of a running mean of the gradient; weights decay as in `adamw`",
            LR,
            number("beta1", 0.9, FRACTION),
            number("beta2", 0.99, FRACTION),
            number("decay", 0.0, NOT_NEGATIVE),
        ),
        "adafactor": row(
            "keeps mean squares of rows and columns only; moves at most `d` times the root mean square of a parameter",
            number("lr", 0.01, POSITIVE),
            number("beta2_decay", -0.8, Range(-1, 0, closed=True)),
            number("eps", 1e-3, POSITIVE),
            number("d", 1.0, POSITIVE),
        ),
        "schedule_free_sgd": row(
            "gradient descent that averages where it goes and needs no schedule but a warm-up",
            LR,
            number("momentum", 0.9, FRACTION),
        ),
        "schedule_free_adamw": row(
            "AdamW that averages where it goes and needs no schedule but a warm-up",
            LR,
            *BETAS,
            EPS,
            number("decay", 0.0, NOT_NEGATIVE),
        ),
    },
    "schedule": {
        "constant": row("the same learning rate throughout", WARMUP),
        "cosine": row("half a cosine down to the learning rate `final`", WARMUP, number("final", 0.0, NOT_NEGATIVE)),
        "step": row("times `factor` after `every` steps", whole("every"), number("factor", allowed=SHARE), WARMUP),
        "exponential": row("times `rate` after every step", number("rate", allowed=SHARE), WARMUP),
        "linear": row("in a straight line to the learning rate `final`", WARMUP, number("final", 0.0, NOT_NEGATIVE)),
        "inverse_sqrt": row(
            "sqrt(timescale / (timescale + step)); that of the first transformer has `timescale` equal to `warmup`",
            whole("timescale"),
            WARMUP,
        ),
        "cosine_restarts": row(
            "half a cosine over `every` steps, again and again, each `growth` times as long as the one before",
            whole("every"),
            whole("growth", 1),
            number("final", 0.0, NOT_NEGATIVE),
            WARMUP,
        ),
        "one_cycle": row(
            "up from lr / `div_factor` in the share `pct_start` of the steps, then down to 1 / `final_div_factor` of that",
            number("pct_start", 0.3, SHARE_BELOW_1),
            number("div_factor", 25.0, Range(1)),
            number("final_div_factor", 1e4, Range(1)),
        ),
        "plateau": row(
            "times `factor`, but not below `final`, when the loss of more than `patience` validations was no better",
            number("factor", 0.1, SHARE_BELOW_1),
            whole("patience", 10, FROM_ZERO),
            number("threshold", 1e-4, FRACTION),
            whole("cooldown", 0, FROM_ZERO),
            number("final", 0.0, NOT_NEGATIVE),
            WARMUP,
        ),
    },
    "clip": {
        "global_norm": row("shrinks the gradient where its norm is above `max`", number("max", allowed=POSITIVE)),
        "parameter_norm": row(
            "shrinks the gradient of each parameter where its norm is above `max`",
            number("max", allowed=POSITIVE),
        ),
        "value": row("cuts every element to -max .. max", number("max", allowed=POSITIVE)),
        "adaptive": row(
            "shrinks the gradient of each unit that is longer than `ratio` times its weights, which count as `eps` at least",
            number("ratio", 0.01, POSITIVE),
            number("eps", 1e-3, POSITIVE),
        ),
        "skip": row("learns nothing from a step whose gradient has a norm above `max`", number("max", allowed=POSITIVE)),
        "none": row("leaves the gradient as it is"),
    },
    "state_clip": {
        "value": row("cuts every element of the backward signal to -max .. max", number("max", allowed=POSITIVE)),
        "norm": row("shrinks the backward signal of a sequence where its norm is above `max`", number("max", allowed=POSITIVE)),
    },
    "average": {
        "ema": row("a moving average, of which the share `decay` stays at each step", number("decay", 0.999, FRACTION)),
        "polyak": row("the mean of the parameters after each step from `start` on", whole("start", 1)),
    },
}
"""Kind -> name -> row, as in the table of all settings."""

INSTEAD = {
    "amsgrad": "adam(lr=..., amsgrad=true)",
    "momentum": "sgd(lr=..., momentum=0.9)",
    "nesterov": "sgd(lr=..., momentum=0.9, nesterov=true)",
}
"""What other systems give a name of its own, and how it is written here."""
