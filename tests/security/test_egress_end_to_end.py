"""Where bytes may go, through the whole gateway: the documented refusal, and nobody was dialled (SPEC §6)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from open_llm_auth.testing import Behaviour

ROW = {"api": "openai-completions", "auth": "api-key", "apiKey": "egress-key-0001"}


class Trap:
    """Listens where nobody should come, and counts who does."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.caught: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                try:
                    self.caught.append(connection.recv(65536))
                except OSError:
                    self.caught.append(b"")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


def destinations(port: int) -> dict[str, tuple[str, str]]:
    """A base URL, and the reason it is refused for."""
    return {
        "metadata": ("http://169.254.169.254/v1", "denylisted_cidr link_local_ip"),
        "metadata-https": ("https://169.254.169.254/v1", "denylisted_cidr link_local_ip"),
        "metadata-decimal": ("https://2852039166/v1", "denylisted_cidr link_local_ip"),
        "metadata-hex": ("https://0xa9fea9fe/v1", "denylisted_cidr link_local_ip"),
        "metadata-octal": ("https://0251.0376.0251.0376/v1", "denylisted_cidr link_local_ip"),
        "metadata-mapped": ("https://[::ffff:169.254.169.254]/v1", "denylisted_cidr link_local_ip"),
        "metadata-nat64": ("https://[64:ff9b::a9fe:a9fe]/v1", "denylisted_cidr link_local_ip"),
        "metadata-6to4": ("https://[2002:a9fe:a9fe::]/v1", "denylisted_cidr link_local_ip"),
        "metadata-name": ("https://metadata.google.internal/v1", "denylisted_host"),
        "metadata-dot": ("https://METADATA.google.internal./v1", "denylisted_host"),
        "metadata-six": ("https://[fd00:ec2::254]/v1", "denylisted_cidr"),
        "containers": ("http://169.254.170.2/v1", "denylisted_cidr link_local_ip"),
        "alibaba": ("https://100.100.100.200/v1", "denylisted_cidr"),
        "azure": ("https://168.63.129.16/v1", "denylisted_cidr"),
        "link-local": ("https://[fe80::1]/v1", "link_local_ip denylisted_cidr"),
        "loopback": (f"https://127.0.0.1:{port}/v1", "loopback_ip"),
        "loopback-short": (f"https://127.1:{port}/v1", "loopback_ip"),
        "loopback-decimal": (f"https://2130706433:{port}/v1", "loopback_ip"),
        "loopback-six": (f"https://[::1]:{port}/v1", "loopback_ip"),
        "loopback-mapped": (f"https://[::ffff:127.0.0.1]:{port}/v1", "loopback_ip"),
        "localhost": (f"https://localhost:{port}/v1", "localhost_forbidden"),
        "localhost-dot": (f"https://localhost.:{port}/v1", "localhost_forbidden"),
        "unspecified": (f"https://0.0.0.0:{port}/v1", "unspecified_ip"),
        "private": ("https://10.1.2.3/v1", "private_ip"),
        "cgnat": ("https://100.64.0.1/v1", "cgnat_ip"),
        "multicast": ("https://224.0.0.1/v1", "multicast_ip"),
        "benchmark": ("https://198.18.0.1/v1", "benchmark_ip"),
        "reserved": ("https://240.0.0.1/v1", "reserved_ip"),
        "plain": ("http://llm.example/v1", "insecure_http_forbidden"),
        "plain-loopback": (f"http://127.0.0.1:{port}/v1", "insecure_http_forbidden loopback_ip"),
    }


def unreadable(port: int) -> dict[str, tuple[str, str]]:
    """Base URLs that are none."""
    return {
        "userinfo": (f"http://me:secret@127.0.0.1:{port}/v1", "userinfo_forbidden"),
        "userinfo-fool": (f"https://api.openai.com@127.0.0.1:{port}/v1", "userinfo_forbidden"),
        "ftp": (f"ftp://127.0.0.1:{port}/v1", "unsupported_scheme"),
        "file": ("file:///etc/passwd", "unsupported_scheme"),
        "gopher": (f"gopher://127.0.0.1:{port}/", "unsupported_scheme"),
        "nothing": ("https:///v1", "missing_host"),
        "blank": (f"http://127.0.0.1:{port} /v1", "malformed_url"),
        "backslash": (f"http:\\\\127.0.0.1:{port}/v1", "malformed_url"),
    }


@pytest.fixture(scope="module")
def house(open_house, trap, provider_key):
    from open_llm_auth.testing import FakeProvider

    with FakeProvider(keys=None) as provider:
        rows: dict[str, Any] = {"fake": {"baseUrl": provider.base_url, **ROW, "apiKey": provider_key}}
        for name, (url, _) in (destinations(trap.port) | unreadable(trap.port)).items():
            rows[name] = {"baseUrl": url, **ROW}
        house = open_house(providers=rows, egressPolicy={"allowLocalProviders": ["fake"]})
        house.provider = provider
        yield house


@pytest.mark.parametrize("name", destinations(0))
def test_a_forbidden_destination_is_403_with_its_reason_and_is_not_dialled(house, trap, name):
    """Chat, streams and embeddings alike."""
    wanted = destinations(trap.port)[name][1].split()
    for answer in (house.chat(f"{name}/m"), house.chat(f"{name}/m", stream=True)):
        assert answer.status == 403, answer.text()
        assert answer.code == "egress_destination_blocked"
        details = answer.json()["error"]["details"]
        assert details["provider"] == name
        assert details["reason"] in wanted
        assert details["phase"] == "resolve"
        assert set(details) == {"provider", "scheme", "host", "reason", "phase"}
    assert trap.caught == []


@pytest.mark.parametrize("name", unreadable(0))
def test_a_base_url_that_is_none_is_refused_without_being_quoted(house, trap, name):
    answer = house.chat(f"{name}/m")
    assert (answer.status, answer.code) == (403, "egress_destination_blocked"), answer.text()
    details = answer.json()["error"]["details"]
    assert details["reason"] == unreadable(trap.port)[name][1]
    assert (details["provider"], details["phase"]) == (name, "resolve")
    assert "secret" not in answer.text()
    assert trap.caught == []


def test_local_exemptions_do_not_reach_the_metadata_address(open_house, trap):
    """A provider that may be local, a policy that only observes, one that is off, and every override at once."""
    near = ("metadata", "containers", "alibaba", "azure", "link")
    urls = {name: url for name, (url, _) in destinations(trap.port).items() if name.startswith(near)}
    rows = {name: {"baseUrl": url, **ROW} for name, url in urls.items()}
    open_ = {"OPEN_LLM_AUTH_ALLOW_LOCALHOST_EGRESS": "1", "OPEN_LLM_AUTH_ALLOW_INSECURE_EGRESS_HTTP": "1"}
    house = open_house(providers=rows, egressPolicy={"allowLocalProviders": list(rows)}, environ=open_)
    for policy in ({"mode": "observe"}, {"mode": "off"}, {"enabled": False}, {"allowLocalProviders": list(rows)}):
        house.reload(egressPolicy=policy)
        for name in rows:
            answer = house.chat(f"{name}/m")
            assert (answer.status, answer.code) == (403, "egress_destination_blocked"), (policy, name, answer.text())


def test_redirects_are_never_followed(house, trap):
    for status in (301, 302, 303, 307, 308):
        for target in (f"http://127.0.0.1:{trap.port}/v1", "http://169.254.169.254/latest/meta-data/"):
            house.provider.next(*[Behaviour(status=status, body=b"", headers=(("location", target),))] * 2)
            for stream in (False, True):
                answer = house.chat("fake/fake-model", stream=stream)
                assert answer.status == 502, answer.text()
                assert answer.code == "upstream_invalid_response"
                assert "location" not in answer.headers
                assert "169.254" not in answer.text()
    assert trap.caught == []


def test_proxies_of_the_environment_are_not_asked(open_house, trap, provider_key):
    proxy = f"http://127.0.0.1:{trap.port}"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    house = open_house(environ=dict.fromkeys(names, proxy))
    house.provider.keys = None
    assert house.chat().status == 200
    assert trap.caught == []


def test_a_reload_closes_a_way_and_opens_it_again(house, trap):
    """The exemption goes: the very next call under the new config is refused, though its connection is still open."""

    def becomes(status: int) -> bool:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            if house.chat().status == status:
                return True
            time.sleep(0.05)
        return False

    assert house.chat().status == 200
    house.gateway.write_config(house.config | {"egressPolicy": {"allowLocalProviders": []}})
    assert becomes(403)
    calls = len(house.provider.calls)
    assert house.chat().status == 403
    assert len(house.provider.calls) == calls
    house.gateway.write_config(house.config)
    assert becomes(200)


def test_discovery_asks_nobody_it_may_not(house, trap):
    """By now the gateway has had its turns in the background for every provider above."""
    assert house.ask("GET", "/v1/models").status == 200
    time.sleep(1.5)
    assert trap.caught == []


def test_a_key_goes_to_no_other_host_than_its_own(open_house, trap, provider_key):
    """A profile whose own address can't be used does not fall back on its provider's: the key is another's there."""
    house = open_house()
    house.provider.keys = None
    profile = {"provider": "fake", "type": "api_key", "key": "egress-elsewhere-0002"}
    for url in (
        f"http://me@127.0.0.1:{trap.port}/v1",
        "ftp://internal/v1",
        "https://10.0.0.8/v1",
        "not a url",
        "https:///",
    ):
        profiles = {"fake:internal": profile | {"baseUrl": url}}
        house.reload(authProfiles=profiles)
        house.chat("fake/fake-model", ("X-Auth-Profile", "fake:internal"))
        house.chat("fake/fake-model")
    seen = " ".join(repr(request) for request in house.provider.requests)
    assert "egress-elsewhere-0002" not in seen
    assert trap.caught == []
