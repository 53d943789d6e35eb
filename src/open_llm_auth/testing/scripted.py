"""A transport that answers from a script and remembers what it was asked: `ports.Transport` for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from ..errors import GatewayError, UpstreamInvalidResponse
from ..values import Headers, Outbound

__all__ = ["Script", "ScriptedReply", "ScriptedTransport"]


class ScriptedReply:
    """An answer whose head has arrived, and whose body is a list of pieces.

    A piece that is an error is raised when its turn comes, as a connection that breaks mid-body would.
    `read_to_end` and `closed` say afterwards what was done with it.
    """

    def __init__(
        self,
        status: int = 200,
        body: bytes | Sequence[bytes | GatewayError] = b"",
        headers: Headers = ((b"content-type", b"application/json"),),
    ) -> None:
        self.status = status
        self.headers = headers
        self.read_to_end = False
        self.closed = False
        self._pieces: Sequence[bytes | GatewayError] = (body,) if isinstance(body, bytes) else body

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)

    async def read(self, limit: int) -> bytes:
        whole = bytearray()
        async for piece in self.chunks():
            whole += piece
            if len(whole) > limit:
                raise UpstreamInvalidResponse(f"the answer is longer than {limit} bytes")
        return bytes(whole)

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, GatewayError):
                raise piece
            if piece:
                yield piece
        self.read_to_end = True

    async def aclose(self) -> None:
        self.closed = True


#: What a script may hold: replies and errors in order, or a function from the request to one of them.
Script = Iterable[ScriptedReply | GatewayError] | Callable[[Outbound], ScriptedReply | GatewayError]


class ScriptedTransport:
    """Sends nothing. `requests` holds every request it was given, in order; `closed` says whether it was closed."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Outbound] = []
        self.closed = False
        self._answer = script if callable(script) else _in_order(script)

    async def send(self, request: Outbound) -> ScriptedReply:
        """The next answer of the script.

        Raises:
            AssertionError: the script is used up, so the code under test sent more than it should.
            GatewayError: the script says so.
        """
        self.requests.append(request)
        answer = self._answer(request)
        if isinstance(answer, GatewayError):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


def _in_order(answers: Iterable[ScriptedReply | GatewayError]) -> Callable[[Outbound], ScriptedReply | GatewayError]:
    remaining = iter(answers)

    def answer(request: Outbound) -> ScriptedReply | GatewayError:
        for found in remaining:
            return found
        raise AssertionError(f"the script has no answer left for {request.method} {request.endpoint}{request.target}")

    return answer
