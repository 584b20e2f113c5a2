"""The least that uvicorn and Starlette can serve: the measure of start-up time."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def get_me(_: Request) -> JSONResponse:
    """A constant account."""
    return JSONResponse({"userId": "user_bench", "plan": "enterprise"})


app = Starlette(routes=[Route("/v1/me", get_me)])
