"""Where the characters of a YAML scalar stand in the file.

YAML's own marks give only the start and the end of a scalar.  An error inside an equation needs the place of one
character, through indentation, folded lines, doubled quotes and escapes.
"""

from __future__ import annotations

from rnnspec.diagnostics import Source, Span

ESCAPE_DIGITS = {"x": 2, "u": 4, "U": 8}


def offsets(span: Span, style: str, value: str) -> tuple[int, ...]:
    """The offset in the source of every character of the value of a scalar, and of its end."""
    if style == "|":
        return _literal(span, value)
    if style == ">":
        start = span.source.text.find("\n", span.start, span.end)
        return _walk(span, span.end if start < 0 else start + 1, style, value)
    return _walk(span, span.start + len(style), style, value)


def _literal(span: Span, value: str) -> tuple[int, ...]:
    """Of a `|` block: line i of the value is line i of the file behind the mark, without the indentation."""
    source = span.source
    first = span.line  # counted from 0: the line behind the mark
    lines = value.split("\n")
    indent = _indent(source, first, lines)
    places: list[int] = []
    for number, line in enumerate(lines, first):
        begin = source.starts[number] if number < len(source.starts) else len(source.text)
        length = len(source.line(number))
        places += [begin + min(indent + i, length) for i in range(len(line))]
        places.append(begin + length)  # the line end
    places[len(value) :] = [span.end]
    return tuple(places)


def _indent(source: Source, first: int, lines: list[str]) -> int:
    for number, line in enumerate(lines, first):
        if line.strip(" "):
            return max(0, len(source.line(number)) - len(line))
    return 0


def _walk(span: Span, position: int, style: str, value: str) -> tuple[int, ...]:
    """Of the other styles: go through value and source side by side."""
    text, end = span.source.text, span.end
    places: list[int] = []
    for character in value:
        if style == '"':
            position = _skip_escaped_line_ends(text, position, end)
        here, position = _match(text, position, end, style, character)
        places.append(here)
    places.append(min(position, end))
    return tuple(places)


def _match(text: str, position: int, end: int, style: str, character: str) -> tuple[int, int]:
    """Where a character of the value stands, looking from `position` on, and where to look for the next one."""
    if style == '"' and text[position : position + 1] == "\\":
        return position, position + 2 + ESCAPE_DIGITS.get(text[position + 1 : position + 2], 0)
    if style == "'" and text[position : position + 2] == "''":
        return position, position + 2
    if character in " \n":
        line_end = _skip(text, position, end, " \t")
        if text[line_end : line_end + 1] == "\n" and line_end < end:
            # A fold becomes one blank; behind it every empty line becomes one line end.
            return line_end, _skip(text, line_end, end, " \t\n") if character == " " else line_end + 1
    found = text.find(character, position, end)
    return (found, found + 1) if found >= 0 else (min(position, end), position)


def _skip(text: str, position: int, end: int, characters: str) -> int:
    while position < end and text[position] in characters:
        position += 1
    return position


def _skip_escaped_line_ends(text: str, position: int, end: int) -> int:
    while text.startswith("\\\n", position) and position < end:
        position = _skip(text, position + 2, end, " \t")
    return position
