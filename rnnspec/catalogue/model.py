"""Mistakes in the model: E02xx names, E03xx shapes, E04xx time, E05xx parameters, W02xx warnings."""

from __future__ import annotations

from rnnspec.catalogue.entry import LEAKY, OUTPUT, STATE, WINDOWS, Entry, cell, model

NAMES: dict[str, Entry] = {
    "E0201": Entry(
        "a name is not defined",
        "A name is an input, a target, a size, the left side of an equation or a parameter. Without a declaration only names "
        "like `W_x` (matrix) and `b_h` (vector) become parameters, so that a typing error does not become one.",
        wrong=model(STATE, "y[t] = W_hy @ hh[t] + b_y"),
        right=model(STATE, OUTPUT),
    ),
    "E0202": Entry(
        "a name is defined twice",
        "The order of equations has no meaning, so each variable has one equation.",
        wrong=model(STATE, OUTPUT, "y[t] = tanh(y[t])"),
        right=model(STATE, "z[t] = W_hy @ h[t] + b_y", "y[t] = tanh(z[t])"),
    ),
    "E0204": Entry(
        "a name cannot be used",
        "Names are ASCII letters, digits and `_`, start with a letter, and are no words of the language.",
        wrong="states: {}\n" + model("tanh[t] = W_xh @ x[t]", OUTPUT.replace("h[", "tanh[")),
        right=model(STATE, OUTPUT),
    ),
    "E0205": Entry(
        "a function does not exist, or is used as a value",
        "`rnnspec functions` lists all functions; losses and metrics stand under `loss:` and `metrics:` only.",
        wrong=model(STATE.replace("tanh", "tahn"), OUTPUT),
        right=model(STATE, OUTPUT),
    ),
    "E0206": Entry(
        "a cell is called in the middle of an expression, or inside another cell",
        "A cell has states and parameters, which need the name on the left side of its equation, and a place under `model:`.",
        wrong="states: {}\n" + model("y[t] = W_hy @ gru(x[t], units=16) + b_y"),
        right=model("h[t] = gru(x[t], units=16)", OUTPUT),
    ),
    "E0207": Entry(
        "the output of a cell has no equation",
        "`output:` names the variable that the cell's own name stands for.",
        wrong=cell(output="g", equation=LEAKY),
        right=cell(output="h", equation=LEAKY),
    ),
    "E0209": Entry(
        "a condition, a text or a list stands where a number is expected, or a number where a condition is",
        "Comparisons give conditions, which are read by `where`, `and`, `or` and `not` only.",
        wrong=model("h[t] = where(x[t], tanh(W_hh @ h[t-1] + W_xh @ x[t]), h[t-1])", OUTPUT),
        right=model("h[t] = where(mask > 0, tanh(W_hh @ h[t-1] + W_xh @ x[t]), h[t-1])", OUTPUT),
    ),
    "E0210": Entry(
        "an exponent is not a plain number",
        "Powers with a varying exponent are written with `exp` and `log`.",
        wrong=model(STATE, "y[t] = W_hy @ (h[t] ** h[t])"),
        right=model(STATE, "y[t] = W_hy @ (h[t] ** 2)"),
    ),
    "W0201": Entry(
        "an input is never used",
        "The data is read and prepared for nothing.",
        wrong=model("h[t] = tanh(W_hh @ h[t-1] + b_h)", OUTPUT),
        right=model(STATE, OUTPUT),
    ),
    "W0202": Entry(
        "a variable is never used",
        "Neither another equation nor the loss or a metric reads it, so it is not computed.",
        wrong=model(STATE, OUTPUT, "z[t] = tanh(y[t])"),
        right=model(STATE, OUTPUT),
    ),
    "W0203": Entry(
        "two parameters look alike",
        "Each of them is used once, so one may be a typing error for the other, which would train without complaint.",
        wrong=model("h[t] = tanh(W_xh @ x[t] + W_hx @ x[t-1] + W_hh @ h[t-1] + b_h)", OUTPUT),
        right=model("h[t] = tanh(W_xh @ x[t] + W_old @ x[t-1] + W_hh @ h[t-1] + b_h)", OUTPUT),
    ),
    "W0204": Entry(
        "an initial value is never used",
        "No equation reads the variable that far back.",
        wrong=model("h[-1] = b_start", STATE, OUTPUT),
        right=model("h[0] = b_start", STATE, OUTPUT),
    ),
    "W0205": Entry(
        "a cell is never used",
        "What the names in a cell mean follows from a call, so a cell without one is not checked, and nothing comes of it.",
        wrong=cell(output="h", equation=LEAKY).partition("model:")[0] + model(STATE, OUTPUT),
        right=model(STATE, OUTPUT),
    ),
}

SHAPES: dict[str, Entry] = {
    "E0301": Entry(
        "sizes do not match",
        "Every size remembers where it was fixed. Sizes are never broadcast, except a single number with anything.",
        wrong=model(STATE.replace("W_hh @", "W_hh *"), OUTPUT),
        right=model(STATE, OUTPUT),
    ),
    "E0302": Entry(
        "a parameter has no usable shape",
        "Only names like `W_x` and `b_h` get their shape from the equations; all others need one, of at most two sizes.",
        wrong=model(STATE.replace("b_h", "start"), OUTPUT) + "\nparams:\n  start: {init: zeros}",
        right=model(STATE.replace("b_h", "start"), OUTPUT) + "\nparams:\n  start: {shape: [H], init: zeros}",
    ),
    "E0303": Entry(
        "an operation needs a value of another kind",
        "`@` needs a matrix on one side, `.T` a matrix, `concat` vectors. Two vectors are multiplied by `*`, `dot` or `outer`.",
        wrong=model(STATE, "y[t] = W_hy @ (h[t] @ h[t])"),
        right=model(STATE, "y[t] = W_hy @ (h[t] * h[t])"),
    ),
    "E0304": Entry(
        "a vector cannot be cut into equal parts",
        "`chunk(v, i, n)` is the i-th of n equal parts, so n must divide the size of v.",
        wrong=model(STATE, "y[t] = W_hy @ chunk(h[t], 1, 3)"),
        right=model(STATE, "y[t] = W_hy @ chunk(h[t], 1, 4)"),
    ),
    "E0305": Entry(
        "a size cannot be determined",
        "No equation, input or declaration says how large this value is.",
        wrong="states: {}",
        right="states: {h: H}",
    ),
    "E0306": Entry(
        "a loss or a metric is not a single number",
        "Training makes one number small: a vector is made one by `sum` or `mean`.",
        wrong="loss: cross_entropy(y[t], target[t]) + h[t] ** 2",
        right="loss: cross_entropy(y[t], target[t]) + mean(h[t] ** 2)",
    ),
}

TIME: dict[str, Entry] = {
    "E0401": Entry(
        "a variable depends on itself at the same step",
        "Within a step the equations must have an order; a state is read at an earlier step.",
        wrong=model(STATE.replace("h[t-1]", "h[t]"), OUTPUT),
        right=model(STATE, OUTPUT),
    ),
    "E0402": Entry(
        "a variable uses both its past and its future",
        "A loop runs forwards or backwards. Write one variable for each direction and join them.",
        wrong=model("h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + V_h @ h[t+1])", OUTPUT),
        right=model("f[t] = rnn(x[t], units=9)", "h[t] = rnn(x[t], units=16, reverse=true)", "y[t] = f[t] + W_hy @ h[t]"),
    ),
    "E0403": Entry(
        "a time index is missing",
        "The value changes with time: `[t]` is this step, `[t-1]` the one before, `[T]` the last.",
        wrong=model(STATE, "y[t] = W_hy @ h + b_y"),
        right=model(STATE, OUTPUT),
    ),
    "E0404": Entry(
        "something without time has a time index",
        "Parameters, sizes and values per sequence are the same at every step.",
        wrong=model(STATE, "y[t] = W_hy[t] @ h[t] + b_y"),
        right=model(STATE, OUTPUT),
    ),
    "E0405": Entry(
        "a left side is not `v[t]`",
        "An equation defines its variable at `[t]`, or without index once per sequence; `v[0]` gives an initial value.",
        wrong=model("h[t+1] = tanh(W_xh @ x[t] + W_hh @ h[t] + b_h)", OUTPUT),
        right=model(STATE, OUTPUT),
    ),
    "E0406": Entry(
        "this is not a time index",
        "A time index is `t`, `t` plus or minus a whole number up to 64, or `T`.",
        wrong=model(STATE, "y[t] = W_hy @ h[t] + V_y @ h[t-k]"),
        right=model(STATE, "y[t] = W_hy @ h[t] + V_y @ h[t-2]"),
    ),
    "E0407": Entry(
        "`[t]` is used outside the loop over time",
        "An equation without `[t]` on its left side runs once per sequence, after the loops.",
        wrong=model(STATE, "last = tanh(h[t])", "y[t] = W_hy @ h[t] + W_l @ last"),
        right=model(STATE, "last = tanh(h[T])", "y[t] = W_hy @ h[t] + W_l @ last"),
    ),
    "E0408": Entry(
        "a target is used in the model",
        "At prediction time targets are not known. Teacher forcing is an input: `prev: current(ids)`, read as `prev[t-1]`.",
        wrong=model(STATE, "y[t] = W_hy @ h[t] + V_y @ target[t-1]"),
        right=model(STATE, OUTPUT),
    ),
    "E0409": Entry(
        "an initial value does not fit",
        "Initial values belong to variables with an equation at `[t]`, and only where an equation reads them at that step.",
        wrong=model("x[0] = b_x", STATE, OUTPUT),
        right=model("h[0] = b_start", STATE, OUTPUT),
    ),
    "E0410": Entry(
        "a window of a sequence cannot see what lies behind it",
        "With `truncation:` a sequence is trained window by window, and the steps behind a window are not yet read.",
        wrong=model(STATE, "y[t] = W_hy @ h[t] + V_hy @ h[t+1]") + "\n" + WINDOWS,
        right=model(STATE, "y[t] = W_hy @ h[t] + V_hy @ h[t-1]") + "\n" + WINDOWS,
    ),
}

PARAMETERS: dict[str, Entry] = {
    "E0501": Entry(
        "no parameter matches a key of `params:`",
        "A key is the exact name of a parameter, or a pattern with `*` that matches at least one.",
        wrong='params: {"V_*": {init: zeros}}',
        right='params: {"W_*": {init: glorot_uniform}}',
    ),
    "E0502": Entry(
        "two keys of `params:` set the same attribute",
        "The key with more literal characters wins; between equals nobody can tell.",
        wrong='params: {"W_h*": {l2: 1e-4}, "*_hh": {l2: 1e-5}, "W*hh": {l2: 1e-6}}',
        right='params: {"W_h*": {l2: 1e-4}, W_hh: {l2: 1e-5}}',
    ),
    "E0503": Entry(
        "the parameters are too many",
        "The limit keeps a typing error in a size from filling the memory.",
        wrong="dims: {H: 10000000}",
        right="dims: {H: 16}",
    ),
    "E0504": Entry(
        "a tie does not work out",
        "A tied parameter is another name for a whole parameter (or its transpose), which has all attributes.",
        wrong="params: {W_hh: {tie: W_hh2, init: zeros}}",
        right="params: {W_hh: {init: orthogonal}}",
    ),
    "E0505": Entry(
        "an initialiser does not fit a shape",
        "`orthogonal` and the like are for matrices; a value from a file or another parameter must have the same shape.",
        wrong="params: {b_h: {init: orthogonal}}",
        right="params: {W_hh: {init: orthogonal}}",
    ),
    "E0506": Entry(
        "there is nothing to train",
        "Training changes parameters; a model without any, or with frozen ones only, stays what it is.",
        wrong='params: {"*": {trainable: false}}',
        right="params: {W_hh: {trainable: false}}",
    ),
}
