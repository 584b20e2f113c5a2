"""The least that the same uvicorn can answer: raw ASGI, one constant for each route, nothing parsed or checked."""

from typing import Any

import orjson

from benchmarks.payloads import ACCEPTED, JOB, SUBMIT_PATH

RESPONSES = {SUBMIT_PATH: (202, orjson.dumps(ACCEPTED)), "": (200, orjson.dumps(JOB))}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer the route's constant; a body is read, as HTTP wants it."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    status, body = RESPONSES.get(scope["path"]) or RESPONSES[""]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
