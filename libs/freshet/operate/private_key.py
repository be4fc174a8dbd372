"""Private keys as an operator has them: files on the machine where a model is signed."""

from dataclasses import replace
from pathlib import Path

from freshet.models.bundle import Bundle
from freshet.operate.operate_error import OperateError
from freshet.runtime.trust_file import TrustFile
from freshet.trust.signing_key import SigningKey, UnusableKeyError
from freshet.trust.statements import builder_statement


def read_key(file: Path) -> SigningKey:
    """The key in a file. Raises OperateError."""
    try:
        return SigningKey.of_pem(file.read_bytes())
    except OSError as error:
        raise OperateError(f"the key {file} cannot be read: {error.strerror}.", "usage") from error
    except UnusableKeyError as error:
        raise OperateError(f"{file}: {error}", "usage") from error


def builder_key(file: Path, trust: Path | None) -> SigningKey:
    """The key in a file, for signing models. Raises OperateError.

    Where a trust file is named, raises SettingsError if that cannot be used, or does not trust this key as a builder's.
    """
    key = read_key(file)
    if trust is not None:
        TrustFile(trust).refuse_disbelieved(key, "builder", str(file))
    return key


def sign_bundle(bundle: Bundle, key: SigningKey) -> Bundle:
    """The bundle with the signature of a builder's key beside those that it has."""
    made = key.sign(builder_statement(bundle.manifest))
    return replace(bundle, signatures={**bundle.signatures, **made})
