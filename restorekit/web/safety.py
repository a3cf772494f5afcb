"""Who is let in: whoever has the token, from this page alone, under this machine's own name."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SAFE = ("GET", "HEAD")  # which change nothing
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Gate:
    """Middleware that lets nothing through but what the page itself asks for.

    The token comes once in the URL, and from then on as a cookie, which neither scripts nor other
    sites can read or send. A name that somebody else has made lead to this machine (DNS
    rebinding) is told by the Host header, and a stranger's page by its Origin.

    Args:
        token: the secret.
        host: that the server listens on, by which it may be called as well.
        port: part of the cookie's name, as the ports of a machine share their cookies.
    """

    def __init__(self, app: ASGIApp, token: str, host: str, port: int) -> None:
        self.app, self.token = app, token
        self.cookie = f"restorekit-{port}"
        self.names = {*LOOPBACK, host.lower()}
        self.everywhere = host in ("0.0.0.0", "::")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web socket is served
            return
        request = Request(scope)
        refused = self.refusal(request)
        by_url = self.matches(request.query_params.get("token"))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if by_url and not refused:
                    headers.append(
                        "set-cookie",
                        f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict",
                    )
            await send(message)

        answer: ASGIApp = PlainTextResponse(refused, 403) if refused else self.app
        await answer(scope, receive, guarded)

    def refusal(self, request: Request) -> str:
        """Why a request is refused; empty where it is not."""
        headers = request.headers
        if not self.knows(headers.get("host", "")):
            return "This name is not the server's own; open the address that it printed."
        if not same_origin(headers, request.method):
            return "This request comes from another page."
        given = request.query_params.get("token"), request.cookies.get(self.cookie)
        if not any(map(self.matches, given)):
            return "The token is missing or wrong; open the whole address that the server printed."
        return ""

    def matches(self, given: str | None) -> bool:
        """Whether it is the token, in a time that does not tell how much of it is right."""
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def knows(self, host: str) -> bool:
        """Whether a Host header names this machine."""
        name = host.lower().rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.strip("[]").lower()
        if name in self.names:
            return True
        return self.everywhere and (is_address(name) or name == socket.gethostname().lower())


def is_address(name: str) -> bool:
    """Whether it is an IP address, which cannot be made to lead elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same_origin(headers: Headers, method: str, safe: Iterable[str] = SAFE) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return False
    wanted = {None, "same-origin", "none"}
    if method in safe and headers.get("sec-fetch-mode") == "navigate":  # a link was followed
        wanted |= {"same-site", "cross-site"}
    return site in wanted
