"""A packed model as a folder: what `freshet model pack` writes and `freshet model publish` reads."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from freshet.contracts.messages import Manifest
from freshet.models.artifact import check_bytes
from freshet.models.manifest import manifest_from_json, manifest_to_json
from freshet.models.model_error import ModelError
from freshet.models.model_file import ModelFile

_MODEL: Final = "model.onnx"
_MANIFEST: Final = "manifest.json"
_SIGNATURES: Final = "signatures.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model and its manifest, which belong together."""

    manifest: Manifest
    data: bytes
    signatures: Mapping[str, bytes] = field(default_factory=dict)
    """Of the manifest, by the id of the builder's key that made each."""

    FILES: ClassVar = (_MODEL, _MANIFEST)
    """What `save` writes; of a signed bundle `signatures.json` too."""

    def save(self, folder: Path) -> None:
        """Write `model.onnx` and `manifest.json` into the folder, made if need be. Same bundle, same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MODEL).write_bytes(self.data)
        (folder / _MANIFEST).write_text(manifest_to_json(self.manifest), encoding="utf-8")
        (folder / _SIGNATURES).unlink(missing_ok=True)  # those of another model are worth nothing
        if self.signatures:
            texts = {key: base64.b64encode(value).decode() for key, value in sorted(self.signatures.items())}
            (folder / _SIGNATURES).write_text(json.dumps(texts, indent=2) + "\n", encoding="utf-8")

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
        return cls(manifest, data, _signatures(folder / _SIGNATURES))


def _signatures(file: Path) -> dict[str, bytes]:
    if not file.exists():
        return {}
    try:
        texts = json.loads(file.read_bytes())
        return {str(key): base64.b64decode(text, validate=True) for key, text in texts.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError("bundle_unreadable", f"{file} holds no signatures: sign the bundle again. {error}") from error


def _why(error: OSError) -> str:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return "`freshet model pack` writes one" if missing else str(error)
