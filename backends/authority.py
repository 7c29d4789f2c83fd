"""Credentials of one cluster: an authority of its own, one certificate per role, and the token of its head.

The authority signs these leaves and nothing after them: its key is never written anywhere and is gone when `issue`
returns. Whoever holds a leaf of one cluster is a stranger at every other.
"""

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from operations.ports.backend import Credentials, Leaf
from registry.ids import RequestId, Seconds

# Clocks of nodes differ; a cluster is still being ended after its last second.
BEFORE_SECONDS: Final = 3600
AFTER_SECONDS: Final = 86400

# Dask's processes call and are called; the owner and the center only call, so neither can pose as a head.
_CALLS: Final = ExtendedKeyUsageOID.CLIENT_AUTH
_IS_CALLED: Final = ExtendedKeyUsageOID.SERVER_AUTH
ROLES: Final[Mapping[str, tuple[x509.ObjectIdentifier, ...]]] = {
    "head": (_IS_CALLED, _CALLS),
    "worker": (_IS_CALLED, _CALLS),
    "owner": (_CALLS,),
    "center": (_CALLS,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signer:
    """The authority while it exists."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    builder: x509.CertificateBuilder


class ClusterAuthority:
    """Makes the credentials of clusters, each with an authority of its own on the curve P-256."""

    __slots__ = ()

    def issue(self, request: RequestId, *, now: Seconds, until: Seconds) -> Credentials:
        """Return new credentials, valid from shortly before `now` until a day after `until`."""
        signer = _authority(request, now, until)
        return Credentials(
            authority=_pem(signer.certificate),
            leaves={role: _leaf(signer, request, role) for role in ROLES},
            token=secrets.token_urlsafe(32),
        )


def _authority(request: RequestId, now: Seconds, until: Seconds) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(request, "authority")
    builder = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .not_valid_before(datetime.fromtimestamp(now - BEFORE_SECONDS, UTC))
        .not_valid_after(datetime.fromtimestamp(until + AFTER_SECONDS, UTC))
    )
    certificate = (
        builder.subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return _Signer(certificate=certificate, key=key, builder=builder)


def _leaf(signer: _Signer, request: RequestId, role: str) -> Leaf:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        signer.builder.subject_name(_name(request, role))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(ROLES[role]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if _IS_CALLED in ROLES[role]:
        names = [x509.DNSName(f"{role}.h-{request}"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Leaf(
        certificate=_pem(builder.sign(signer.key, SHA256())),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


def _name(request: RequestId, role: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"h-{request} {role}")])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
