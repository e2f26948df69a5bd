from __future__ import annotations

import sys

import pytest

from certified.ledger.chain import Head
from certified.ledger.signing import SigningUnavailableError, is_signed, sign

HEAD = Head("store", 3, "ab" * 32)


def keys() -> tuple[bytes, bytes]:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    key = ed25519.Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return private, key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_signature_is_of_one_head_by_one_key() -> None:
    (private, public), (_, stranger) = keys(), keys()
    signature = sign(HEAD, private)
    assert is_signed(HEAD, signature, public)
    assert not is_signed(HEAD, signature, stranger)
    for other in (Head("other", 3, HEAD.digest), Head("store", 4, HEAD.digest), Head("store", 3, "cd" * 32)):
        assert not is_signed(other, signature, public)
    for wrong in ("", "zz", signature[:-2], signature[:-2] + "00" if signature[-2:] != "00" else signature[:-2] + "01"):
        assert not is_signed(HEAD, wrong, public)


def test_other_keys_are_refused() -> None:
    private, public = keys()
    for wrong in (b"", b"-----BEGIN PRIVATE KEY-----", public):
        with pytest.raises(ValueError, match="private_key must be an unencrypted Ed25519"):
            sign(HEAD, wrong)
    for wrong in (b"", private):
        with pytest.raises(ValueError, match="public_key must be an Ed25519"):
            is_signed(HEAD, "00", wrong)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(SigningUnavailableError, match=r"certified-removal\[signing\]"):
        sign(HEAD, b"")
    with pytest.raises(SigningUnavailableError, match=r"certified-removal\[signing\]"):
        is_signed(HEAD, "", b"")
