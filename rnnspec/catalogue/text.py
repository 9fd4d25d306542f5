"""Mistakes in the text of a spec: E00xx the file and its sections, E01xx expressions."""

from __future__ import annotations

from rnnspec.catalogue.entry import OUTPUT, STATE, Entry, model, train

FILE: dict[str, Entry] = {
    "E0001": Entry(
        "the file cannot be read as YAML",
        "A spec is one YAML document in UTF-8: mappings, lists and texts, indented with spaces.",
        wrong="dims:\n\tH: 16",
        right="dims:\n  H: 16",
    ),
    "E0002": Entry(
        "a key appears twice",
        "Of two equal keys plain YAML would silently drop the first, so a spec may have each key once.",
        wrong=train("optimizer: adam(lr=1e-3)", "batch: 32", "batch: 64", "steps: 100"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0003": Entry(
        "a key is not known",
        "Nothing in a spec is ignored: a key that means nothing is most often a typing error.",
        wrong=train("optimizer: adam(lr=1e-3)", "batch_size: 64", "steps: 100"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0004": Entry(
        "something required is missing",
        "Some sections, and some keys of sections, have no sensible default.",
        wrong=train("batch: 64", "steps: 100"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0005": Entry(
        "a value is empty or of the wrong kind",
        "Here stands a list, a mapping or nothing where one value is expected, or the other way round.",
        wrong="loss:\n  - cross_entropy(y[t], target[t])",
        right="loss: cross_entropy(y[t], target[t])",
    ),
    "E0006": Entry(
        "anchors, aliases and tags of YAML are not allowed",
        "A spec is plain data that reads from top to bottom. Shared sizes go under `dims:`, shared equations into a cell.",
        wrong="dims: {H: &size 16}",
        right="dims: {H: 16}",
    ),
    "E0007": Entry(
        "a setting is written as a mapping",
        "Where one of several named things is chosen, it is written as a call, with the same rules as in equations.",
        wrong=train("optimizer: {adam: {lr: 1e-3}}", "batch: 64", "steps: 100"),
        right=train("optimizer: adam(lr=1e-3)", "batch: 64", "steps: 100"),
    ),
    "E0008": Entry(
        "equations do not stand in a `|` block",
        "Without `|` YAML joins lines into one, and the equations run together.",
        wrong=model(STATE, OUTPUT).replace("|", ">"),
        right=model(STATE, OUTPUT),
    ),
    "E0010": Entry(
        "a comma ended a value inside `{...}` or `[...]`",
        "Inside braces every comma belongs to YAML, also those between the arguments of a call.",
        wrong="train: {optimizer: adam(lr=1e-3, beta2=0.99), batch: 64, steps: 100}",
        right='train: {optimizer: "adam(lr=1e-3, beta2=0.99)", batch: 64, steps: 100}',
    ),
    "E0011": Entry(
        "the version of the format is not supported",
        "`rnnspec: 1` says for which version of the language the file was written.",
        wrong="rnnspec: 2",
        right="rnnspec: 1",
    ),
}

SYNTAX: dict[str, Entry] = {
    "E0101": Entry(
        "a character is not part of the equation language",
        "Equations are plain ASCII. Signs that only look like `-` or `*` often come in when text is pasted.",
        wrong=model(STATE, "y[t] = W_hy @ h[t] − b_y"),
        right=model(STATE, "y[t] = W_hy @ h[t] - b_y"),
    ),
    "E0102": Entry(
        "a bracket has no partner",
        "Every bracket must be closed before the next equation begins, by one of its own kind.",
        wrong=model(STATE.removesuffix(")"), OUTPUT),
        right=model(STATE, OUTPUT),
    ),
    "E0103": Entry(
        "something does not fit here",
        "Between two values stands an operator or a comma, and behind an operator a value.",
        wrong=model(STATE, "y[t] = W_hy h[t] + b_y"),
        right=model(STATE, OUTPUT),
    ),
    "E0104": Entry(
        "a line is not an equation",
        "Every line of a block is one equation with one `=`, the continuation of one, or a comment after `#`.",
        wrong=model(STATE, "the output layer", OUTPUT),
        right=model(STATE, "# the output layer", OUTPUT),
    ),
    "E0105": Entry(
        "a number is too large, or divides by zero",
        "Numbers are stored in double precision, which ends near 1.8e308, and nothing can be divided by 0.",
        wrong=model(STATE, "y[t] = 1e400 * (W_hy @ h[t])"),
        right=model(STATE, "y[t] = 1e4 * (W_hy @ h[t])"),
    ),
    "E0106": Entry(
        "an expression is nested too deeply",
        "An expression has at most 60 brackets inside each other and 120 levels of operations.",
        wrong=model(STATE, f"y[t] = {'(' * 61}W_hy @ h[t]{')' * 61}"),
        right=model(STATE, "y[t] = (W_hy @ h[t])"),
    ),
    "E0107": Entry(
        "a named argument stands where none can be",
        "In a call the arguments without a name come first; an index or a list has no named ones.",
        wrong=model(STATE, "d[t] = layer_norm(eps=1e-3, h[t])", "y[t] = W_hy @ d[t]"),
        right=model(STATE, "d[t] = layer_norm(h[t], eps=1e-3)", "y[t] = W_hy @ d[t]"),
    ),
    "E0108": Entry(
        "a name is too long",
        "A name has at most 64 characters.",
        wrong=model(STATE, f"y[t] = W_{'y' * 70} @ h[t]"),
        right=model(STATE, "y[t] = W_y @ h[t]"),
    ),
}
