"""The pages for people, cut into what can be checked: fenced blocks, tables, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block: the page and line where it begins, the words behind the fence, its text."""

    page: str
    line: int
    info: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def language(self) -> str:
        """The first word behind the fence."""
        return self.info[0] if self.info else ""


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    inside: list[str] | None = None
    start, info = 0, ""
    for number, line in enumerate(read(page).splitlines(keepends=True), 1):
        if not line.startswith("```"):
            if inside is not None:
                inside.append(line)
        elif inside is None:
            inside, start, info = [], number, line[3:]
        else:
            found.append(Block(page, start, tuple(info.split()), "".join(inside)))
            inside = None
    assert inside is None, f"{page}: the block of line {start} does not end"
    return found


def of_language(language: str) -> list[Block]:
    """All blocks of one language, on all pages."""
    return [block for page in PAGES for block in blocks(page) if block.language == language]


def prose(page: str) -> str:
    """A page without its blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", read(page))


def code_spans(page: str) -> list[str]:
    """What stands between backticks in the prose of a page."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def table(page: str, head: str) -> list[list[str]]:
    """The cells of the table whose first line begins with `head`."""
    lines = read(page).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(head))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("| ").split(" | ")])
    return rows


def links(page: str) -> list[str]:
    """The places in this repository that a page links to, without what follows `#`."""
    found = (link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)))
    return [link for link in found if link and ":" not in link]
