"""Bedrock's requests, the region that signs them, and what its errors mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest, NotConfigured, SecretUnavailable, UpstreamCredentialRejected
from open_llm_auth.policy.egress import parse_endpoint
from open_llm_auth.providers import KINDS
from open_llm_auth.providers.bedrock import BEDROCK, in_region, prepare, read_error, region_of
from open_llm_auth.providers.spec import Sending
from open_llm_auth.values import Credential, Endpoint, Outbound, Provider, Secret, Signing

HERE = parse_endpoint("https://bedrock-runtime.eu-west-1.amazonaws.com")
PROVIDER = Provider("amazon-bedrock", "bedrock-converse-stream", "aws-sdk", endpoint=HERE)
CHAIN = Credential("aws-sdk:amazon-bedrock", "amazon-bedrock", "aws-sdk", "aws-sdk")
KEY = Credential("env:AWS_BEARER_TOKEN_BEDROCK", "amazon-bedrock", "environment", "api_key", Secret("ABSK1\n"))
CALL = Sending("chat", "eu.anthropic.claude-opus-4-6-v1:0", True, b"{}")


def sent(credential: Credential = CHAIN, provider: Provider = PROVIDER, **fields: Any) -> Outbound:
    return prepare(provider, credential, msgspec.structs.replace(CALL, **fields))


def test_the_kind_is_one_of_those_the_release_carries() -> None:
    assert KINDS["bedrock-converse-stream"] is BEDROCK
    assert (BEDROCK.dialect, BEDROCK.prepare_models, BEDROCK.stream_only) == ("bedrock-converse", None, False)


@pytest.mark.parametrize(
    ("model", "stream", "target"),
    [
        (CALL.model, True, "/model/eu.anthropic.claude-opus-4-6-v1%3A0/converse-stream"),
        (CALL.model, False, "/model/eu.anthropic.claude-opus-4-6-v1%3A0/converse"),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.x",
            True,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.x/converse-stream",
        ),
        ("a/../b?c#d", False, "/model/a%2F..%2Fb%3Fc%23d/converse"),
        ("modèle", False, "/model/mod%C3%A8le/converse"),
    ],
)
def test_the_model_is_one_encoded_part_of_the_path(model: str, stream: bool, target: str) -> None:
    request = sent(model=model, stream=stream)
    assert (request.method, request.target, request.endpoint) == ("POST", target, HERE)
    accepted = "application/vnd.amazon.eventstream" if stream else "application/json"
    assert dict(request.headers) == {b"content-type": b"application/json", b"accept": accepted.encode()}


def test_a_path_of_the_base_url_stays_before_it() -> None:
    behind = parse_endpoint("https://proxy.example/aws/")
    assert sent(replace(CHAIN, endpoint=behind), model="m").target == "/aws/model/m/converse-stream"


def test_a_key_is_a_bearer_and_nothing_is_signed() -> None:
    request = sent(KEY)
    assert dict(request.headers)[b"authorization"] == b"Bearer ABSK1"
    assert request.signing is None


def test_without_a_key_the_transport_signs() -> None:
    request = sent()
    assert b"authorization" not in dict(request.headers)
    assert request.signing == Signing("bedrock", "eu-west-1")
    work = replace(CHAIN, aws_profile="work", aws_region="us-west-2")
    assert sent(work).signing == Signing("bedrock", "eu-west-1", "work")
    elsewhere = replace(work, endpoint=parse_endpoint("https://bedrock.example"))
    assert sent(elsewhere).signing == Signing("bedrock", "us-west-2", "work")
    assert sent(replace(elsewhere, aws_region="")).signing == Signing("bedrock", "", "work")


def test_where_no_credential_is_sent_nothing_is_signed() -> None:
    nobody = Credential("none:amazon-bedrock", "amazon-bedrock", "none", "none")
    request = sent(nobody, replace(PROVIDER, auth_header=False))
    assert request.signing is None
    assert b"authorization" not in dict(request.headers)


def test_headers_of_the_config_replace_our_own() -> None:
    assert dict(sent(headers=((b"accept", b"x"), (b"x-own", b"y"))).headers) == {
        b"content-type": b"application/json",
        b"accept": b"x",
        b"x-own": b"y",
    }


@pytest.mark.parametrize("operation", ["embeddings", "count_tokens"])
def test_what_converse_can_not_do_is_refused(operation: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"has no {operation}") as caught:
        sent(operation=operation)
    assert caught.value.param == "model"


def test_without_an_address_or_a_sound_key_nothing_is_sent() -> None:
    with pytest.raises(NotConfigured):
        sent(provider=replace(PROVIDER, endpoint=None))
    with pytest.raises(SecretUnavailable):
        sent(replace(KEY, secret=Secret("a\nb")))


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("bedrock-runtime.ap-southeast-2.api.aws", "ap-southeast-2"),
        ("vpce-0a1b2c3d-4e5f.bedrock-runtime.eu-central-1.vpce.amazonaws.com", "eu-central-1"),
        ("bedrock-runtime.us-east-1.amazonaws.com.evil.example", ""),
        ("evil.bedrock-runtime.us-east-1.amazonaws.com", ""),
        ("bedrock.example", ""),
        ("127.0.0.1", ""),
    ],
)
def test_the_region_is_the_one_in_the_address(host: str, region: str) -> None:
    assert region_of(Endpoint("https", host, 443, "")) == region


@pytest.mark.parametrize(
    ("base_url", "region", "moved"),
    [
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "eu-west-1",
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            "https://bedrock-runtime-fips.us-east-1.amazonaws.com/x",
            "us-gov-west-1",
            "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/x",
        ),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "evil.example/", None),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "", None),
        ("https://bedrock.example", "eu-west-1", None),
        ("", "eu-west-1", None),
    ],
)
def test_an_address_of_aws_moves_to_another_region_and_no_other_does(
    base_url: str, region: str, moved: str | None
) -> None:
    assert in_region(base_url, region) == moved


# ---------------------------------------------------------------------------------------------- errors


def fault(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Any:
    return read_error("amazon-bedrock", status, headers, body, lambda text: text.replace("sk-canary", "[hidden]"))


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (429, "rate_limit", b"ThrottlingException"),
        (429, "rate_limit", b"ModelNotReadyException"),
        (503, "overloaded", b"ServiceUnavailableException"),
        (500, "server", b"InternalServerException"),
        (424, "server", b"ModelErrorException"),
        (408, "rejected", b"ModelTimeoutException"),
        (400, "rejected", b"ValidationException"),
        (404, "rejected", b"ResourceNotFoundException"),
        (403, "denied", b"AccessDeniedException"),
        (403, "auth", b"ExpiredTokenException"),
        (403, "auth", b"UnrecognizedClientException"),
        (403, "auth", b"InvalidSignatureException"),
        (403, "auth", b"MissingAuthenticationTokenException"),
        (401, "auth", b""),
    ],
)
def test_the_name_of_an_exception_says_what_it_is_about(status: int, kind: str, name: bytes) -> None:
    told = fault(status, b'{"message":"no"}', (b"x-amzn-errortype", name + b":http://internal.amazon.com/"))
    assert (told.kind, told.status, told.error.message) == (kind, status, "no")
    assert told.error.details.get("upstreamType") == (name.decode() or None)
    inside = fault(status, b'{"message":"no","__type":"%b"}' % name)
    assert inside.kind == kind


def test_a_refused_credential_is_told_as_one_and_no_secret_is() -> None:
    told = fault(403, b'{"message":"sk-canary is not authorized"}', (b"x-amzn-errortype", b"AccessDeniedException"))
    assert isinstance(told.error, UpstreamCredentialRejected)
    assert told.error.message == "[hidden] is not authorized"


def test_a_body_that_is_no_error_of_bedrock_is_not_passed_on() -> None:
    assert fault(502, b"<html>").error.message == "Upstream provider 'amazon-bedrock' returned HTTP 502"
