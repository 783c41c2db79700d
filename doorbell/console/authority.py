"""An authority of our own for HTTPS in a house, and a certificate that renews itself.

No authority of the web gives certificates for names that only a house knows. So the console makes
one, whose certificate a device is told to trust once (``/ca.crt``). Whoever steals its key gains
little: it can vouch for nothing but the names of this machine, and addresses inside a house.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from doorbell.errors import ConfigError
from doorbell.storage.files import READABLE, make_private_directory, write_whole

AUTHORITY_DAYS = 3650
# Browsers refuse certificates that are valid for longer than 398 days.
CERTIFICATE_DAYS = 397
RENEW_DAYS = 30
# A clock may be a little behind when a device first looks.
_EARLIER = timedelta(days=1)
# Networks that no router of the internet carries (RFC 1918, 4193, 3927, 4291), and this machine.
_INSIDE = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
    "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Files:
    """Where an authority and its certificate are kept, in one directory."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate, for everybody."""
        return self.directory / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """The authority's key."""
        return self.directory / "ca.key"

    @property
    def certificate(self) -> Path:
        """The console's certificate."""
        return self.directory / "console.crt"

    @property
    def key(self) -> Path:
        """The key of the console's certificate."""
        return self.directory / "console.key"


class OwnCertificate:
    """The certificate of an authority of our own, made and renewed as it is needed.

    Args:
        directory: where both are kept.
        names: host names and addresses that it is for, the first its main one.
        now: the time.
    """

    def __init__(
        self,
        directory: Path,
        names: Sequence[str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self.files = Files(directory)
        self._names = list(dict.fromkeys(names))
        self._now = now

    @property
    def authority_pem(self) -> bytes:
        """The authority's certificate."""
        return self.files.authority.read_bytes()

    def renew(self) -> bool:
        """See that there is a certificate for these names that is valid for a while.

        Returns:
            Whether there is a new one.

        Raises:
            ConfigError: the directory is out of reach, or what lies there is no certificate.
        """
        files = self.files
        try:
            make_private_directory(files.directory)
            if not (files.authority.exists() and files.authority_key.exists()):
                self._make_authority()
            authority, key = self._authority()
            if not self._covers(authority):
                log.warning(
                    "the console has names that its authority may not vouch for: it makes a new "
                    "one, which devices have to trust anew"
                )
                self._make_authority()
                authority, key = self._authority()
            if files.certificate.exists() and files.key.exists() and self._is_good(authority):
                return False
            self._make_certificate(authority, key)
        except OSError as exc:
            raise ConfigError(
                f"the certificate of the console cannot be kept in {files.directory}: "
                f"{exc.strerror}; set console.directory to a directory of the console's own user"
            ) from exc
        except ValueError as exc:
            raise ConfigError(
                f"a certificate in {files.directory} cannot be read: {exc}; delete ca.crt, ca.key, "
                "console.crt and console.key there, and let devices trust the new authority"
            ) from exc
        return True

    def _make_authority(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"Doorbell of {self._names[0]}"[:64])]
        )
        usage = _usage(sign_certificates=True)
        certificate = (
            self._begun(name, name, key.public_key(), AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.NameConstraints(self._permitted(), None), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_whole(self.files.authority_key, _key_pem(key))
        write_whole(self.files.authority, _pem(certificate), mode=READABLE)
        log.info("made an authority for certificates in %s", self.files.directory)

    def _authority(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        certificate = x509.load_pem_x509_certificate(self.files.authority.read_bytes())
        key = serialization.load_pem_private_key(self.files.authority_key.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            msg = "the authority's key is of another kind"
            raise ValueError(msg)  # noqa: TRY004 - what is wrong is the file's content
        if key.public_key() != certificate.public_key():
            msg = "the authority's key belongs to another certificate"
            raise ValueError(msg)
        return certificate, key

    def _permitted(self) -> list[x509.GeneralName]:
        """What the authority may vouch for; addresses change, so all those inside a house."""
        names = [_general_name(each) for each in self._names]
        outside = [
            x509.IPAddress(ipaddress.ip_network(name.value))
            for name in names
            if isinstance(name, x509.IPAddress) and not _is_inside(name)
        ]
        inside = [x509.IPAddress(ipaddress.ip_network(each)) for each in _INSIDE]
        return [*(each for each in names if isinstance(each, x509.DNSName)), *outside, *inside]

    def _covers(self, authority: x509.Certificate) -> bool:
        """Whether an authority may vouch for these names, and for a while."""
        try:
            constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return False
        left = authority.not_valid_after_utc - self._now()
        permitted = set(constraints.permitted_subtrees or ())
        return left > timedelta(days=CERTIFICATE_DAYS) and set(self._permitted()) <= permitted

    def _is_good(self, authority: x509.Certificate) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(self.files.certificate.read_bytes())
            certificate.verify_directly_issued_by(authority)
            key = serialization.load_pem_private_key(self.files.key.read_bytes(), None)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        if key.public_key() != certificate.public_key():
            return False  # the power went between the two
        left = certificate.not_valid_after_utc - self._now()
        wanted = {_general_name(each) for each in self._names}
        is_valid = certificate.not_valid_before_utc <= self._now()
        return is_valid and left > timedelta(days=RENEW_DAYS) and wanted <= set(names.value)

    def _make_certificate(
        self, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._names[0][:64])])
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        certificate = (
            self._begun(name, authority.subject, key.public_key(), CERTIFICATE_DAYS)
            .add_extension(
                x509.SubjectAlternativeName([_general_name(each) for each in self._names]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(purpose, critical=False)
            .add_extension(identifier, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        write_whole(self.files.key, _key_pem(key))
        write_whole(self.files.certificate, _pem(certificate) + _pem(authority))
        log.info(
            "made a certificate for %s, valid until %s",
            ", ".join(self._names),
            certificate.not_valid_after_utc.date(),
        )

    def _begun(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePublicKey,
        days: int,
    ) -> x509.CertificateBuilder:
        begin = self._now() - _EARLIER
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _is_inside(name: x509.IPAddress) -> bool:
    return any(name.value in ipaddress.ip_network(each) for each in _INSIDE)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
