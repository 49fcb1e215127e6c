"""A small certificate authority for one broker: a lab has none, and TLS without one proves nothing."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from slimcast.errors import FleetError

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 825
"""What browsers and phones still accept; also often enough that renewing is not forgotten."""
_BACKDATED = timedelta(hours=1)
"""A camera's clock may be a little behind."""


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate and its private key, both as PEM."""

    certificate: bytes
    key: bytes


def make_authority(name: str, *, now: datetime | None = None) -> Issued:
    """Return a new authority that can sign nothing but end certificates."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = _builder(subject, subject, key, now or datetime.now(UTC), timedelta(days=AUTHORITY_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return _issued(builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256()), key)


def issue_server(authority: Issued, hosts: Sequence[str], *, now: datetime | None = None) -> Issued:
    """Return a certificate for a broker that is reached under these names and addresses.

    Raises:
        FleetError: there is no host, or one is no name.
    """
    if not hosts:
        raise FleetError("A broker's certificate needs at least one name under which it is reached.")
    return _issue(authority, hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, hosts, now)


def issue_client(authority: Issued, name: str, *, now: datetime | None = None) -> Issued:
    """Return a certificate with which a device (or the studio) proves its name to the broker."""
    return _issue(authority, name, ExtendedKeyUsageOID.CLIENT_AUTH, (), now)


def days_left(certificate: bytes) -> float:
    """Return how long a certificate (PEM) is still valid, days; negative when it has expired.

    Raises:
        FleetError: it is no certificate.
    """
    try:
        end = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError as error:
        raise FleetError("This file is no certificate in PEM.") from error
    return (end - datetime.now(UTC)) / timedelta(days=1)


def _issue(
    authority: Issued,
    name: str,
    purpose: x509.ObjectIdentifier,
    hosts: Sequence[str],
    now: datetime | None,
) -> Issued:
    try:
        issuer = x509.load_pem_x509_certificate(authority.certificate)
        issuer_key = load_pem_private_key(authority.key, password=None)
    except (ValueError, TypeError) as error:
        raise FleetError("The broker's authority (ca.pem, ca-key.pem) is damaged.") from error
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise FleetError("The broker's authority is none that Slimcast has made.")
    key = ec.generate_private_key(ec.SECP256R1())
    valid = timedelta(days=CERTIFICATE_DAYS)
    builder = _builder(_subject(name), issuer.subject, key, now or datetime.now(UTC), valid)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    vouched = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(vouched, critical=False)
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return _issued(builder.sign(issuer_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    valid: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + valid)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise FleetError(f"{host[:80]!r} is no name of a host: {error}.") from error


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate=certificate.public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
