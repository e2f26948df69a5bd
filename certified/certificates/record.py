"""Records for the public: canonical JSON under its own digest, read strictly and written to disk for good."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_KINDS = {"int": int, "str": str, "bool": bool, "float": float, "dict[str, Any]": dict}


class CertificateFormatError(ValueError):
    """The text is not a certificate, or other record, of a known schema."""


@dataclass(frozen=True)
class Record:
    """A frozen dataclass that survives JSON exactly; its digest shows accidents, not forgeries.

    Fields are numbers, texts, tuples of them and JSON objects; the last one is ``schema``, whose default names the
    format. Infinity, which JSON lacks, is written as a string.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the digest of their canonical JSON."""
        fields = self._plain()
        return {**fields, "digest": _digest(fields)}

    def to_json(self, *, indent: int | None = None) -> str:
        """Return canonical JSON (sorted keys, shortest round-trip floats); ``indent`` only for the human eye."""
        if indent is None:
            return _canonical(self.to_dict())
        return json.dumps(self.to_dict(), sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a record.

        Raises:
            CertificateFormatError: not JSON, a key that is there twice, a number that JSON lacks, unknown schema,
                missing, unknown or ill-typed fields, or a wrong digest.
        """
        return cls.from_dict(read_json(text))

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Read a record from JSON values; see `from_json`."""
        schema = next(f.default for f in dataclasses.fields(cls) if f.name == "schema")
        if not isinstance(data, dict) or data.get("schema") != schema:
            raise CertificateFormatError(f"not a record of schema {schema!r}")
        fields = {name: value for name, value in data.items() if name != "digest"}
        check_names(fields, cls._names())
        try:
            digest = _digest(fields)
        except (ValueError, TypeError, RecursionError) as error:
            raise CertificateFormatError(f"not JSON: {error}") from None
        if data.get("digest") != digest:
            raise CertificateFormatError("the digest does not match the fields: the record was altered")
        return cls._read(fields)

    def save(self, path: str | Path) -> None:
        """Write the record as indented JSON: complete or not at all, and on disk when this returns."""
        path = Path(path)
        prepared = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with prepared.open("x", encoding="utf-8") as file:
                file.write(self.to_json(indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(prepared, path)
        finally:
            prepared.unlink(missing_ok=True)
        sync_folder(path.parent)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a record from a JSON file; see `from_json`."""
        return cls.from_json(read_text(path))

    @classmethod
    def _names(cls) -> set[str]:
        """The names of all fields in the JSON."""
        return {f.name for f in dataclasses.fields(cls)}

    def _plain(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {f.name: _encode(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def _read(cls, values: dict[str, Any]) -> Self:
        """The record of fields whose names and digest were checked."""
        return cls(**{f.name: decode(f.name, str(f.type), values[f.name]) for f in dataclasses.fields(cls)})


def read_text(path: str | Path) -> str:
    """Return what the file at ``path`` says; raise ``CertificateFormatError`` where it is no text."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CertificateFormatError("not JSON: the file is no UTF-8 text") from None


def read_json(text: str) -> Any:
    """Read JSON values, of which no key may be there twice and no number be infinite or NaN.

    >>> read_json('{"epsilon": 1.0, "epsilon": 0.1}')
    Traceback (most recent call last):
    certified.certificates.record.CertificateFormatError: field 'epsilon' is there twice
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except CertificateFormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise CertificateFormatError(f"not JSON: {error}") from None


def check_names(fields: dict[str, Any], expected: Collection[str]) -> None:
    """Raise ``CertificateFormatError`` unless ``fields`` has exactly the ``expected`` names."""
    if set(fields) != set(expected):
        wrong = ", ".join(sorted(set(fields) ^ set(expected)))
        raise CertificateFormatError(f"missing or unknown fields: {wrong}")


def decode(name: str, kind: str, value: Any) -> Any:
    """Return the value of the field ``name``, annotated ``kind``, from its JSON; nothing is converted silently.

    >>> decode("curvature", "float", "inf"), decode("claims", "tuple[str, ...]", ["T1"])
    (inf, ('T1',))
    """
    if kind == "float" and value in ("inf", "-inf"):
        return float(value)
    if kind.startswith("tuple"):
        allowed = (str,) if kind == "tuple[str, ...]" else (bool, int, float, str)
        if isinstance(value, list) and all(type(entry) in allowed for entry in value):
            return tuple(value)
    elif type(value) is _KINDS.get(kind):
        return value
    raise CertificateFormatError(f"field {name!r} must be of type {kind}")


def _encode(value: Any) -> Any:
    """JSON has no infinity; it is written as a string."""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return list(value) if isinstance(value, tuple) else value


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields).encode()).hexdigest()


def _canonical(values: Any) -> str:
    # Not that of the ledger: the verifier reads certificates by code of its own.
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise CertificateFormatError(f"field {name!r} is there twice")
        fields[name] = value
    return fields


def _no_constant(name: str) -> Any:
    raise CertificateFormatError(f"not JSON: {name} is no number of JSON")


def sync_folder(folder: Path) -> None:
    """Put the name of a file on disk, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
