"""nginx before a console: it ends TLS, and shows the console under ``/door/``."""

import subprocess
from pathlib import Path

from typing_extensions import Self

from doorbell.testbed.broker import free_port
from doorbell.testbed.waiting import eventually

PREFIX = "/door"
CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 16m;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/proxy.pem;
        ssl_certificate_key {folder}/proxy.key;
        location /door/ {{
            proxy_pass http://127.0.0.1:{behind}/;
            proxy_http_version 1.1;
            proxy_buffering off;  # nginx's workers may not write here where root starts it
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Forwarded-Prefix /door;
        }}
    }}
}}
"""


class Nginx:
    """A proxy on a free port of the loopback device, before a console.

    Args:
        folder: for its files.
        behind: the console's port.
    """

    def __init__(self, folder: Path, behind: int) -> None:
        self._port = free_port()
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        out = ["-keyout", f"{folder}/proxy.key", "-out", f"{folder}/proxy.pem"]
        subprocess.run(
            ["openssl", "req", "-x509", *key, *name, *out], check=True, capture_output=True
        )
        file = folder / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, port=self._port, behind=behind))
        self._log = folder / "nginx.log"
        self._process = subprocess.Popen(["nginx", "-c", file, "-p", folder, "-e", self._log])
        pid = folder / "nginx.pid"
        assert eventually(pid.exists), self._log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def address(self) -> str:
        """Where the console is reached."""
        return f"https://localhost:{self._port}{PREFIX}"
