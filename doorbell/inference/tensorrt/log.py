"""TensorRT's log, written to ours."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

logger = logging.getLogger(__name__)


@cache
def open_log(trt: Any) -> Any:
    """Return the logger of a TensorRT module, with ``take_errors``.

    There is one for the process: TensorRT goes on with the first that it was given.
    """
    severities = trt.ILogger.Severity

    class Log(trt.ILogger):  # type: ignore[misc] # the module is known only now
        def __init__(self) -> None:
            super().__init__()
            self._errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (severities.INTERNAL_ERROR, severities.ERROR):
                self._errors.append(message)
                logger.error("TensorRT: %s", message)
            elif severity == severities.WARNING:
                logger.warning("TensorRT: %s", message)
            else:
                logger.debug("TensorRT: %s", message)

        def take_errors(self) -> list[str]:
            """Return the errors since the last call."""
            errors, self._errors = self._errors, []
            return errors

    return Log()
