"""One error, in the shape each surface's clients expect."""

import json

import pytest

from open_llm_auth.errors import GatewayError, InsufficientScope, InvalidRequest, UpstreamTimeout
from open_llm_auth.server.errors import write_error

SCOPE = InsufficientScope("This token lacks the scope 'write'.", details={"required": "write"})
SURFACES = ("openai", "anthropic", "gemini", "universal")


def written(surface: str, error: GatewayError) -> object:
    return json.loads(write_error(surface, error, "req_1"))


def test_openai_has_message_type_param_code_and_details():
    assert written("openai", SCOPE) == {
        "error": {
            "message": SCOPE.message,
            "type": "permission_error",
            "param": None,
            "code": "insufficient_scope",
            "details": {"required": "write"},
        }
    }


def test_anthropic_has_its_own_types_and_the_request_id():
    assert written("anthropic", SCOPE) == {
        "type": "error",
        "error": {"type": "permission_error", "message": SCOPE.message},
        "request_id": "req_1",
    }
    assert written("anthropic", UpstreamTimeout("late"))["error"]["type"] == "timeout_error"


def test_gemini_has_the_status_as_number_and_as_word():
    assert written("gemini", SCOPE) == {"error": {"code": 403, "message": SCOPE.message, "status": "PERMISSION_DENIED"}}


def test_universal_has_code_and_details_and_nothing_undeclared():
    error = InvalidRequest("'model' must be a string.", param="model")
    assert written("universal", error) == {
        "error": {"message": error.message, "code": "invalid_request", "details": {"param": "model"}}
    }


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 421, 429, 500, 501, 502, 503, 504, 529])
def test_every_status_has_a_shape_on_every_surface(surface, status):
    assert written(surface, GatewayError("what happened", status=status))["error"]["message"] == "what happened"
