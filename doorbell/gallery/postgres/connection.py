"""A connection that gives a server up which does not answer."""

from __future__ import annotations

from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

_Result = TypeVar("_Result")


class NoAnswerError(OperationalError):
    """The server has not answered in time."""


class PatientConnection(Connection[dict[str, Any]]):
    """A connection to PostgreSQL that is closed where an answer takes too long.

    Attributes:
        longest_seconds: how long one may take; None for as long as it takes.
    """

    longest_seconds: float | None = None

    def wait(
        self, gen: PQGen[_Result], interval: float = 0.1, timeout: float | None = None
    ) -> _Result:
        """Wait for an answer, as psycopg does.

        Raises:
            NoAnswerError: there is none in time; the connection is closed.
        """
        limit = self.longest_seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except OperationalError as exc:
            if limit is None or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise  # the answer, or the connection's end
            self.close()
            raise NoAnswerError(f"no answer in {limit:g} seconds") from exc
