"""Ed25519 signatures of heads, so that a kept head can be shown to come from the operator (RFC 8032)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from certified.ledger.chain import Head


class SigningUnavailableError(ModuleNotFoundError):
    """The package for signatures is not installed."""


def sign(head: Head, private_key: bytes) -> str:
    """Return the signature of a head, hexadecimal.

    Args:
        head: what to sign.
        private_key: Ed25519 key in unencrypted PEM, as written by ``openssl genpkey -algorithm ed25519``.

    Raises:
        SigningUnavailableError: the ``signing`` extra is needed.
        ValueError: not such a key.
    """
    with _extra():
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    try:
        key = load_pem_private_key(private_key, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("private_key must be an unencrypted Ed25519 private key in PEM") from None
    return key.sign(head.message()).hex()


def is_signed(head: Head, signature: str, public_key: bytes) -> bool:
    """Return whether ``signature`` is one of ``head`` by the owner of ``public_key``.

    Args:
        head: what was signed.
        signature: as returned by `sign`.
        public_key: Ed25519 public key in PEM.

    Raises:
        SigningUnavailableError: the ``signing`` extra is needed.
        ValueError: not such a key.
    """
    with _extra():
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    try:
        key = load_pem_public_key(public_key)
        if not isinstance(key, Ed25519PublicKey):
            raise TypeError
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("public_key must be an Ed25519 public key in PEM") from None
    try:
        key.verify(bytes.fromhex(signature), head.message())
    except (InvalidSignature, ValueError):
        return False
    return True


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise SigningUnavailableError("signatures need a package: pip install 'certified-removal[signing]'") from None
