"""The frame of a script: where its templates are, and which words they use."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "templates", PACKAGE.parent / "templates")  # installed, or in a working copy


@cache
def frame_words() -> frozenset[str]:
    """Every word of every template: what the frame may use, it cannot lend to a spec."""
    texts = (path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.rglob("*.j2")))
    return frozenset(word for text in texts for word in re.findall(r"[A-Za-z_]\w*", text))
