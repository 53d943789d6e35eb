"""curl, with the lines that `serve` prints and a person pastes: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL.
"""

import json
import os
import subprocess
from collections.abc import Callable

BASE_URL, MODEL = os.environ["BASE_URL"], os.environ["MODEL"]
BEARER = ("-H", f"Authorization: Bearer {os.environ['API_KEY']}")


def curl(path: str, *arguments: str) -> tuple[int, str]:
    """Status and body."""
    command = ["curl", "-sS", "-N", "--max-time", "30", "-w", "\n%{http_code}", f"{BASE_URL}{path}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def chat(**fields: object) -> str:
    document = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8} | fields
    body = json.dumps(document)
    status, answer = curl("/chat/completions", *BEARER, "-H", "Content-Type: application/json", "-d", body)
    assert status == 200, answer
    return answer


def models() -> str:
    status, body = curl("/models", *BEARER)
    assert status == 200, body
    assert MODEL in [model["id"] for model in json.loads(body)["data"]]
    return f"{len(body)} bytes"


def plain() -> str:
    return repr(json.loads(chat())["choices"][0]["message"]["content"])


def stream() -> str:
    events = chat(stream=True).split("\n\n")
    assert all(event.startswith("data: ") for event in events if event), events
    assert events[-2:] == ["data: [DONE]", ""], events[-2:]
    return f"{len(events)} events"


def errors() -> str:
    status, body = curl("/models", "-H", "Authorization: Bearer nobody")
    assert status == 401, body
    return str(json.loads(body)["error"]["code"])


CASES: tuple[Callable[[], str], ...] = (models, plain, stream, errors)

if __name__ == "__main__":
    for case in CASES:
        try:
            outcome = {"case": case.__name__, "ok": True, "seen": case()}
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is this case's result
            outcome = {"case": case.__name__, "ok": False, "seen": f"{type(error).__name__}: {error}"}
        print(json.dumps(outcome), flush=True)
