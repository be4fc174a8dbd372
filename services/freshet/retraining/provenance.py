"""What a model depends on beside its rows, parameters and seed: our code, libraries, and a processor's instructions."""

import hashlib
import importlib
import inspect
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from numpy._core._multiarray_umath import __cpu_features__  # type: ignore[import-not-found]  # no public name

from freshet.pipeline.catalogue import trainers

_OURS: Final = ("freshet.training", "freshet.models", "freshet.outcomes")
_STEPS: Final = ("freshet.retraining.data_set", "freshet.retraining.training_child")
_LIBRARIES: Final = ("lightgbm", "numpy", "onnx", "onnxruntime", "river", "scikit-learn", "scipy", "skl2onnx")
_SAME: Final = "AVX2"
"""Libraries choose among a processor's instructions, and with others they sum in another order. A machine that has
these uses no newer ones, so that machines agree to the bit."""
_NEWER: Final = "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
"""As one release of numpy or another calls them. One that it does not know costs a warning that nobody sees."""


@cache
def code_digest(trainer: str) -> str:
    """SHA-256 of the code that makes a data set and a model of it with a trainer of this kind.

    Raises UnknownPartError if there is no such trainer.
    """
    files = {Path(inspect.getfile(trainers().find(trainer)))}
    files |= {Path(inspect.getfile(importlib.import_module(step))) for step in _STEPS}
    for package in map(importlib.import_module, _OURS):
        files |= {found for folder in package.__path__ for found in Path(folder).glob("*.py")}
    found = hashlib.sha256()
    for file in sorted(files, key=lambda file: (file.parent.name, file.name)):
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


@cache
def environment_digest() -> str:
    """SHA-256 of the versions and the kind of processor that the bits of a model depend on."""
    told = [
        "python {}.{}.{}".format(*sys.version_info[:3]),
        f"{platform.system()} {platform.machine()}",
        *sorted(child_settings()),
    ]
    for name in _LIBRARIES:
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


@cache
def child_settings() -> dict[str, str]:
    """Environment variables that keep the libraries of a training child to the same instructions everywhere."""
    if _SAME not in __cpu_features__:
        return {}
    return {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": _NEWER} if __cpu_features__[_SAME] else {}
