"""A packed model as a folder: what `freshet model pack` writes and `freshet model publish` reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from freshet.contracts.messages import Manifest
from freshet.models.artifact import check_bytes
from freshet.models.manifest import manifest_from_json, manifest_to_json
from freshet.models.model_error import ModelError
from freshet.models.model_file import ModelFile

_MODEL: Final = "model.onnx"
_MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model and its manifest, which belong together."""

    manifest: Manifest
    data: bytes

    FILES: ClassVar = (_MODEL, _MANIFEST)
    """What `save` writes."""

    def save(self, folder: Path) -> None:
        """Write `model.onnx` and `manifest.json` into the folder, made if need be. Same bundle, same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MODEL).write_bytes(self.data)
        (folder / _MANIFEST).write_text(manifest_to_json(self.manifest), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Read a folder that `save` wrote; raises ModelError if it is none, or if the files do not belong together."""
        try:
            data = (folder / _MODEL).read_bytes()
            text = (folder / _MANIFEST).read_bytes()
        except OSError as error:
            raise ModelError("bundle_unreadable", f"{folder} holds no packed model: {_why(error)}.") from error
        manifest = manifest_from_json(text)
        with ModelFile.of(data) as model:
            check_bytes(model, manifest)
        return cls(manifest, data)


def _why(error: OSError) -> str:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return "`freshet model pack` writes one" if missing else str(error)
