"""News of real scans, sent to a server on this machine; the file of what waits; metrics."""

from __future__ import annotations

from tests.notify.test_send import Server, server  # noqa: F401
