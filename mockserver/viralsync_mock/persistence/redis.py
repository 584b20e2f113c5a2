"""The parts of sandboxes in Redis or Valkey, for any number of replicas.

A replica has a lease, a key that expires unless it is renewed; a sandbox names its owner. A claim takes a sandbox
whose owner has no lease any more. The name of the owner is the fence: every write checks it in the same atomic step,
so a replica that lost a sandbox writes nothing more. Nor does it answer: it stops by its own clock, before its lease
ends in Redis. A replica that lost its lease begins again under a new name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import msgspec

from viralsync_mock.errors import SettingsError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from urllib.parse import SplitResult

    from viralsync_mock.persistence.backend import Change

VERSION = 1
PREFIX = "viralsync:"
ABOUT, WITH_WEBHOOKS = f"{PREFIX}about", f"{PREFIX}with-webhooks"
SANDBOX, REPLICA = f"{PREFIX}sandbox:", f"{PREFIX}replica:"
OWNER = "#owner"
TIMEOUT = 5
"""Seconds that Redis may take."""

MAX_WRITE = 2**20
"""Bytes beyond which the sandboxes that are left are written in another step: Redis does nothing else meanwhile."""

CLAIM = f"""
if redis.call('EXISTS', '{REPLICA}' .. ARGV[1]) == 0 then return {{'lapsed'}} end
local owner = redis.call('HGET', KEYS[1], '{OWNER}')
if owner and owner ~= ARGV[1] then
  local address = redis.call('GET', '{REPLICA}' .. owner)
  if address then return {{'owned', address, redis.call('PTTL', '{REPLICA}' .. owner)}} end
end
redis.call('HSET', KEYS[1], '{OWNER}', ARGV[1])
return {{'mine', redis.call('HGETALL', KEYS[1])}}
"""

WRITE = f"""
local lost = {{}}
for _, change in ipairs(cmsgpack.unpack(ARGV[2])) do
  local id, replaces, has_webhooks, written, gone = unpack(change)
  local sandbox = '{SANDBOX}' .. id
  if redis.call('HGET', sandbox, '{OWNER}') ~= ARGV[1] then
    lost[#lost + 1] = id
  else
    if replaces then
      redis.call('DEL', sandbox)
      redis.call('HSET', sandbox, '{OWNER}', ARGV[1])
    end
    redis.call(has_webhooks and 'SADD' or 'SREM', '{WITH_WEBHOOKS}', id)
    for i = 1, #written, 1000 do
      redis.call('HSET', sandbox, unpack(written, i, math.min(i + 999, #written)))
    end
    for _, name in ipairs(gone) do redis.call('HDEL', sandbox, name) end
  end
end
return lost
"""

UNOWNED = f"""
local found = {{}}
for _, id in ipairs(redis.call('SMEMBERS', '{WITH_WEBHOOKS}')) do
  local owner = redis.call('HGET', '{SANDBOX}' .. id, '{OWNER}')
  if not owner or redis.call('EXISTS', '{REPLICA}' .. owner) == 0 then found[#found + 1] = id end
  if #found == 100 then break end
end
return found
"""


class RedisBackend:
    """Raises SettingsError where Redis cannot be used, and later StateError.

    `lease` is in real seconds, `address` where a proxy reaches this replica.
    """

    def __init__(
        self, url: SplitResult, spec: str, lease: float, address: Callable[[], str], monotonic: Callable[[], float]
    ) -> None:
        try:
            import redis
        except ImportError:
            raise SettingsError("--state: Redis needs `pip install viralsync-mock[redis]`") from None
        self.heartbeat: float | None = lease / 3
        self._lease, self._address, self._monotonic = lease, address, monotonic
        host, port = url.hostname or "localhost", url.port or 6379
        self._place = f"{url.scheme}://{host}:{port}{url.path}"  # no password
        self._errors: type[Exception] = redis.RedisError
        self._me, self._held_until = "", 0.0
        self._outboxes: dict[str, set[str]] = {}
        try:
            self._redis = redis.Redis.from_url(url.geturl(), socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
            about = f"{VERSION} {spec}"
            self._redis.set(ABOUT, about, nx=True)
            written = cast("bytes", self._redis.get(ABOUT)).decode()
        except (redis.RedisError, ValueError) as error:
            raise SettingsError(f"--state {self._place}: {error}. Start Redis, or name another one.") from None
        if written != about:
            raise SettingsError(
                f"--state {self._place}: it was written by version and spec {written}, this mock has {about}. Start "
                "the mock that wrote it, or name another database."
            )
        self._claim, self._write, self._unowned = map(self._redis.register_script, (CLAIM, WRITE, UNOWNED))

    def _do(self, what: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return what(*arguments, **named)
        except self._errors as error:
            problem = str(error).rstrip(".")
            raise StateError(f"{self._place}: {problem}. What is in memory is written once it answers.") from None

    def claim(self, sandbox_id: str) -> dict[str, bytes]:
        """Return the parts, and own the sandbox; raises StateError with the address of its owner."""
        how, *more = self._do(self._claim, keys=[SANDBOX + sandbox_id], args=[self._me])
        if how == b"lapsed":
            raise StateError("This replica has no lease at this moment: call again.")
        if how == b"owned":
            left = more[1] / 1000
            wait = left if left < self._lease / 2 else 0.0  # a live owner would have renewed
            raise StateError("Another replica has the sandbox of this key.", more[0].decode(), wait)
        [flat] = more
        parts = {name.decode(): content for name, content in zip(flat[::2], flat[1::2], strict=True)}
        del parts[OWNER]
        self._outboxes[sandbox_id] = {name for name in parts if name.startswith("outbox:")}
        return parts

    def write(self, changes: Sequence[Change]) -> set[str]:
        """Write what still belongs to this replica; return the ids of the rest."""
        lost, rows, size = set[str](), list[tuple[Any, ...]](), 0
        for change in changes:
            written = {name: part.decode() for name, part in change.fields.items() if part is not None}  # all is JSON
            gone = [name for name, content in change.fields.items() if content is None]
            outboxes = set() if change.replaces else self._outboxes.get(change.id, set())
            outboxes |= {name for name in written if name.startswith("outbox:")}
            outboxes.difference_update(gone)
            self._outboxes[change.id] = outboxes
            if not outboxes:
                del self._outboxes[change.id]
            flat = [each for pair in written.items() for each in pair]
            rows.append((change.id, change.replaces, bool(outboxes), flat, gone))
            size += sum(map(len, written.values()))
            if size > MAX_WRITE:
                lost |= self._write_rows(rows)
                rows, size = [], 0
        return lost | self._write_rows(rows)

    def _write_rows(self, rows: list[tuple[Any, ...]]) -> set[str]:
        """Write sandboxes in one atomic step."""
        lost = self._do(self._write, args=[self._me, msgspec.msgpack.encode(rows)]) if rows else []
        return {each.decode() for each in lost}

    def renew(self) -> bool:
        """Renew the lease; False if it had ended: then this replica owns nothing, and has a new name and lease.

        It holds nothing until the next renewal either: what is still in memory must not be answered.
        """
        began = self._monotonic()
        key, milliseconds = REPLICA + self._me, round(self._lease * 1000)
        is_renewed = bool(self._me) and bool(self._do(self._redis.pexpire, key, milliseconds))
        if not is_renewed:
            self._me, is_first = uuid4().hex, not self._me
            self._do(self._redis.set, REPLICA + self._me, self._address(), px=milliseconds)
            self._outboxes.clear()
            is_renewed = is_first
        if is_renewed:
            self._held_until = began + self._lease
        return is_renewed

    def holds(self) -> bool:
        """Say whether the lease lasts, by the clock of this replica, which started to count first."""
        return self._monotonic() < self._held_until

    def with_webhooks(self) -> list[str]:
        """Return the ids of at most 100 sandboxes that have webhooks to send and no live owner."""
        return [each.decode() for each in self._do(self._unowned)]

    def erase_all(self) -> None:
        """Leave those of the other replicas alone."""

    def close(self) -> None:
        """Give up the lease: others take over at once."""
        self._held_until = 0.0
        self._do(self._redis.delete, REPLICA + self._me)
        self._redis.close()
