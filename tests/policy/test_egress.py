"""A destination is judged by what it is, not by how it is spelt."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from open_llm_auth.errors import ConfigInvalid, EgressBlocked, UnsafeDestination
from open_llm_auth.policy.egress import (
    REASONS,
    Verdict,
    blocked,
    check_address,
    check_endpoint,
    deny_hosts,
    deny_networks,
    is_local,
    literal_address,
    parse_endpoint,
    unsafe,
)
from open_llm_auth.values import EgressRules, Endpoint

RULES = EgressRules(allow_local_providers=frozenset({"ollama"}))
CORPUS = Path(__file__).with_name("hostile_destinations.txt")


def corpus() -> list[tuple[str, str, tuple[str, ...]]]:
    """(expected reason, URL, what its name resolves to)."""
    rows = []
    for line in CORPUS.read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            reason, _, rest = line.partition(" ")
            url, _, addresses = rest.partition(" -> ")
            url = url.replace("{port}", "4321").encode("ascii").decode("unicode_escape")
            rows.append((reason, url, tuple(addresses.split(",")) if addresses else ()))
    return rows


def reason_of(url: str, *, provider: str = "openai", rules: EgressRules = RULES) -> str | None:
    try:
        return check_endpoint(rules, provider, parse_endpoint(url)).reason
    except UnsafeDestination as fault:
        return str(fault.details["reason"])


def test_the_corpus_is_large_and_names_every_reason_it_can() -> None:
    rows = corpus()
    assert len({(url, addresses) for _, url, addresses in rows}) == len(rows) >= 400
    assert {reason.removeprefix("resolved_") for reason, _, _ in rows} == set(REASONS)


@pytest.mark.parametrize(("expected", "url", "addresses"), corpus())
def test_every_hostile_spelling_is_refused_for_the_right_reason(
    expected: str, url: str, addresses: tuple[str, ...]
) -> None:
    if not addresses:
        assert reason_of(url) == expected
        return
    endpoint = parse_endpoint(url)
    assert check_endpoint(RULES, "openai", endpoint).allowed
    for address in addresses:
        assert check_address(RULES, "openai", endpoint, address, resolved=True) == Verdict(False, expected)


@pytest.mark.parametrize(("expected", "url", "addresses"), corpus())
def test_metadata_and_link_local_stay_closed_to_exempt_providers_in_every_mode(
    expected: str, url: str, addresses: tuple[str, ...]
) -> None:
    bare = expected.removeprefix("resolved_")
    if bare not in ("denylisted_host", "denylisted_cidr", "link_local_ip"):
        return
    endpoint = parse_endpoint(url)
    for mode in ("enforce", "observe", "off"):
        rules = replace(RULES, mode=mode, allow_localhost=True, allow_insecure_http=True, enforce_https=False)
        if addresses:
            verdicts = [check_address(rules, "ollama", endpoint, ip, resolved=True) for ip in addresses]
        else:
            verdicts = [check_endpoint(rules, "ollama", endpoint)]
        assert verdicts == [Verdict(False, expected)] * len(verdicts)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1", Endpoint("https", "api.openai.com", 443, "/v1")),
        ("https://API.OpenAI.com./v1/", Endpoint("https", "api.openai.com", 443, "/v1")),
        ("http://127.0.0.1:11434/v1", Endpoint("http", "127.0.0.1", 11434, "/v1")),
        ("http://2130706433:8080", Endpoint("http", "127.0.0.1", 8080, "")),
        ("https://[2606:4700:0::1111]:8443/", Endpoint("https", "2606:4700::1111", 8443, "")),
        ("https://bücher.example", Endpoint("https", "xn--bcher-kva.example", 443, "")),
        ("https://xn--bcher-kva.example", Endpoint("https", "xn--bcher-kva.example", 443, "")),
        ("http://my_service:80", Endpoint("http", "my_service", 80, "")),
        ("https://host/a%20b/~c", Endpoint("https", "host", 443, "/a%20b/~c")),
    ],
)
def test_an_address_is_read_into_its_one_spelling(url: str, expected: Endpoint) -> None:
    assert parse_endpoint(url) == expected
    assert parse_endpoint(str(expected)) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://8.8.8.8",
        "https://[2606:4700::1111]",
        "https://[64:ff9b::8.8.8.8]",
        "https://[::ffff:8.8.8.8]",
        "https://172.32.0.1",
        "https://100.128.0.1",
        "https://localhost.example.com",
        "https://notlocalhost",
    ],
)
def test_public_destinations_pass(url: str) -> None:
    assert check_endpoint(RULES, "openai", parse_endpoint(url)) == Verdict(True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434",
        "http://localhost:11434/v1",
        "http://[::1]:1234",
        "http://10.0.0.8:8000",
        "http://192.168.1.9:8000",
        "http://100.64.3.4:8000",
        "http://[fd12::1]:8000",
        "http://models.internal.example",
        "https://127.1",
    ],
)
def test_a_provider_with_the_local_exemption_may_use_http_and_what_is_near(url: str) -> None:
    assert check_endpoint(RULES, "ollama", parse_endpoint(url)) == Verdict(True)
    assert check_endpoint(RULES, "openai", parse_endpoint(url)).allowed is False


@pytest.mark.parametrize("url", ["http://0.0.0.0:1", "http://198.18.0.1", "http://224.0.0.1", "http://240.0.0.1"])
def test_the_local_exemption_opens_nothing_else(url: str) -> None:
    assert check_endpoint(RULES, "ollama", parse_endpoint(url)).allowed is False


def test_the_overrides_open_what_they_name_and_no_more() -> None:
    loose = replace(RULES, allow_localhost=True)
    assert reason_of("https://localhost", rules=loose) is None
    assert reason_of("https://127.1", rules=loose) is None
    assert reason_of("https://10.0.0.1", rules=loose) == "private_ip"
    assert reason_of("http://127.0.0.1", rules=loose) == "insecure_http_forbidden"
    for plain in (replace(RULES, allow_insecure_http=True), replace(RULES, enforce_https=False)):
        assert reason_of("http://example.com", rules=plain) is None
        assert reason_of("http://127.0.0.1", rules=plain) == "loopback_ip"


def test_observing_lets_pass_and_says_what_for_and_off_says_nothing() -> None:
    endpoint = parse_endpoint("http://10.0.0.1")
    assert check_endpoint(replace(RULES, mode="observe"), "openai", endpoint) == Verdict(
        True, "insecure_http_forbidden", observed=True
    )
    assert check_endpoint(replace(RULES, mode="off"), "openai", endpoint) == Verdict(True)
    seen = check_address(replace(RULES, mode="observe"), "openai", endpoint, "10.0.0.1", resolved=True)
    assert seen == Verdict(True, "resolved_private_ip", observed=True)


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_what_cannot_be_dialled_is_refused_in_any_mode(mode: str) -> None:
    rules = replace(RULES, mode=mode)  # type: ignore[arg-type]
    assert check_endpoint(rules, "openai", Endpoint("ftp", "example.com", 21, "")).reason == "unsupported_scheme"
    assert check_endpoint(rules, "openai", Endpoint("https", "", 443, "")).reason == "missing_host"
    assert check_endpoint(rules, "openai", Endpoint("https", "a b", 443, "")).reason == "malformed_url"


def test_the_demo_provider_never_reaches_the_network() -> None:
    rules = replace(RULES, mode="off", allow_local_providers=frozenset({"demo"}))
    assert check_endpoint(rules, "demo", parse_endpoint("https://api.openai.com")).allowed is False


def test_an_endpoint_that_was_not_parsed_here_is_judged_all_the_same() -> None:
    for host in ("LOCALHOST", "0x7f.1", "2130706433", "localhost.", "１２７.1", "::ffff:7f00:1"):
        assert check_endpoint(RULES, "openai", Endpoint("https", host, 443, "")).allowed is False


def test_denied_hosts_match_exactly_below_or_both() -> None:
    rules = replace(RULES, deny_hosts=frozenset({"Bad.example.", "*.below.example", ".both.example", "10.9.8.7"}))
    refused = {
        host: check_endpoint(rules, "ollama", Endpoint("https", host, 443, "")).reason == "denylisted_host"
        for host in (
            "bad.example",
            "x.bad.example",
            "below.example",
            "a.below.example",
            "a.b.below.example",
            "xbelow.example",
            "both.example",
            "a.both.example",
            "10.9.8.7",
            "0x0a.9.8.7",
        )
    }
    assert [host for host, hit in refused.items() if not hit] == ["x.bad.example", "below.example", "xbelow.example"]
    everything = replace(RULES, deny_hosts=frozenset({"*"}))
    assert check_endpoint(everything, "openai", parse_endpoint("https://api.openai.com")).allowed is False


def test_denied_networks_hold_for_every_form_and_for_exempt_providers() -> None:
    rules = replace(RULES, deny_cidrs=("10.1.0.0/16", "8.8.8.8", "::ffff:9.9.9.0/120", "2606:4700::/32"))
    for host in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "8.8.8.8", "9.9.9.9", "2606:4700::1111"):
        assert check_endpoint(rules, "ollama", Endpoint("https", host, 443, "")).reason == "denylisted_cidr"
    assert check_endpoint(rules, "ollama", Endpoint("https", "10.2.0.1", 443, "")).allowed


def test_lists_that_cannot_be_read_are_errors_and_not_empty_lists() -> None:
    with pytest.raises(ConfigInvalid, match=r"'10\.0\.0\.0/99'") as caught:
        deny_networks(("10.0.0.0/8", "10.0.0.0/99"))
    assert caught.value.param == "egressPolicy.denyCidrs.1"
    with pytest.raises(ConfigInvalid, match="'a b'"):
        deny_hosts(frozenset({"a b"}))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("::FFFF:7f00:1", "::ffff:7f00:1"),
        ("example.com", None),
        ("1.2.3.4.5", None),
        ("", None),
    ],
)
def test_a_literal_address_is_told_from_a_name(host: str, address: str | None) -> None:
    found = literal_address(host)
    assert found is None if address is None else ipaddress.ip_address(found or "") == ipaddress.ip_address(address)


def test_this_machine_is_recognised_as_written() -> None:
    local = ("localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")
    assert all(is_local(Endpoint("http", host, 80, "")) for host in local)
    assert not any(is_local(Endpoint("http", host, 80, "")) for host in ("10.0.0.1", "example.com", "8.8.8.8"))


def test_errors_name_the_place_the_reason_and_the_repair() -> None:
    endpoint = parse_endpoint("http://localhost:1")
    error = blocked("openai", endpoint, "resolved_loopback_ip", "connect")
    assert isinstance(error, EgressBlocked)
    assert error.status == 403
    assert error.details == {
        "provider": "openai",
        "scheme": "http",
        "host": "localhost",
        "reason": "resolved_loopback_ip",
        "phase": "connect",
    }
    assert "egressPolicy.allowLocalProviders" in error.message
    write = unsafe("openai", endpoint, "localhost_forbidden", param="providers.openai.baseUrl")
    assert (write.status, write.param, write.details["phase"]) == (400, "providers.openai.baseUrl", "config_write")


def test_a_refused_url_is_never_quoted() -> None:
    for url in ("https://user:canary@h", "https://h/?key=canary", "https://canary canary", "canary://x"):
        with pytest.raises(UnsafeDestination) as caught:
            parse_endpoint(url)
        assert "canary" not in caught.value.message.replace("scheme 'canary'", "")


_PIECES = st.sampled_from(
    [
        *("https://", "http://", "127.0.0.1", "localhost", "::1", "0x", "xn--", "443", "99999", "a" * 64),
        *".:[]@/\\%?# \x00-_",
        *"１。ßé²\u200d\ud800",
    ]
)


@given(st.one_of(st.text(max_size=80), st.lists(_PIECES, max_size=10).map("".join)))
@example("https://" + "9" * 2000)
@example("https://" + "[" * 500)
@example("https://xn--" + "a" * 59 + ".com")
def test_reading_any_text_gives_an_endpoint_or_unsafe_destination(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except UnsafeDestination as fault:
        assert fault.details["reason"] in REASONS
        return
    assert endpoint.scheme in ("http", "https")
    assert endpoint.host.isascii()
    assert 0 < endpoint.port < 65536
    assert parse_endpoint(str(endpoint)) == endpoint
    assert isinstance(check_endpoint(RULES, "openai", endpoint), Verdict)


@given(st.ip_addresses(v=4))
def test_every_way_to_carry_an_ipv4_address_is_judged_as_that_address(address: ipaddress.IPv4Address) -> None:
    plain = check_endpoint(RULES, "openai", Endpoint("https", str(address), 443, ""))
    value = int(address)
    spellings = [
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        f"::ffff:0:{address}",
        f"{value}",
        f"{value:#x}",
        f"0{value:o}",
        str(ipaddress.IPv6Address(0x2002 << 112 | value << 80)),
    ]
    for spelling in spellings:
        assert check_endpoint(RULES, "openai", Endpoint("https", spelling, 443, "")) == plain
