"""README and the pages in `docs` say nothing that does not hold: every block, command, link and excerpt is tried."""

from __future__ import annotations

import re
import shlex
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from textwrap import indent

import click
import pytest

from docs.reference import page as reference_page
from rnnspec import Compiled, compile_spec
from rnnspec.catalogue import CATALOGUE
from rnnspec.cli import commands, main
from rnnspec.commands.reference import PAGES as CODES
from rnnspec.diagnostics import render
from rnnspec.frontend.check import check
from tests.corpus import compiled
from tests.pages import PAGES, ROOT, Block, blocks, code_spans, links, of_language, read, table

LEVELS = (0, 1)
GUIDE = "docs/language.md"
INSTALL = "python -m pip install -e . && rnnspec run specs/elman_char.rnn\n"
TEST = 'python -m pip install -e ".[test]" && python -m pytest\n'


# ------------------------------------------------------------------ specs of the guide


def sections(text: str) -> dict[str, str]:
    """A text cut before every line that starts with a key."""
    parts = re.split(r"(?m)^(?=\w+:)", text)
    return {part.partition(":")[0]: part.rstrip("\n") + "\n" for part in parts if part.strip()}


GUIDE_BLOCKS = [block for block in blocks(GUIDE) if block.language == "yaml"]


def complete(block: Block) -> str:
    """A block as a whole spec: what it does not say is as in the first block, unless it speaks of something replaced."""
    first, own = sections(GUIDE_BLOCKS[0].text), sections(block.text)
    if "model" in own:
        first.pop("states"), first.pop("dims")
    if "loss" in own or "targets" in own:
        first.pop("metrics")
    return "".join((first | own).values())


def written(block: Block, folder: Path) -> Path:
    """A block as a file, beside the data that the specs of this project read."""
    (folder / "data").symlink_to(ROOT / "specs" / "data")
    path = folder / "model.rnn"
    path.write_text(complete(block), encoding="utf-8")
    return path


@pytest.mark.parametrize("block", GUIDE_BLOCKS, ids=str)
def test_blocks_of_the_guide(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(block, tmp_path)
    monkeypatch.setenv("RNNSPEC_DATA", str(tmp_path))
    _, diagnostics = check(path)
    assert [found.code for found in diagnostics] == list(block.info[1:]), "\n".join(map(render, diagnostics))
    for level in LEVELS if not diagnostics else ():
        certificate = compile_spec(path, level=level).verify(quick=True)
        assert certificate.passed, certificate.to_json()


def test_pieces_of_specs_elsewhere_are_from_a_spec() -> None:
    spec = (ROOT / "specs" / "elman_char.rnn").read_text(encoding="utf-8")
    found = [block for block in of_language("yaml") if block.page != GUIDE]
    assert found and all(block.text in spec for block in found)


# ------------------------------------------------------------------ commands


def test_the_two_commands_of_the_readme() -> None:
    texts = [block.text for block in blocks("README.md") if block.language == "sh"]
    assert INSTALL in texts and TEST in texts
    fenced = "".join(block.text for block in blocks("README.md"))
    assert fenced.count("pytest") == 1, "the continuous integration takes the fenced line with this word"


def command_lines(page: str) -> list[str]:
    """Every line of a page that can be typed: in its blocks of commands, and `rnnspec ...` or `python -m ...` in its prose."""
    lines = [line for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()]
    shown = [line for block in blocks(page) if block.language == "console" for line in block.text.splitlines()]
    lines += [line[2:] for line in shown if line.startswith("$ ")]
    lines += [span for span in code_spans(page) if span.startswith(("rnnspec ", "python -m "))]
    return [part.strip() for line in lines for part in line.split("&&")]


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    for line in command_lines(page):
        words = shlex.split(line, comments=True)
        if words[:1] == ["rnnspec"]:
            check_rnnspec(line, words[1:])
        elif words[:2] == ["python", "-m"]:
            assert words[2] in ("venv", "pip") or find_spec(words[2]), line
        elif words[:2] == ["python", "train.py"]:
            check_script(line, words[2:])


def test_what_the_commands_of_the_readme_write_is_no_part_of_the_project() -> None:
    """Neither git nor ruff, which keeps to what git ignores, sees the files of somebody who follows the page in a clone."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    words = [word for line in command_lines("README.md") for word in re.findall(r"(?:new|-o|--out) ([a-z_.]+)", line)]
    assert {"example.rnn", "train.py", "train_gpu.py", "results"} <= set(words)
    for word in words:
        assert f"/{word}" in ignored or f"/{word}/" in ignored, word


def check_rnnspec(line: str, words: list[str]) -> None:
    """The subcommand and its options exist; words in capitals stand for something."""
    if words[0] in ("COMMAND", "--version", "--help"):
        return
    command = commands.commands[words[0]]
    context = click.Context(command, info_name=words[0], resilient_parsing=True)
    given = [re.sub(r"^ast\|.*", "ast", word) for word in words[1:]]
    command.make_parser(context).parse_args(given)
    for word in given:
        assert not word.startswith("specs/") or (ROOT / word).is_file(), line


def check_script(line: str, words: list[str]) -> None:
    """A generated script has this command and these options."""
    source = compiled("elman_char.rnn", 1).source
    assert f'"{words[0]}": {words[0]}_command' in source, line
    for word in words[1:]:
        assert not word.startswith("--") or f'"{word}"' in source, line


def test_the_table_of_commands_is_complete() -> None:
    rows = table("README.md", "| command | what it does |")
    assert [row[0].strip("`").split()[1] for row in rows] == list(commands.commands)
    for row in rows:
        command = commands.commands[row[0].strip("`").split()[1]]
        options = {name for parameter in command.params for name in parameter.opts}
        for span in re.findall(r"`(-[^`]+)`", row[1]):
            assert span.split()[0][:2] in options or span.split()[0] in options, span


@pytest.mark.parametrize("block", of_language("console"), ids=str)
def test_shown_output_is_what_is_printed(
    block: Block, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    printed: list[str] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            with pytest.raises(SystemExit) as end:
                main(shlex.split(line)[2:])
            assert end.value.code == 0
            printed = capsys.readouterr().out.splitlines()
        else:
            assert line in printed, f"{block}: {line}"
            printed = printed[printed.index(line) + 1 :]


# ------------------------------------------------------------------ scripts and messages


@cache
def on_gpu() -> Compiled:
    """The first spec of the README for the other device."""
    return compile_spec(ROOT / "specs" / "elman_char.rnn", device="gpu")


def excerpt(block: Block, source: str) -> None:
    """Fail unless a block is a part of a script."""
    assert any(indent(block.text, " " * depth) in source for depth in (0, 4, 8)), f"{block} is not in the script"


@pytest.mark.parametrize("block", of_language("cuda"), ids=str)
def test_kernels(block: Block) -> None:
    excerpt(block, on_gpu().source)


@pytest.mark.parametrize("block", of_language("python"), ids=str)
def test_python(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if block.info[1:] == ("gpu",):
        excerpt(block, on_gpu().source)
    elif block.info[1:]:
        excerpt(block, compiled("elman_char.rnn", int(block.info[1].removeprefix("-O"))).source)
    else:
        exec(compile(block.text, str(block), "exec"), {})


def test_the_message_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after, before = re.findall(r"Write `(.+?)` instead of `(.+?)`", read("README.md"))[0]
    text = (ROOT / "specs" / "elman_char.rnn").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    path = Path("specs", "elman_char.rnn")
    path.parent.mkdir()
    path.write_text(text.replace(before, after), encoding="utf-8")
    _, diagnostics = check(path)
    (block,) = (block for block in blocks("README.md") if block.language == "text")
    assert [render(found) for found in diagnostics] == [block.text.rstrip("\n")]


@pytest.mark.parametrize("page", PAGES)
def test_codes_exist(page: str) -> None:
    assert set(re.findall(r"\b[EW]\d{4}\b", read(page))) <= set(CODES)


# ------------------------------------------------------------------ tables and links


def test_the_reference_is_what_the_compiler_says() -> None:
    assert read("docs/reference.md") == reference_page(), "run `python -m docs.reference`"
    assert set(CATALOGUE) <= set(re.findall(r"`([EW]\d{4})`", read("docs/reference.md")))


def test_every_spec_is_listed() -> None:
    listed = [links_of(row[0]) for row in table("README.md", "| spec | what it shows |")]
    assert sorted(listed) == sorted(f"specs/{path.name}" for path in (ROOT / "specs").glob("*.rnn"))


def links_of(cell: str) -> str:
    """The target of the link in a cell."""
    return re.findall(r"\]\((.+?)\)", cell)[0]


@cache
def sources() -> dict[str, str]:
    """Every file of the compiler, as written in the table of an operation."""
    package = ROOT / "rnnspec"
    return {path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in package.rglob("*.py")}


def test_the_rows_of_an_operation_are_all_there_are() -> None:
    rows = table("docs/architecture.md", "| file | row |")
    named = {re.findall(r"\[(.+?)\]", row[0])[0]: row[1].strip("`") for row in rows}
    assert set(named) == {name for name, text in sources().items() if '"softplus":' in text}
    for name, row in named.items():
        assert row in sources()[name], f"{name} has no {row}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        assert ((ROOT / page).parent / link).exists(), f"{page} links to {link}"


def test_pages_are_plain() -> None:
    for page in PAGES:
        assert not re.search(r"\b(TODO|FIXME|XXX|TBD)\b", read(page)), page
