"""Specs with mistakes in them: the files of `specs/`, changed at random by a few bytes or by a few tokens.

A mutant depends on its seed alone, so the seed is all that has to be kept of a find.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache

from tests.corpus import FOLDER, SPECS


@dataclass(frozen=True)
class Mutant:
    """A changed spec; `name` is the file it comes from."""

    name: str
    content: bytes


@cache
def originals() -> dict[str, str]:
    """The text of every spec by its file name."""
    return {name: (FOLDER / name).read_text(encoding="utf-8") for name in SPECS}


# ------------------------------------------------------------------ bytes

PIECES = (
    [b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\t", b"\x85", b"\xe2\x80\xa8", b"\x1b[31m"]
    + [b"[", b"]", b"{", b"}", b"(", b")", b"'", b'"', b"\\", b":", b": ", b" #", b"- ", b"? ", b"| ", b"> ", b"&a ", b"*a"]
    + [b"!!int ", b"%YAML", b"---\n", b"...\n", b"<<: ", b"\n", b"\n\n", b"\n  ", b"  ", b"@", b"`", b",", b"=", b"."]
    + [b"99999999999999999999", b"1e400", b"-1", b"0", b"nan", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\\ud800"]
    + [b"[" * 70, b"-" * 130]
)


def byte_mutant(seed: int) -> Mutant:
    """One spec with one to four changes to its bytes."""
    chance = random.Random(f"bytes {seed}")
    name = chance.choice(SPECS)
    content = bytearray(originals()[name].encode())
    for _ in range(chance.randint(1, 4)):
        _change_bytes(content, chance)
    return Mutant(name, bytes(content))


def _change_bytes(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content) + 1)
    end = place + chance.choice([1, 1, 2, 5, 20, 100])
    match chance.randrange(6):
        case 0 if place < len(content):
            content[place] ^= 1 << chance.randrange(8)
        case 1:
            del content[place:end]
        case 2:
            content[place:place] = content[place:end]
        case 3:
            other = originals()[chance.choice(SPECS)].encode()
            start = chance.randrange(len(other))
            content[place:end] = other[start : start + end - place]
        case 4:
            del content[place:]
            if not content:
                content[:] = b"a: 1"
        case _:
            content[place:place] = chance.choice(PIECES)


# ------------------------------------------------------------------ tokens

TOKEN = re.compile(r"#[^\n]*|[A-Za-z_][A-Za-z0-9_]*|[0-9][0-9.eE]*|\"[^\"\n]*\"|\n *|\*\*|[<>=!]=|\.T\b| +|[^ ]")
STRANGE = re.findall(
    r"\S+",
    """
    0 1 -1 2 1.5 1e400 99999999999999999999 0.0 T t T+1 t+1 t-2 -2 mask h V H W_x b_x x y true false null no ~ [] {} ()
    '' ' . , : ; = == @ * ** / + - < > not and or where lstm gru rnn reverse=true units=3 units=0 size=0 shape init l2
    tie trainable dropout layer_norm concat chunk softmax dot outer sum mean exp log pow minimum cross_entropy mse one_hot
    next classes values vectors vector columns current text csv npz recall adam sgd cosine tbptt patience orthogonal
    """,
)


def tokens(text: str) -> list[str]:
    """A spec cut into tokens; nothing is lost."""
    return TOKEN.findall(text)


@cache
def vocabulary() -> list[str]:
    """All tokens of all specs, the frequent ones as often as they occur, and strange ones."""
    words = [token for text in originals().values() for token in tokens(text) if token.strip() and token[0] != "#"]
    return words + STRANGE * 5


def token_mutant(seed: int) -> Mutant:
    """One spec with one to three changes to its tokens."""
    chance = random.Random(f"tokens {seed}")
    name = chance.choice(SPECS)
    words = tokens(originals()[name])
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        _change_tokens(words, chance)
    return Mutant(name, "".join(words).encode())


def _alike(word: str, chance: random.Random) -> str:
    """Another token of the same kind: a name for a name, a number for a number, a sign for a sign."""
    for _ in range(40):
        other = chance.choice(vocabulary())
        if (other[0].isalpha(), other[0].isdigit()) == (word[0].isalpha(), word[0].isdigit()):
            return other
    return word


def _change_tokens(words: list[str], chance: random.Random) -> None:
    solid = [k for k, word in enumerate(words) if word.strip() and word[0] != "#"]
    place, other = chance.choice(solid), chance.choice(solid)
    match chance.randrange(14):
        case 0:
            del words[place]
        case 1:
            words.insert(place, words[place])
        case 2:
            words[place], words[other] = words[other], words[place]
        case 3:
            words[place] = words[other]
        case 4:
            words.insert(place, chance.choice(vocabulary()))
        case 5:
            _change_lines(words, chance)
        case 6:
            words[place] = chance.choice(vocabulary())
        case _:
            words[place] = _alike(words[place], chance)


def _change_lines(words: list[str], chance: random.Random) -> None:
    """Drop, double, move or indent one line."""
    lines = "".join(words).split("\n")
    place, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            del lines[place]
        case 1:
            lines.insert(place, lines[place])
        case 2:
            lines.insert(other, lines.pop(place))
        case _:
            lines[place] = "  " + lines[place] if chance.random() < 0.5 else lines[place].removeprefix("  ")
    words[:] = tokens("\n".join(lines))


TIERS = {"bytes": byte_mutant, "tokens": token_mutant}
