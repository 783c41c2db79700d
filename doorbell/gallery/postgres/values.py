"""How values go to PostgreSQL and come back: embeddings as pgvector's vectors, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from psycopg import Connection
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo

from doorbell.errors import GalleryError
from doorbell.gallery.codec import STORED_FLOAT, StoredEmbedding

# As vectors are sent: the number of dimensions, two bytes for later, big-endian float32.
_HEAD_BYTES = 4
_SENT_FLOAT = np.dtype(">f4")

_INT4_OID = 23


class _Vector(Dumper):
    format = Format.BINARY

    def dump(self, obj: StoredEmbedding) -> bytes:
        floats = np.frombuffer(obj, STORED_FLOAT)
        return len(floats).to_bytes(2, "big") + b"\0\0" + floats.astype(_SENT_FLOAT).tobytes()


class _Embedding(Loader):
    format = Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> StoredEmbedding:
        floats = np.frombuffer(data, _SENT_FLOAT, offset=_HEAD_BYTES)
        return StoredEmbedding(floats.astype(STORED_FLOAT).tobytes())


class _Flag(Dumper):
    """Whether something is so, as 0 and 1, which SQLite has."""

    oid = _INT4_OID

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


def adapt(connection: Connection[Any]) -> None:
    """Let a connection know of embeddings.

    Raises:
        GalleryError: pgvector is not in the database.
    """
    vector = TypeInfo.fetch(connection, "vector")
    if vector is None:
        raise GalleryError(
            "the database has no type for vectors; install pgvector on the server, and have its "
            "superuser say in the database: CREATE EXTENSION vector"
        )
    dumper = type("_VectorOfThisDatabase", (_Vector,), {"oid": vector.oid})
    connection.adapters.register_dumper(StoredEmbedding, dumper)
    connection.adapters.register_loader(vector.oid, _Embedding)
    connection.adapters.register_dumper(bool, _Flag)
