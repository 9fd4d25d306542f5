"""Files that nobody writes by accident: bombs, wrong encodings, values made to break a reader.

Each case is the bytes of a spec.  Most change one thing of `GOOD`, which by itself is fine.
"""

from __future__ import annotations

GOOD = """\
rnnspec: 1
name: good
data:
  source: copy_task(symbols=3, length=4, delay=2, sequences=50)
inputs:
  x: one_hot(ids)
targets:
  y: classes(out, count=5)
dims: {H: 8}
states: {h: H}
model: |
  h[t] = tanh(W_h @ x[t] + U_h @ h[t-1] + b_h)
  s[t] = W_s @ h[t]
loss: cross_entropy(s[t], y[t])
metrics:
  - accuracy(s[t], y[t])
params:
  W_h: {init: normal(std=0.1)}
train:
  optimizer: sgd(lr=0.5)
  batch: 32
  steps: 3
"""

EQUATION = "W_h @ x[t] + U_h @ h[t-1] + b_h"
NAME = "name: good"
BATCH = "batch: 32"
SOURCE = "copy_task(symbols=3, length=4, delay=2, sequences=50)"


def good(old: str, new: str) -> bytes:
    """The good spec with one piece of text replaced."""
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new).encode("utf-8")


def with_cell(inputs: str, equation: str) -> bytes:
    """The good spec with a cell `c`, and a layer of it."""
    cell = f"{{args: {{n: int}}, inputs: [{inputs}], states: {{h: n}}, output: h, equations: '{equation}'}}"
    return good("model: |", f"cells:\n  c: {cell}\nmodel: |\n  k[t] = c(x[t], n=3)")


def aliases(levels: int) -> str:
    """Each level repeats the one before nine times: nine to the power of `levels` values."""
    lines = ["a0: &a0 [x]"] + [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, levels + 1)]
    return "\n".join(lines) + "\n"


def merges(levels: int) -> str:
    """The same with merge keys."""
    lines = ["a0: &a0 {x: 1}"]
    for k in range(1, levels + 1):
        lines.append(f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 8)}]}}")
    return "\n".join(lines) + "\n"


BYTES = {
    "empty": b"",
    "nothing but a byte order mark": b"\xef\xbb\xbf",
    "nothing but comments": b"# nothing\n" * 100,
    "too large": b"# " + b"x" * 2_000_000,
    "too large, in lines": b"a: 1\n" * 400_000,
    "NUL": GOOD.encode().replace(b"good", b"go\0od"),
    "only NUL": b"\0" * 1000,
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-16 without a mark": GOOD.encode("utf-16-le"),
    "UTF-32": GOOD.encode("utf-32"),
    "Latin-1": GOOD.replace("good", "g\u00f6\u00f6d").encode("latin-1"),
    "a surrogate as bytes": GOOD.encode().replace(b"good", b"\xed\xa0\x80"),
    "too long a form of a character": GOOD.encode().replace(b"good", b"\xc0\xaf"),
    "half a character at the end": GOOD.encode() + b"\xe2\x82",
    "random bytes": bytes((k * k * 7919 + k) % 256 for k in range(5000)),
    "a Python file": b"import os\nos.system('true')\n",
    "an archive": b"PK\x03\x04" + bytes(range(256)) * 8,
}

YAML = {
    "an object of Python": good(NAME, "name: !!python/object/apply:os.system ['true']"),
    "a name of Python": good(NAME, "name: !!python/name:os.system"),
    "a tag of its own": good(NAME, "name: !evil good"),
    "a tag for a number": good(BATCH, "batch: !!float x"),
    "a tag for a time": good(BATCH, "batch: !!timestamp x"),
    "a tag by a directive": b"%TAG ! tag:yaml.org,2002:python/\n---\n" + good(NAME, "name: !object x"),
    "another version of YAML": b"%YAML 9.9\n---\n" + GOOD.encode(),
    "an alias bomb": aliases(9).encode() + GOOD.encode(),
    "a merge bomb": merges(8).encode() + GOOD.encode(),
    "an alias to itself": good(NAME, "name: &a [*a]"),
    "an alias to nothing": good(NAME, "name: *nobody"),
    "a merge key": good(NAME, "<<: {name: good}"),
    "100,000 brackets": good(NAME, "name: " + "[" * 100_000),
    "1,000 brackets, closed": good(NAME, "name: " + "[" * 1000 + "]" * 1000),
    "1,000 braces": good(NAME, "name: " + "{a: " * 1000),
    "1,000 lists in lines": good(NAME, "name:\n" + "".join("  " * k + "-\n" for k in range(1, 400))),
    "1,000 mappings in lines": good(NAME, "name:\n" + "".join("  " * k + "a:\n" for k in range(1, 400))),
    "two documents": GOOD.encode() + b"---\n" + GOOD.encode(),
    "the same key twice": good(BATCH, "batch: 32\n  batch: 64"),
    "a list as a key": good(NAME, "? [a, b]\n: good"),
    "an escape behind the last character": good(NAME, 'name: "\\U00110000"'),
    "half of a surrogate pair": good(NAME, 'name: "\\ud800"'),
    "half of a surrogate pair in a key": good("dims: {H: 8}", 'dims: {H: 8, "\\udfff": 3}'),
    "half of a surrogate pair in equations": good("model: |\n", 'model: "h[t] = \\ud800"\nx: |\n'),
    "escapes of a terminal": good(NAME, "name: \x1b[31mred\x1b[0m"),
    "escaped escapes of a terminal": good(NAME, 'name: "\\e[31mred\\e]0;title\\a"'),
    "a line break of its own": good(NAME, "name: good\u2028evil: 1"),
    "a next line": good(NAME, "name: good\x85evil: 1"),
    "letters from right to left": good(NAME, "name: \u202egood"),
    "a value of 200,000 characters": good(NAME, "name: " + "x" * 200_000),
    "30,000 values": good(NAME, "name: [" + "x, " * 30_000 + "]"),
    "a key of 2,000 characters": good(NAME, "? " + "k" * 2000 + "\n: 1"),
}

VALUES = {
    "5,000 digits": good(BATCH, "batch: " + "9" * 5000),
    "a number of 5,000 digits behind the point": good("lr=0.5", "lr=0." + "0" * 5000 + "1"),
    "an infinite number": good("lr=0.5", "lr=1e400"),
    "an infinite number in an equation": good(EQUATION, "1e400 * x[t]"),
    "not a number": good("lr=0.5", "lr=nan"),
    "no digits": good(BATCH, "batch: 0x_"),
    "a day that does not exist": good(BATCH, "batch: 2024-99-99"),
    "digits of another script": good(BATCH, "batch: \u0663\u0662"),
    "a batch of a thousand billion": good(BATCH, "batch: 1000000000000"),
    "a negative batch": good(BATCH, "batch: -1"),
    "a size of a thousand billion": good("H: 8", "H: 1000000000000"),
    "a size of 10 ** 300": good("H: 8", "H: 1" + "0" * 300),
    "units of a thousand billion": good("tanh(" + EQUATION + ")", "lstm(x[t], units=1000000000000)"),
    "a shape of a thousand billion": good("W_h: {init: normal(std=0.1)}", "W_h: {shape: [1000000, 1000000]}"),
    "classes by the thousand billion": good("count=5", "count=1000000000000"),
    "sequences by the thousand billion": good("sequences=50", "sequences=1000000000000"),
    "a delay of a thousand billion": good("delay=2", "delay=1000000000000"),
    "a lag of a thousand billion": good("h[t-1]", "h[t-1000000000000]"),
    "a lag of 5,000 digits": good("h[t-1]", "h[t-" + "9" * 5000 + "]"),
    "a seed of 5,000 digits": good(BATCH, BATCH + "\n  seed: " + "9" * 5000),
    "a version of 5,000 digits": good("rnnspec: 1", "rnnspec: " + "1" * 5000),
    "a name of another folder": good(NAME, "name: ../../../../tmp/evil"),
    "a file that does not exist": good(SOURCE, 'text("../../../../nowhere")'),
    "a file name with a NUL": good(SOURCE, 'text("a\\0b")'),
    "a file name of 5,000 letters": good(SOURCE, 'text("' + "a" * 5000 + '")'),
    "a device": good(SOURCE, 'text("/dev/zero")'),
    "a folder": good(SOURCE, 'text("/")'),
    "arrays from a device": good(SOURCE, 'npz("/dev/random", arrays=["ids", "out"])'),
    "a table from a device": good(SOURCE, 'csv("/dev/full", columns=["ids", "out"])'),
}

EQUATIONS = {
    "100,000 open brackets": good(EQUATION, "(" * 90_000),
    "10,000 brackets, closed": good(EQUATION, "(" * 10_000 + "x[t]" + ")" * 10_000),
    "10,000 nested calls": good(EQUATION, "tanh(" * 10_000 + "x[t]" + ")" * 10_000),
    "10,000 signs": good(EQUATION, "-" * 10_000 + "x[t]"),
    "10,000 powers": good(EQUATION, "x[t]" + " ** 2" * 10_000),
    "10,000 transposes": good(EQUATION, "W_h" + ".T" * 10_000 + " @ x[t]"),
    "10,000 times not": good(EQUATION, "where(" + "not " * 10_000 + "(1 < 2), 1, 2)"),
    "a sum of 10,000 terms": good(EQUATION, " + ".join(["b_h"] * 10_000)),
    "nested brackets behind a name": good("h[t-1]", "h" + "[h" * 5000 + "]" * 5000),
    "nested brackets on the left": good("h[t] =", "h" + "[h" * 5000 + "]" * 5000 + " ="),
    "a call of 3,000 arguments": good(EQUATION, "concat(" + "x[t], " * 3000 + "x[t])"),
    "a name of 50,000 letters": good(EQUATION, "W_" + "h" * 50_000 + " @ x[t]"),
    "letters of another script": good(EQUATION, "W_h @ \u0445[t]"),
    "a ligature": good(EQUATION, "W_\ufb01 @ x[t]"),
    "an equation with an escape of a terminal": good(EQUATION, "W_h @ x[t] \x1b[2J"),
    "an attribute of Python": good(EQUATION, "x.__class__.__mro__"),
    "a dunder": good(EQUATION, "__import__(1)"),
    "a call of Python": good(EQUATION, 'eval("1")'),
    "a cell that calls itself": with_cell("u", "h[t] = c(u[t], n=n)"),
    "a mapping among the inputs of a cell": with_cell("{a: b}", "h[t] = u[t]"),
}

HOSTILE = {
    f"{group}: {name}": content
    for group, cases in {"bytes": BYTES, "YAML": YAML, "values": VALUES, "equations": EQUATIONS}.items()
    for name, content in cases.items()
}
