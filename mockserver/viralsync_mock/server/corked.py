"""A transport that writes less often, and that can end or reset its connection."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from math import inf
from typing import Any

NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""The option of a socket under which closing it sends a TCP reset."""


class WriteCoalescingTransport:
    """A transport from which all that is written in one turn of the loop leaves as one packet: head and body.

    `acted_at` is the loop's time when it last wrote, or began to read again.
    """

    __slots__ = ("_is_ended", "_loop", "_pending", "_transport", "last_activity")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._loop = transport, asyncio.get_running_loop()
        self._pending: list[bytes] = []
        self._is_ended = False
        self.last_activity = -inf

    def write(self, data: bytes) -> None:
        """Write at the end of this turn of the loop."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def resume_reading(self) -> None:
        """Read again."""
        self.last_activity = self._loop.time()
        self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._is_ended or self._transport.is_closing()

    def close(self) -> None:
        """Close once everything is written."""
        self._flush()
        self._transport.close()

    def half_close(self) -> None:
        """Say that nothing more is written, and leave reading open; TLS has no such thing and closes."""
        self._flush()
        self._is_ended = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def reset(self) -> None:
        """Break off with a TCP reset, beneath TLS too; what is not sent yet may be lost."""
        self._flush()
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._transport.abort()

    def _flush(self) -> None:
        if self._pending:
            data, self._pending = b"".join(self._pending), []
            self.last_activity = self._loop.time()
            if not self._is_ended:
                self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
