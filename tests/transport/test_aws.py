"""Signatures with the credentials that AWS's own tools would find, and what botocore may send on the way: only what the
egress policy lets pass, by our own client."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from open_llm_auth.errors import EgressBlocked, SecretUnavailable, UpstreamUnreachable
from open_llm_auth.policy.egress import AWS_METADATA
from open_llm_auth.testing.bedrock_server import ACCESS_KEY, SECRET_KEY, FakeBedrock
from open_llm_auth.testing.http_server import Connection, Exchange, HttpServer, SeenRequest
from open_llm_auth.testing.scripted import ScriptedReply
from open_llm_auth.testing.sigv4 import read_signature
from open_llm_auth.transport.aws import AwsSigner
from open_llm_auth.values import EgressRules, Endpoint, Outbound, Secret, SecretRef, Signing

LOCAL = "local"
BODY = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
ROLE_KEY, ROLE_SECRET, ROLE_TOKEN = "ASIAFAKEROLE00000001", "role/secret+of/the+role", "role-session-token"


class FakeAws(HttpServer):
    """STS, and the portal of SSO, as far as botocore asks them for credentials. `answer` replaces their answer."""

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.lives = timedelta(hours=1)
        self.answer: tuple[int, bytes] | None = None
        self.hangs = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def actions(self) -> list[str]:
        return [
            dict(parse_qsl(exchange.request.body.decode())).get("Action", exchange.request.path)
            for exchange in self.exchanges
        ]

    async def _respond(self, connection: Connection, exchange: Exchange) -> bool:
        if self.hangs:
            await asyncio.Event().wait()
        status, body = self.answer or (200, self._document(exchange.request))
        exchange.status = status
        await connection.send_head(status, (("content-length", str(len(body))), ("content-type", "text/xml")))
        await connection.send(body)
        return True

    def _document(self, request: SeenRequest) -> bytes:
        if request.path == "/federation/credentials":
            expires = int((datetime.now(UTC) + self.lives).timestamp() * 1000)
            role = {"accessKeyId": ROLE_KEY, "secretAccessKey": ROLE_SECRET, "sessionToken": ROLE_TOKEN}
            return json.dumps({"roleCredentials": role | {"expiration": expires}}).encode()
        action = dict(parse_qsl(request.body.decode()))["Action"]
        expires_at = (datetime.now(UTC) + self.lives).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>'
            f"<AccessKeyId>{ROLE_KEY}</AccessKeyId><SecretAccessKey>{ROLE_SECRET}</SecretAccessKey>"
            f"<SessionToken>{ROLE_TOKEN}</SessionToken><Expiration>{expires_at}</Expiration></Credentials>"
            f"</{action}Result></{action}Response>"
        ).encode()


@dataclass
class Home:
    """A person's AWS files, the variables the gateway sees, and the services they lead to."""

    folder: Path
    aws: FakeAws
    bedrock: FakeBedrock
    make_transport: Callable[..., Any]
    variables: dict[str, str] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    made: Any = None

    def write(self, config: str = "", credentials: str = "") -> None:
        services = (
            f"\n[services local]\nsts =\n  endpoint_url = {self.aws.url}\nsso =\n  endpoint_url = {self.aws.url}\n"
        )
        (self.folder / "config").write_text(config + services)
        (self.folder / "credentials").write_text(credentials)

    @property
    def transport(self) -> Any:
        if self.made is None:
            files = {
                "AWS_CONFIG_FILE": str(self.folder / "config"),
                "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            }
            self.made = self.make_transport(secrets=files | self.variables, rules=self.rules)
        return self.made

    async def call(self, profile: str = "", *, region: str = "us-east-1", provider: str = LOCAL) -> int:
        """The status of one signed call."""
        endpoint = Endpoint("http", "127.0.0.1", self.bedrock.port, "")
        headers = ((b"content-type", b"application/json"), (b"authorization", b"Bearer stale"))
        target = "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
        signing = Signing("bedrock", region, profile)
        reply = await self.transport.send(Outbound(provider, "POST", endpoint, target, headers, BODY, signing=signing))
        await reply.read(1 << 20)
        await reply.aclose()
        return int(reply.status)


@pytest.fixture
def home(tmp_path: Path, make_transport: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    roles = {ACCESS_KEY: SECRET_KEY, ROLE_KEY: ROLE_SECRET}
    with FakeAws() as aws, FakeBedrock(keys=(), access_keys=roles, tokens={ROLE_KEY: ROLE_TOKEN}) as bedrock:
        home = Home(tmp_path, aws, bedrock, make_transport)
        home.write()
        yield home


def keys(name: str = "default") -> str:
    return f"[{name}]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"


def role(name: str = "work", *lines: str) -> str:
    given = ("role_arn = arn:aws:iam::123456789012:role/x", "services = local", *lines)
    return f"[profile {name}]\n" + "\n".join(given) + "\n"


# ---------------------------------------------------------------------------------------------- what is found


async def test_variables_sign_a_request_that_the_service_takes(home: Home) -> None:
    home.variables |= KEYS
    assert await home.call() == 200
    (signature,) = home.bedrock.signatures
    assert (signature.access_key, signature.region, signature.service) == (ACCESS_KEY, "us-east-1", "bedrock")
    assert set(signature.signed_headers) == {"content-type", "host", "x-amz-date"}
    names = [name.lower() for name, _ in home.bedrock.requests[0].headers]
    assert len(names) == len(set(names)), "the stale authorization is gone"


async def test_what_is_altered_on_its_way_does_not_match_its_signature(home: Home) -> None:
    home.variables |= KEYS
    await home.call()
    seen = home.bedrock.requests[0]
    signature = read_signature(seen)
    assert signature is not None
    assert signature.matches(seen, {ACCESS_KEY: SECRET_KEY})
    for altered in (
        replace(seen, body=seen.body + b" "),
        replace(seen, target=seen.target + "-stream"),
        replace(seen, method="PUT"),
        replace(seen, headers=tuple((n, "text/plain" if n == "content-type" else v) for n, v in seen.headers)),
    ):
        assert not signature.matches(altered, {ACCESS_KEY: SECRET_KEY})
    assert not signature.matches(seen, {ACCESS_KEY: "another"})


async def test_a_session_token_travels_and_is_signed(home: Home) -> None:
    home.variables |= {
        "AWS_ACCESS_KEY_ID": ROLE_KEY,
        "AWS_SECRET_ACCESS_KEY": ROLE_SECRET,
        "AWS_SESSION_TOKEN": ROLE_TOKEN,
    }
    assert await home.call() == 200
    assert "x-amz-security-token" in home.bedrock.signatures[0].signed_headers


async def test_the_region_is_looked_for_where_the_address_names_none(home: Home) -> None:
    home.bedrock.region = "eu-west-1"
    home.variables |= KEYS
    home.write(config="[default]\nregion = eu-west-1\n")
    assert await home.call(region="") == 200
    home.made = None  # the next transport has other variables
    home.variables["AWS_REGION"] = "us-west-2"
    assert await home.call(region="") == 403


async def test_no_region_at_all_is_said(home: Home) -> None:
    home.variables |= KEYS
    with pytest.raises(SecretUnavailable, match="AWS_REGION"):
        await home.call(region="")
    assert home.bedrock.exchanges == []


async def test_a_profile_of_the_files_is_used_by_its_name(home: Home) -> None:
    home.write(credentials=keys("work"))
    home.variables |= {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "other"}
    assert await home.call("work") == 200, "a profile that is named comes before variables"
    assert await home.call() == 403


async def test_the_variable_names_a_profile_too(home: Home) -> None:
    home.write(credentials=keys("work"))
    home.variables["AWS_PROFILE"] = "work"
    assert await home.call() == 200


async def test_a_program_gives_credentials(home: Home, tmp_path: Path) -> None:
    said = {"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY}
    program = tmp_path / "program.py"
    program.write_text(f"import sys\nassert sys.stdin.read() == ''\nprint({json.dumps(json.dumps(said))})\n")
    home.write(config=f"[profile work]\ncredential_process = {sys.executable} {program}\n")
    assert await home.call("work") == 200


async def test_a_role_is_assumed_by_our_own_client(home: Home) -> None:
    home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
    assert await home.call("work") == 200
    assert await home.call("work") == 200
    assert home.aws.actions == ["AssumeRole"]
    asked = home.aws.exchanges[0].request
    signature = read_signature(asked)
    assert signature is not None
    assert signature.matches(asked, {ACCESS_KEY: SECRET_KEY})
    assert asked.fields["user-agent"].startswith("open-llm-auth/")


async def test_a_role_of_a_web_identity_is_assumed(home: Home, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("web-identity-token")
    home.write(config=role("work", f"web_identity_token_file = {token}"))
    assert await home.call("work") == 200
    assert home.aws.actions == ["AssumeRoleWithWebIdentity"]


def sign_in(home: Home, expires: timedelta) -> None:
    """A sign-in of `aws sso login` as it leaves it in its cache."""
    from botocore.utils import SSOTokenLoader

    start = "https://start.example/start"
    home.write(
        config=(
            "[profile work]\nsso_session = mine\nsso_account_id = 123456789012\nsso_role_name = x\nservices = local\n"
            f"[sso-session mine]\nsso_region = us-east-1\nsso_start_url = {start}\n"
        )
    )
    until = (datetime.now(UTC) + expires).strftime("%Y-%m-%dT%H:%M:%SZ")
    cache: dict[str, Any] = {}
    SSOTokenLoader(cache=cache).save_token(start, {"accessToken": "sso-token", "expiresAt": until}, session_name="mine")
    folder = home.folder / ".aws" / "sso" / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in cache.items():
        (folder / f"{name}.json").write_text(json.dumps(document))


async def test_a_sign_in_of_sso_gives_credentials_by_our_own_client(home: Home) -> None:
    sign_in(home, timedelta(hours=2))
    assert await home.call("work") == 200
    (asked,) = (exchange.request for exchange in home.aws.exchanges)
    assert asked.path == "/federation/credentials"
    assert asked.fields["x-amz-sso_bearer_token"] == "sso-token"
    assert asked.fields["user-agent"].startswith("open-llm-auth/")


async def test_many_calls_at_once_assume_a_role_once(home: Home) -> None:
    home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
    assert set(await asyncio.gather(*(home.call("work") for _ in range(20)))) == {200}
    assert home.aws.actions == ["AssumeRole"]


async def test_what_is_about_to_expire_is_renewed(home: Home) -> None:
    home.aws.lives = timedelta(minutes=1)
    home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
    for _ in range(3):
        assert await home.call("work") == 200
    assert len(home.aws.actions) >= 3


async def test_files_that_change_are_read_anew(home: Home) -> None:
    home.write(credentials="[default]\naws_access_key_id = AKIAOLD\naws_secret_access_key = old\n")
    assert await home.call() == 403
    home.write(credentials=keys())
    assert await home.call() == 200


# ---------------------------------------------------------------------------------------------- what is not


async def test_nothing_found_says_what_to_run_and_is_looked_for_again(home: Home) -> None:
    with pytest.raises(SecretUnavailable, match="aws sso login, or set AWS_PROFILE") as caught:
        await home.call()
    assert "awsMetadata" in caught.value.message
    home.write(credentials=keys())
    assert await home.call() == 200


async def test_a_profile_that_is_not_there_is_named(home: Home) -> None:
    with pytest.raises(SecretUnavailable, match=r"no AWS profile 'gone'.*aws configure --profile gone"):
        await home.call("gone")


async def test_an_expired_sign_in_says_which_command_renews_it(home: Home) -> None:
    sign_in(home, timedelta(hours=-2))
    with pytest.raises(SecretUnavailable, match="aws sso login --profile work"):
        await home.call("work")
    assert home.bedrock.exchanges == []


async def test_a_sign_in_that_the_portal_refuses_says_so_too(home: Home) -> None:
    sign_in(home, timedelta(hours=2))
    home.aws.answer = (401, b'{"__type":"UnauthorizedException","message":"Session token not found or invalid"}')
    with pytest.raises(SecretUnavailable, match="aws sso login --profile work"):
        await home.call("work")


async def test_a_role_that_is_refused_is_told_by_its_code_alone(home: Home) -> None:
    home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
    error = "<Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/secret-name is not authorized</Message>"
    home.aws.answer = (403, f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>".encode())
    with pytest.raises(SecretUnavailable, match=r"AssumeRole .*'work' \(AccessDenied\)") as caught:
        await home.call("work")
    assert "secret-name" not in caught.value.message


async def test_a_program_that_fails_is_not_quoted(home: Home, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nsys.exit('canary-secret')\n")
    home.write(config=f"[profile work]\ncredential_process = {sys.executable} {program}\n")
    with pytest.raises(SecretUnavailable, match="aws sts get-caller-identity --profile work") as caught:
        await home.call("work")
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    "text", ["[default\n", "[default]\naws_access_key_id = A\n", "[profile work]\nsso_session = x\n"]
)
async def test_files_that_are_broken_are_no_traceback(home: Home, text: str) -> None:
    home.write(config=text, credentials=text)
    with pytest.raises(SecretUnavailable):
        await home.call("work" if "work" in text else "")


async def test_nobody_is_asked_for_a_code(home: Home) -> None:
    lines = ("source_profile = base", "mfa_serial = arn:aws:iam::123456789012:mfa/me")
    home.write(config=role("work", *lines), credentials=keys("base"))
    with pytest.raises(SecretUnavailable, match="CredentialRetrievalError"):
        await home.call("work")
    assert home.aws.exchanges == []


# ---------------------------------------------------------------------------------------------- where bytes go


async def test_a_service_that_the_policy_forbids_is_not_asked(home: Home) -> None:
    home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
    with pytest.raises(EgressBlocked) as caught:
        await home.call("work", provider="stranger")
    assert caught.value.details["host"] == "127.0.0.1"
    assert (home.aws.connections_made, home.bedrock.connections_made) == (0, 0)


async def test_proxies_of_the_environment_are_not_asked_either(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeAws() as proxy:
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
        assert await home.call("work") == 200
        assert proxy.connections_made == 0


async def test_a_service_that_can_not_be_reached_is_a_secret_that_can_not_be_had(home: Home) -> None:
    home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
    home.aws.stop()
    with pytest.raises(SecretUnavailable, match="of the AWS profile 'work' can't be had: Provider 'local' at"):
        await home.call("work")


async def test_what_is_under_way_ends_when_the_transport_closes(home: Home) -> None:
    home.aws.hangs = True
    home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
    call = asyncio.ensure_future(home.call("work"))
    await asyncio.get_running_loop().run_in_executor(None, home.aws.wait_until, lambda: bool(home.aws.exchanges))
    await home.transport.aclose()
    with pytest.raises((SecretUnavailable, UpstreamUnreachable, asyncio.CancelledError)):
        await asyncio.wait_for(call, 5)
    for thread in threading.enumerate():
        if thread.name.startswith("aws"):
            await asyncio.get_running_loop().run_in_executor(None, thread.join, 5)
            assert not thread.is_alive()


async def test_no_secret_is_logged(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    home.write(config=role("work", "source_profile = base"), credentials=keys("base"))
    await home.call("work")
    home.aws.answer = (500, b"")
    with pytest.raises(SecretUnavailable):
        await home.call("other")
    for secret in (SECRET_KEY, ROLE_SECRET, ROLE_TOKEN):
        assert secret not in caplog.text


def test_botocore_is_not_imported_until_something_is_signed() -> None:
    code = "import sys, open_llm_auth.main, open_llm_auth.transport; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------------------------------------- the machine's own

ROLE_DOCUMENT = {
    "Code": "Success",
    "AccessKeyId": ROLE_KEY,
    "SecretAccessKey": ROLE_SECRET,
    "Token": ROLE_TOKEN,
    "Expiration": "2099-01-01T00:00:00Z",
}
INSTANCE = {
    "PUT http://169.254.169.254/latest/api/token": b"instance-token",
    "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/": b"my-role",
    "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/my-role": json.dumps(ROLE_DOCUMENT).encode(),
}
CONTAINER = {"GET http://169.254.170.2/v2/credentials": json.dumps(ROLE_DOCUMENT).encode()}


class Variables:
    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def get(self, ref: SecretRef) -> Secret:
        raise AssertionError(ref)

    def environment(self, name: str) -> Secret | None:
        return Secret(self.values[name]) if name in self.values else None


async def signed_by_machine(
    answers: Mapping[str, bytes], tmp_path: Path, *, allowed: bool, **variables: str
) -> tuple[list[Outbound], str]:
    """What is asked of the machine's services, and the access key that signs."""
    asked: list[Outbound] = []

    async def send(request: Outbound) -> Any:
        asked.append(request)
        url = f"{request.method} http://{request.endpoint.authority}{request.target}"
        if url not in answers:
            raise UpstreamUnreachable("nobody is there")
        return ScriptedReply(200, answers[url], ())

    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    rules = EgressRules(aws_metadata=allowed)
    signer = AwsSigner(send, Variables(files | variables), lambda: rules)
    try:
        endpoint = Endpoint("https", "bedrock-runtime.us-east-1.amazonaws.com", 443, "")
        signing = Signing("bedrock", "us-east-1")
        signed = await signer.sign(Outbound("x", "POST", endpoint, "/m", (), b"{}", signing=signing))
    finally:
        signer.close()
    key = dict(signed.headers)[b"authorization"].decode().partition("Credential=")[2].partition("/")[0]
    return asked, key


@pytest.mark.parametrize(
    ("answers", "variables"),
    [(INSTANCE, {}), (CONTAINER, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials"})],
    ids=["instance", "container"],
)
async def test_the_machines_own_credentials_are_used_where_they_are_allowed(
    answers: Mapping[str, bytes], variables: dict[str, str], tmp_path: Path
) -> None:
    asked, key = await signed_by_machine(answers, tmp_path, allowed=True, **variables)
    assert key == ROLE_KEY
    assert {request.provider for request in asked} == {AWS_METADATA}
    assert [f"{each.method} http://{each.endpoint.authority}{each.target}" for each in asked] == list(answers)


@pytest.mark.parametrize(
    "config", ["", role("default", "credential_source = Ec2InstanceMetadata").replace("profile ", "")]
)
async def test_and_nowhere_else_are_they_even_asked_for(config: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(config)
    variables = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials"}
    with pytest.raises(SecretUnavailable):
        await signed_by_machine(INSTANCE | CONTAINER, tmp_path, allowed=False, **variables)


async def test_a_machine_that_is_none_of_awss_has_no_credentials(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="No AWS credentials were found") as caught:
        await signed_by_machine({}, tmp_path, allowed=True)
    assert "awsMetadata" not in caught.value.message


async def test_the_metadata_services_are_reached_by_nobody_else_and_only_when_allowed(
    make_transport: Callable[..., Any], ask: Callable[..., Outbound]
) -> None:
    async def reason(provider: str, host: str, **rules: Any) -> object:
        transport = make_transport(rules=rules)
        with pytest.raises(EgressBlocked) as caught:
            await transport.send(ask(80, host=host, provider=provider))
        return caught.value.details["reason"]

    for host in ("169.254.169.254", "169.254.170.2"):
        assert await reason(LOCAL, host, aws_metadata=True) == "denylisted_cidr"
        assert await reason(AWS_METADATA, host) == "denylisted_cidr"
    assert await reason(AWS_METADATA, "169.254.1.1", aws_metadata=True) == "link_local_ip"
    assert await reason(AWS_METADATA, "100.100.100.200", aws_metadata=True) == "denylisted_cidr"
