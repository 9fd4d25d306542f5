"""Mistakes in settings, loss and data: E06xx and E07xx."""

from __future__ import annotations

from rnnspec.catalogue.entry import STATE, Entry, model, train

SETTINGS: dict[str, Entry] = {
    "E0601": Entry(
        "a value has the wrong type",
        "Only `true` and `false` are booleans, numbers are written without quotes, and texts inside a call in quotes.",
        wrong=train("optimizer: adam(lr=1e-3)", "batch: '64'", "steps: 100"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0602": Entry(
        "a number is out of range",
        "The message says which numbers make sense here.",
        wrong=model(STATE, "d[t] = dropout(h[t], 20)", "y[t] = W_hy @ d[t] + b_y"),
        right=model(STATE, "d[t] = dropout(h[t], 0.2)", "y[t] = W_hy @ d[t] + b_y"),
    ),
    "E0603": Entry(
        "a setting of this name does not exist",
        "The note lists those that do.",
        wrong=train("optimizer: adamm(lr=1e-3)", "batch: 64", "steps: 100"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0604": Entry(
        "an argument does not exist, is given twice, or is one too many",
        "Arguments have one name each; the note lists them in their order.",
        wrong=train("optimizer: adam(learning_rate=1e-3)", "batch: 64", "steps: 100"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0605": Entry(
        "an argument is missing",
        "It has no sensible default.",
        wrong=train("optimizer: adam", "batch: 64", "steps: 100"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0606": Entry(
        "settings contradict each other",
        "For example, a run has `steps` or `epochs`, the parts of `split` add up to 1, and `dtype: tf32` needs `--device gpu`.",
        wrong=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100", "epochs: 3"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0607": Entry(
        "the arguments of a loss or a metric do not fit",
        "The prediction comes first, the target second; classes go with `cross_entropy`, numbers with `mse`.",
        wrong="loss: cross_entropy(target[t], y[t])",
        right="loss: cross_entropy(y[t], target[t])",
    ),
    "E0608": Entry(
        "a loss would apply a function for the second time",
        "`cross_entropy` takes the values before softmax, `bce` those before sigmoid: exact where probabilities are tiny.",
        wrong="loss: cross_entropy(softmax(y[t]), target[t])",
        right="loss: cross_entropy(y[t], target[t])",
    ),
    "E0609": Entry(
        "the loss does not depend on the data",
        "A loss compares what the model predicts with a target.",
        wrong="loss: sum(b_y ** 2)",
        right="loss: cross_entropy(y[t], target[t]) + sum(b_y ** 2)",
    ),
    "E0610": Entry(
        "a metric is not one function of a prediction and a target",
        "Metrics are averaged over batches of different size, which holds for these functions alone.",
        wrong='metrics: ["accuracy(y[t-1], target[t])"]',
        right='metrics: ["accuracy(y[t], target[t])"]',
    ),
}

DATA: dict[str, Entry] = {
    "E0701": Entry(
        "an input or a target does not say how to encode a column",
        "A column becomes a value by a call such as `one_hot(ids)` or `classes(out, count=9)`.",
        wrong="inputs:\n  x: ids",
        right="inputs:\n  x: one_hot(ids, size=9)",
    ),
    "E0702": Entry(
        "the data source has no such column",
        "The note lists the columns that it has.",
        wrong="inputs:\n  x: one_hot(idz, size=9)",
        right="inputs:\n  x: one_hot(ids, size=9)",
    ),
    "E0703": Entry(
        "the data cannot be read",
        "The file is missing, or its content is not what the source expects; the note says why.",
        wrong="data:\n  source: npz('no_such_file.npz', arrays=[ids, out])",
        right="data:\n  source: recall(symbols=8, length=20, delay=3)",
    ),
    "E0704": Entry(
        "a column does not fit its encoding or its loss",
        "An encoding needs columns of a certain kind, rank and size, and a loss may need numbers of a certain range; the "
        "message says which.",
        wrong="inputs:\n  x: one_hot(ids, size=3)",
        right="inputs:\n  x: one_hot(ids, size=9)",
    ),
    "E0705": Entry(
        "a stream must be cut, and only a stream can be",
        "Texts and tables are one endless sequence: they need `sequence:` or `truncation:`. Other data has sequences already.",
        wrong="data:\n  source: recall(symbols=8, length=20, delay=3)\n  sequence: 5",
        right="data:\n  source: recall(symbols=8, length=20, delay=3)",
    ),
}
