"""A model that its trainer saved to a file: read by the file's ending."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from freshet.models.model_error import ModelError

_EXPORTS: Final[Mapping[str, str]] = {
    **dict.fromkeys((".json", ".ubj", ".xgb"), "XGBoost: onnxmltools.convert_xgboost"),
    **dict.fromkeys((".pt", ".pth"), "PyTorch: torch.onnx.export, with a softmax at the end"),
    **dict.fromkeys((".h5", ".keras"), "Keras: model.export(path, format='onnx')"),
    ".cbm": "CatBoost: model.save_model(path, format='onnx')",
}


def check_saved(file: Path) -> None:
    """Raise ModelError `pack_input` if the file is not there or its ending is none that we read; loads no library."""
    if not file.is_file():
        raise ModelError("pack_input", f"there is no file {file}.")
    if file.suffix in _EXPORTS:
        raise ModelError(
            "pack_input",
            f"{file} is not a form that Freshet reads: export it to ONNX where it was trained, and pack the .onnx file "
            f"({_EXPORTS[file.suffix]}).",
        )


def is_pickle(file: Path) -> bool:
    """Whether reading it runs code that it names."""
    return file.suffix not in {".onnx", ".txt"}


def load_saved(file: Path) -> object:
    """What `pack` takes: the bytes of a .onnx file, LightGBM's .txt as a Booster, anything else unpickled.

    A pickle runs whatever it holds: it must be the user's own, and nothing else in Freshet unpickles. Raises ModelError
    `pack_input` on what cannot be read; ModuleNotFoundError where the library that reads it is not installed.
    """
    check_saved(file)
    if file.suffix == ".txt":
        import lightgbm  # noqa: PLC0415 - an extra, and heavy
    elif is_pickle(file):
        import joblib  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
    try:
        if file.suffix == ".onnx":
            return file.read_bytes()
        return lightgbm.Booster(model_file=str(file)) if file.suffix == ".txt" else joblib.load(file)
    except Exception as error:  # a damaged pickle, or code that is not here, raises whatever it likes
        raise ModelError(
            "pack_input",
            f"{file} cannot be read as a model: {type(error).__name__}: {error}. It must be a .onnx file, LightGBM's "
            ".txt, or a pickled estimator whose libraries are installed here.",
        ) from error
