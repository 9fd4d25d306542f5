"""The wheel has everything in it: in a new environment it compiles a spec from another folder and runs it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from rnnspec import __version__

ROOT = Path(__file__).parent.parent

SPEC = """\
rnnspec: 1
name: tiny
data:
  source: adding(length=5, sequences=20)
  split: {train: 0.8, valid: 0.2}
inputs:
  x: vectors(x, size=2)
targets:
  y: values(y, size=1)
model: |
  h[t] = gru(x[t], units=3)
  z = W_z @ h[T] + b_z
loss: mse(z, y)
train:
  optimizer: adam(lr=1e-2)
  batch: 4
  steps: 3
"""


def command(*words: object, cwd: Path) -> str:
    """Run a command that must succeed; returns what it printed."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of this source tree, so that nothing is written into it."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "rnnspec", "templates"):
        command("cp", "-r", ROOT / name, copy / name, cwd=folder)
    command(sys.executable, "-m", "pip", "wheel", copy, "--no-deps", "-w", folder, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel in it; it borrows NumPy and the rest from this one."""
    home = tmp_path_factory.mktemp("home")
    venv.create(home, with_pip=False, symlinks=True)
    library = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(library)
    (library / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "python"


def test_the_wheel_has_every_file_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {f"rnnspec/{path.relative_to(ROOT)}" for path in (ROOT / "templates").rglob("*.j2")}
    for kind in ("py", "rnn", "lark"):
        wanted |= {str(path.relative_to(ROOT)) for path in (ROOT / "rnnspec").rglob(f"*.{kind}")}
    assert names == wanted


def test_there_is_one_version(wheel: Path) -> None:
    assert wheel.name.startswith(f"rnnspec-{__version__}-")


def test_an_installed_rnnspec_compiles_and_trains(python: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.rnn").write_text(SPEC)
    place = command(python, "-c", "import rnnspec; print(rnnspec.__file__)", cwd=tmp_path)
    assert str(python.parent.parent) in place
    assert "no errors" in command(python, "-m", "rnnspec", "check", "tiny.rnn", cwd=tmp_path)
    command(python, "-m", "rnnspec", "compile", "tiny.rnn", "-o", "train.py", cwd=tmp_path)
    command(python, "-I", "train.py", "train", "--out", "results", cwd=tmp_path)
    assert (tmp_path / "results" / "last.npz").exists()
    said = command(python, "-m", "rnnspec", "run", "tiny.rnn", cwd=tmp_path)
    assert "run folder       runs/tiny-1" in said
