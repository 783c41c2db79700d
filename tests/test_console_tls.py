"""The console over HTTPS: an authority of its own, and certificates that renew themselves."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from doorbell.config.console import ConsoleSection
from doorbell.console.authority import OwnCertificate
from doorbell.console.server import Encryption
from doorbell.console.tls import names_of, server_context
from doorbell.errors import ConfigError

NAMES = ["door.example.org", "house.local", "127.0.0.1", "192.168.1.5"]


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(timezone.utc)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def own(directory: Path, clock: Clock, names: list[str] | None = None) -> OwnCertificate:
    return OwnCertificate(directory, names or NAMES, now=clock)


def certificate_of(certificate: OwnCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.files.certificate.read_bytes())


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[int]:
    """A port at which connections are encrypted and ended."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                with peer:
                    try:
                        context.wrap_socket(peer, server_side=True).close()
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def handshake(port: int, authority: Path, name: str) -> str:
    """Which TLS is spoken with a client that trusts an authority and asks for a name."""
    context = ssl.create_default_context(cafile=str(authority))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=name) as encrypted,
    ):
        return encrypted.version() or ""


def test_a_device_that_trusts_the_authority_is_served(tmp_path: Path, clock: Clock) -> None:
    certificate = own(tmp_path, clock)
    assert certificate.renew()
    context = server_context(certificate.files.certificate, certificate.files.key)

    with serving(context) as port:
        for name in NAMES:
            assert handshake(port, certificate.files.authority, name) in ("TLSv1.2", "TLSv1.3")
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(port, certificate.files.authority, "other.example.org")
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_keys_are_for_their_owner_alone(tmp_path: Path, clock: Clock) -> None:
    directory = tmp_path / "console"
    own(directory, clock).renew()

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "console.crt": 0o600, "console.key": 0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_certificate_lasts_as_long_as_browsers_take(tmp_path: Path, clock: Clock) -> None:
    certificate = own(tmp_path, clock)
    certificate.renew()
    found = certificate_of(certificate)

    assert found.not_valid_after_utc - found.not_valid_before_utc == timedelta(days=397)
    assert found.not_valid_before_utc < clock.now


def test_it_is_renewed_before_its_end_by_the_same_authority(tmp_path: Path, clock: Clock) -> None:
    certificate = own(tmp_path, clock)
    certificate.renew()
    first, authority = certificate_of(certificate), certificate.authority_pem
    clock.now += timedelta(days=365)
    assert not certificate.renew()
    clock.now += timedelta(days=3)

    assert certificate.renew()
    assert certificate.authority_pem == authority
    renewed = certificate_of(certificate)
    assert renewed.serial_number != first.serial_number
    assert renewed.not_valid_after_utc > first.not_valid_after_utc
    assert not certificate.renew()


def test_a_clock_that_was_wrong_is_no_end(tmp_path: Path, clock: Clock) -> None:
    clock.now += timedelta(days=1000)
    own(tmp_path, clock).renew()
    clock.now -= timedelta(days=1000)

    assert own(tmp_path, clock).renew()
    assert certificate_of(own(tmp_path, clock)).not_valid_before_utc < clock.now


def test_another_address_inside_takes_a_new_certificate_of_the_same_authority(
    tmp_path: Path, clock: Clock
) -> None:
    own(tmp_path, clock).renew()
    before = own(tmp_path, clock).authority_pem
    moved = own(tmp_path, clock, [*NAMES[:3], "192.168.1.77"])

    assert moved.renew()
    assert moved.authority_pem == before
    names = certificate_of(moved).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert x509.IPAddress(ipaddress.ip_address("192.168.1.77")) in names.value


def test_another_name_takes_another_authority_and_that_is_said(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    own(tmp_path, clock).renew()
    before = own(tmp_path, clock).authority_pem

    named = own(tmp_path, clock, ["bell.example.org", *NAMES])

    assert named.renew()
    assert named.authority_pem != before
    assert "trust anew" in caplog.text


def test_the_authority_vouches_for_nothing_but_the_house(tmp_path: Path, clock: Clock) -> None:
    certificate = own(tmp_path, clock)
    certificate.renew()
    files = certificate.files
    key = serialization.load_pem_private_key(files.authority_key.read_bytes(), None)
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    stolen = ec.generate_private_key(ec.SECP256R1())
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bank.example.com")]))
        .issuer_name(authority.subject)
        .public_key(stolen.public_key())
        .serial_number(1)
        .not_valid_before(clock.now - timedelta(days=1))
        .not_valid_after(clock.now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("bank.example.com")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    forged_file, key_file = tmp_path / "forged.crt", tmp_path / "forged.key"
    forged_file.write_bytes(forged.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        stolen.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )

    with (
        serving(server_context(forged_file, key_file)) as port,
        pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"),
    ):
        handshake(port, files.authority, "bank.example.com")


@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
def test_a_damaged_authority_is_said_and_not_replaced(
    tmp_path: Path, clock: Clock, name: str
) -> None:
    certificate = own(tmp_path, clock)
    certificate.renew()
    (tmp_path / name).write_text("no certificate", "utf-8")

    with pytest.raises(ConfigError, match="trust the new authority"):
        certificate.renew()
    assert (tmp_path / name).read_text("utf-8") == "no certificate"


@pytest.mark.parametrize("name", ["console.crt", "console.key"])
@pytest.mark.parametrize("damage", ["text", "another"])
def test_a_damaged_certificate_is_made_anew(
    tmp_path: Path, clock: Clock, name: str, damage: str
) -> None:
    certificate = own(tmp_path, clock)
    certificate.renew()
    own(tmp_path / "another", clock).renew()
    other = (tmp_path / "another" / name).read_bytes()
    (tmp_path / name).write_bytes(b"no certificate" if damage == "text" else other)

    assert certificate.renew()
    server_context(certificate.files.certificate, certificate.files.key)


def test_own_files_are_used_and_taken_up_when_they_are_replaced(
    tmp_path: Path, clock: Clock
) -> None:
    files = own(tmp_path / "files", clock).files
    own(tmp_path / "files", clock).renew()
    section = ConsoleSection(
        listen="127.0.0.1:0", certificate_file=files.certificate, key_file=files.key
    )
    encryption = Encryption(section)
    assert encryption.authority_pem is None

    with serving(encryption.context) as port:
        handshake(port, files.authority, NAMES[0])
        for path in (files.authority, files.authority_key, files.certificate, files.key):
            path.unlink()
        own(tmp_path / "files", clock).renew()
        encryption.renew()
        handshake(port, files.authority, NAMES[0])


def test_files_may_be_credentials_of_systemd(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path, clock).renew()
    section = ConsoleSection(
        certificate_file=Path("$CREDENTIALS_DIRECTORY/console.crt"),
        key_file=Path("$CREDENTIALS_DIRECTORY/console.key"),
    )
    with pytest.raises(ConfigError, match=r"console\.certificate_file"):
        Encryption(section)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert Encryption(section).authority_pem is None


def test_a_key_that_everybody_can_read_is_said(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    files = own(tmp_path, clock).files
    own(tmp_path, clock).renew()
    files.key.chmod(0o644)

    Encryption(ConsoleSection(certificate_file=files.certificate, key_file=files.key))

    assert f"can read {files.key}" in caplog.text


def test_files_that_do_not_belong_together_are_named(tmp_path: Path, clock: Clock) -> None:
    one, other = own(tmp_path / "one", clock), own(tmp_path / "other", clock)
    one.renew()
    other.renew()

    for certificate, key in (
        (one.files.certificate, other.files.key),
        (tmp_path / "missing", one.files.key),
    ):
        with pytest.raises(ConfigError, match=str(certificate)):
            server_context(certificate, key)


def test_the_certificate_is_for_what_a_browser_in_the_house_types() -> None:
    machine = socket.gethostname().partition(".")[0].lower()

    names = names_of(ConsoleSection(listen="0.0.0.0:8480", names=("door.example.org",)))

    assert names[:4] == ["door.example.org", f"{machine}.local", machine, "localhost"]
    assert {"127.0.0.1", "::1"} <= set(names)
    assert names_of(ConsoleSection(listen="192.168.1.5:8480"))[-1] == "192.168.1.5"
