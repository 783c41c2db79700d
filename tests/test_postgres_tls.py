"""A server behind TLS: who it is, is looked at before anything is said to it."""

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from certificates import make_certificates, own_address
from galleries import OnServer, on_postgres, server

from doorbell.config import GallerySection, StorageSection
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery

pytestmark = on_postgres

HOST = "database.example"

# By which a client asks for TLS, before anything else: length and code.
SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder, {"server": 2, "expired": -1}, f"DNS:{HOST}")
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of somebody else."""
    folder = tmp_path_factory.mktemp("others")
    make_certificates(folder, {"server": 2}, "DNS:elsewhere.example")
    return folder


@contextmanager
def behind_tls(certificates: Path, name: str = "server") -> Iterator[GallerySection]:
    """The PostgreSQL of all tests, which has no TLS here, behind something that has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    OnServer()  # that there is the database
    inner = server()
    host = own_address()
    with socket.create_server((host, 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=pass_on, args=(client,), daemon=True).start()

        def pass_on(client: socket.socket) -> None:
            with client, socket.socket(socket.AF_UNIX) as database, suppress(OSError):
                assert client.recv(len(SSL_REQUEST), socket.MSG_WAITALL) == SSL_REQUEST
                client.sendall(b"S")
                database.connect(inner.socket_path)
                with context.wrap_socket(client, server_side=True) as outside:
                    ends = {outside: database, database: outside}
                    while True:
                        for end in select.select(list(ends), [], [])[0]:
                            if not (data := end.recv(65536)):
                                return
                            ends[end].sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield GallerySection(
                url=f"postgresql://doorbell@{HOST}:{port}/contract?hostaddr={host}",
                tls_ca_file=certificates / "ca.pem",
            )
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def open_on(section: GallerySection) -> Gallery:
    return Gallery.of(StorageSection(), section)


def test_a_server_of_the_right_authority_and_name_is_spoken_to(certificates: Path) -> None:
    with behind_tls(certificates) as section, open_on(section) as gallery:
        [row] = gallery.file.rows("SELECT current_user AS name")
        assert row["name"] == "doorbell"


def test_one_of_another_authority_is_not(certificates: Path, others: Path) -> None:
    with behind_tls(certificates) as section:
        wrong = section.model_copy(update={"tls_ca_file": others / "ca.pem"})
        with pytest.raises(GalleryError, match=r"verify failed; .*gallery\.tls_ca_file"):
            open_on(wrong)


def test_one_of_another_name_is_not(others: Path) -> None:
    said = r"for \"elsewhere.example\" does not match host name \"database.example\"; .*gallery.url"
    with behind_tls(others) as section, pytest.raises(GalleryError, match=said):
        open_on(section)


def test_one_whose_certificate_has_expired_is_not(certificates: Path) -> None:
    with (
        behind_tls(certificates, "expired") as section,
        pytest.raises(GalleryError, match=r"verify failed; .*until when"),
    ):
        open_on(section)
