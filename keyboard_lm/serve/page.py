"""The files of the web phone, as a browser is given them."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

_HEADERS = {
    # The page loads nothing from elsewhere; WASM is what onnxruntime-web is made of.
    "content-security-policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_A_YEAR = "public, max-age=31536000, immutable"


class PageFiles(StaticFiles):
    """Static files of one folder, with headers that keep the page to itself.

    Where a ``.gz`` lies beside a file (`keyboard-lm export-web` writes them), browsers get that. What is asked for with
    its digest (``?v=``) never changes there, and may be kept for good.

    Args:
        folder: of the page.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await super().__call__(scope, receive, send_with_headers)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if not isinstance(response, FileResponse) or response.status_code != 200:
            return response
        packed = Path(f"{response.path}.gz")
        if "gzip" in Headers(scope=scope).get("accept-encoding", "") and packed.is_file():
            headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
            response = FileResponse(packed, media_type=response.media_type, headers=headers)
        response.headers["cache-control"] = _A_YEAR if scope["query_string"].startswith(b"v=") else "no-cache"
        return response
