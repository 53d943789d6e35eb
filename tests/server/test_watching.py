"""A watched stream is the stream within, and what looks at it sees every piece that goes on."""

from open_llm_auth.errors import UpstreamTimeout
from open_llm_auth.server.watching import Watched
from open_llm_auth.wire.openai_chat import StreamRelay

CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s}]}\n\n'


def test_every_piece_that_goes_on_is_seen_once_and_nothing_else() -> None:
    seen: list[bytes] = []
    stream = Watched(StreamRelay(hide_usage=False), seen.append)
    sent = [stream.feed(piece) for piece in (CHUNK % (b"Hi", b"null"), b"data: {", b'"choices":[]}\n\n')]
    assert (stream.committed, stream.done, stream.failure, stream.usage) == (True, False, None, None)
    sent += [stream.feed(CHUNK % (b"", b'"stop"')), stream.end()]
    assert stream.done
    assert seen == [piece for piece in sent if piece]
    assert stream.fail(UpstreamTimeout("too slow")).startswith(b"data: ")
    assert len(seen) == len([piece for piece in sent if piece])
