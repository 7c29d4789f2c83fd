"""The API's description for people and programs, complete without the internet."""

from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response, StreamingResponse

from api.problems import MEDIA_TYPE
from api.schemas.problems import ProblemOut

_ASSETS: Final = files("fastapi_standalone_docs") / "static" / "swagger"
"""Swagger UI as a package of the environment carries it; nothing else of that package is used."""
_MEDIA_TYPES: Final = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_PIECE_BYTES: Final = 64 * 1024

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Haidang API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

_START: Final = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""

_SAFE: Final = {
    # Swagger UI sets attributes of style; all else comes from here, and nobody puts this page into theirs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def publish_reference(app: FastAPI) -> None:
    """Serve `/docs`, with everything it needs, and `/openapi.json`."""
    app.add_route("/docs", _page, include_in_schema=False)
    app.add_route("/docs/start.js", _start, include_in_schema=False)
    for name in _MEDIA_TYPES:
        app.add_route(f"/docs/assets/{name}", _Asset(name).answer, include_in_schema=False)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _page(_http: HttpRequest) -> Response:
    return HTMLResponse(_PAGE, headers=_SAFE)


def _start(_http: HttpRequest) -> Response:
    return Response(_START, media_type="text/javascript", headers=_SAFE)


class _Asset:
    """A file that is read once, before anybody asks: who asks and never takes it must not hold a file open, too."""

    def __init__(self, name: str) -> None:
        self._content: Final = (_ASSETS / name).read_bytes()
        self._media_type: Final = _MEDIA_TYPES[name]

    async def answer(self, _http: HttpRequest) -> Response:
        headers = {**_SAFE, "Content-Length": str(len(self._content)), "Cache-Control": "max-age=3600"}
        return StreamingResponse(self._pieces(), media_type=self._media_type, headers=headers)

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yield it piece by piece, so that of what is not taken no more than one waits in memory for each caller."""
        for first in range(0, len(self._content), _PIECE_BYTES):
            yield self._content[first : first + _PIECE_BYTES]


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the description, with the shape of problems, which routes name and none returns."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title, version=app.version, summary=app.summary, openapi_version="3.1.0", routes=app.routes
        )
        _, shapes = models_json_schema([(ProblemOut, "serialization")], ref_template="#/components/schemas/{model}")
        described["components"]["schemas"] |= shapes["$defs"]
        described["components"]["responses"] = dict(_shared(described["paths"]))
        app.openapi_schema = described
    return app.openapi_schema


def _shared(paths: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield every problem by its name, leaving that name in its place: each is described once for all operations."""
    for operation in (operation for path in paths.values() for operation in path.values()):
        for status, response in operation["responses"].items():
            if MEDIA_TYPE in response.get("content", {}):
                name = response["description"].replace(" ", "")
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
                yield name, response
