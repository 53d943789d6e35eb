"""Where bytes may go: a URL to an `Endpoint`, an endpoint or an address to a `Verdict` (SPEC §6).

Nothing here looks a name up or opens anything. `transport` asks twice: about the endpoint as written, then about each
address it is about to dial, so that what was judged is what is dialled.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import urlsplit

from ..errors import ConfigInvalid, EgressBlocked, UnsafeDestination
from ..values import EgressRules, Endpoint

__all__ = [
    "AWS_METADATA",
    "OFFLINE_PROVIDER",
    "REASONS",
    "Phase",
    "Verdict",
    "blocked",
    "check_address",
    "check_endpoint",
    "deny_hosts",
    "deny_networks",
    "is_local",
    "literal_address",
    "parse_endpoint",
    "unsafe",
]

Phase = Literal["config_write", "resolve", "connect"]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Answers inside the process (SPEC §8); nothing of it may leave.
OFFLINE_PROVIDER: Final = "demo"

#: Every reason, and what a person is told about it. Those about addresses also exist as `resolved_<reason>`.
REASONS: Final[Mapping[str, str]] = {
    "unsupported_scheme": "only https:// and http:// are spoken; write the address as https://host/path",
    "userinfo_forbidden": "a user name or password stands in the address; put the credential in a profile instead",
    "missing_host": "the address names no host; write it as https://host/path",
    "malformed_url": "the address is not a plain URL of scheme, host, optional port and path",
    "insecure_http_forbidden": (
        "plain http would show the credential to the network; use https, or list the provider in "
        "egressPolicy.allowLocalProviders if it is yours and local"
    ),
    "denylisted_host": "the host is a metadata service or on egressPolicy.denyHosts",
    "localhost_forbidden": (
        "the name means this machine; list the provider in egressPolicy.allowLocalProviders if that is meant"
    ),
    "denylisted_cidr": "the address is a metadata service or on egressPolicy.denyCidrs",
    "loopback_ip": (
        "the address is this machine; list the provider in egressPolicy.allowLocalProviders if that is meant"
    ),
    "private_ip": (
        "the address is in a private network; list the provider in egressPolicy.allowLocalProviders if that is meant"
    ),
    "link_local_ip": "link-local addresses are where metadata services live, and are never reached",
    "cgnat_ip": (
        "the address is in shared carrier space; list the provider in egressPolicy.allowLocalProviders if that is meant"
    ),
    "benchmark_ip": "the address is in a range kept for benchmarks",
    "multicast_ip": "the address is a multicast group",
    "unspecified_ip": "the address means 'any address' and is no destination",
    "reserved_ip": "the address is in a reserved range",
}


#: Who asks AWS's metadata services for credentials (SPEC §6): no provider of a config can have this id.
AWS_METADATA: Final = "aws metadata"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it may be sent. `observed`: allowed only because the mode is `observe`; `reason` then says what for."""

    allowed: bool
    reason: str | None = None
    observed: bool = False


_ALLOWED: Final = Verdict(True)

_METADATA_HOSTS: Final = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.aws.internal",
        "metadata.azure.com",
        "metadata.azure.internal",
        "metadata.equinix.com",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.internal",
        "metadata.nebius.internal",
        "metadata.oraclecloud.com",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.scaleway.com",
        "metadata.tencentyun.com",
        "rancher-metadata",
        "rancher-metadata.rancher.internal",
    }
)
_LOCAL_HOSTS: Final = frozenset(
    {
        "ip6-localhost",
        "ip6-loopback",
        "localhost",
        "localhost.localdomain",
        "localhost4",
        "localhost4.localdomain4",
        "localhost6",
        "localhost6.localdomain6",
    }
)


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


#: Never reached, by nobody, in no mode (SPEC §6); `link_local_ip` is as hard as these.
_METADATA: Final = _networks(
    "169.254.169.254/32",
    "169.254.170.2/32",
    "169.254.170.23/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "100.100.100.200/32",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
)

#: What `awsMetadata` opens, to `AWS_METADATA` alone: instances, containers, and pods of EKS.
_AWS_METADATA_ADDRESSES: Final = frozenset(
    {"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"}
)

#: First match wins. Sources: the IANA special-purpose address registries for IPv4 and IPv6.
_RANGES: Final[tuple[tuple[_Network, str], ...]] = tuple(
    (network, reason)
    for reason, texts in (
        ("unspecified_ip", ("0.0.0.0/32", "::/128")),
        ("loopback_ip", ("127.0.0.0/8", "::1/128")),
        ("link_local_ip", ("169.254.0.0/16", "fe80::/10")),
        # fec0::/10 is the retired site-local range; 64:ff9b:1::/48 is NAT64 for local use
        ("private_ip", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10", "64:ff9b:1::/48")),
        ("cgnat_ip", ("100.64.0.0/10",)),
        ("benchmark_ip", ("198.18.0.0/15", "2001:2::/48")),
        ("multicast_ip", ("224.0.0.0/4", "ff00::/8")),
        (
            "reserved_ip",
            (
                "0.0.0.0/8",
                "192.0.0.0/24",
                "192.0.2.0/24",
                "192.88.99.0/24",
                "198.51.100.0/24",
                "203.0.113.0/24",
                "240.0.0.0/4",
                "2001::/23",
                "2001:db8::/32",
                "3fff::/20",
            ),
        ),
    )
    for network in _networks(*texts)
)
#: What the world hands out as IPv6, and the NAT64 prefix of RFC 6052; whatever lies elsewhere is reserved.
_GLOBAL_V6: Final = _networks("2000::/3", "64:ff9b::/96")

_LOCAL_REASONS: Final = frozenset({"localhost_forbidden", "loopback_ip", "private_ip", "cgnat_ip"})
_LOOPBACK_REASONS: Final = frozenset({"localhost_forbidden", "loopback_ip"})
#: Refused in any mode: metadata, and what can't be dialled at all.
_HARD_REASONS: Final = frozenset(
    {"unsupported_scheme", "missing_host", "malformed_url", "denylisted_host", "denylisted_cidr", "link_local_ip"}
)

_MAX_URL: Final = 2048
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")
_PATH: Final = re.compile(r"[!$%&'()*+,\-./0-9:;=@A-Z_a-z~]*")
_DOTS: Final = str.maketrans({"。": ".", "．": ".", "｡": "."})  # the full stops of RFC 3490 §3.1
#: IDNA 2003 and 2008 read these differently, so one of them would go to a stranger's host.
_AMBIGUOUS: Final = frozenset("ßςẞ\u200c\u200d")
_USUAL_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


# --- reading a URL ---------------------------------------------------------------------------------------------


def parse_endpoint(url: str) -> Endpoint:
    """A base URL as an `Endpoint`, its host normalised: lower-case, IDNA, no trailing dot, addresses in usual form.

    Raises:
        UnsafeDestination: it is not a plain http(s) URL; `details.reason` says why. The text is never quoted, for it
            may hold a secret.
    """
    if len(url) > _MAX_URL or any(ch <= " " or ch in "\\\x7f" or ch.isspace() or _invisible(ch) for ch in url):
        raise _unreadable("malformed_url", "blanks, control characters, backslashes or over 2,048 characters")
    try:
        parts = urlsplit(url)
    except ValueError as fault:
        raise _unreadable("malformed_url", "its host part does not parse") from fault
    if parts.scheme not in _USUAL_PORTS:
        raise _unreadable("unsupported_scheme", f"scheme {parts.scheme[:20]!r}", scheme=parts.scheme)
    if "@" in parts.netloc:
        raise _unreadable("userinfo_forbidden", "text before an @", scheme=parts.scheme)
    if "?" in url or "#" in url:
        raise _unreadable("malformed_url", "a query or a fragment", scheme=parts.scheme)
    if not _PATH.fullmatch(parts.path):
        raise _unreadable("malformed_url", "characters in the path that must be percent-encoded", scheme=parts.scheme)
    host, port = _read_authority(parts.netloc, parts.scheme)
    return Endpoint(parts.scheme, host, port, parts.path.rstrip("/"))


def _invisible(ch: str) -> bool:
    return ch > "\x7f" and unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")


def _unreadable(reason: str, found: str, *, scheme: str = "") -> UnsafeDestination:
    return UnsafeDestination(
        f"The destination is refused, {reason}: {REASONS[reason]} (found: {found}).",
        details={"scheme": scheme, "host": "", "reason": reason},
    )


def _read_authority(netloc: str, scheme: str) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(netloc)
    if match is None:
        raise _unreadable("malformed_url", "a host or port that does not parse", scheme=scheme)
    written, port_text = match.groups()
    port = int(port_text) if port_text else _USUAL_PORTS[scheme]
    if not 0 < port < 65536:
        raise _unreadable("malformed_url", "a port outside 1…65535", scheme=scheme)
    if not written:
        raise _unreadable("missing_host", "no host", scheme=scheme)
    host = _normal_host(written)
    if host is None:
        raise _unreadable("malformed_url", "a host that is neither a name nor an address", scheme=scheme)
    return host, port


def _normal_host(written: str) -> str | None:
    """The one spelling of a host, None when it is neither a DNS name nor an address."""
    if written.startswith("["):
        return _normal_v6(written[1:-1])
    if not written.isascii():
        written = _to_ascii(written)
    host = written.lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _normal_v4(labels)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) and _sound_punycode(label) for label in labels):
        return None
    return host


def _to_ascii(written: str) -> str:
    """IDNA by the standard codec; "" where the two IDNA versions disagree or it does not encode."""
    folded = unicodedata.normalize("NFKC", written).translate(_DOTS)
    if not _AMBIGUOUS.isdisjoint(written) or not _AMBIGUOUS.isdisjoint(folded):
        return ""
    try:
        return folded.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _sound_punycode(label: str) -> bool:
    """Whether an `xn--` label says what it claims: it decodes, to something not ASCII, and encodes back to itself."""
    if not label.startswith("xn--"):
        return True
    try:
        text = label.encode("ascii").decode("idna")
        return not text.isascii() and text.encode("idna").decode("ascii") == label
    except UnicodeError:
        return False


def _normal_v6(text: str) -> str | None:
    if "%" in text:  # a zone names an interface, not a destination
        return None
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return None


def _normal_v4(labels: list[str]) -> str | None:
    """`inet_aton`'s reading: one to four parts, decimal, octal or hex, the last filling what is left."""
    if len(labels) > 4 or not all(_NUMBER.fullmatch(label) for label in labels):
        return None
    try:
        *head, tail = [_number(label) for label in labels]
    except ValueError:
        return None
    if any(part > 255 for part in head) or tail >= 256 ** (4 - len(head)):
        return None
    value = sum(part << (24 - 8 * place) for place, part in enumerate(head)) + tail
    return str(ipaddress.IPv4Address(value))


def _number(label: str) -> int:
    if len(label) > 20:  # no number of an address is that long, and int() is slow on long ones
        raise ValueError
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8 if label.startswith("0") else 10)


def literal_address(host: str) -> str | None:
    """The address that `host` spells, in its usual form; None for a name, or for no host at all."""
    normal = _normal_v6(host) if ":" in host else _normal_host(host)
    if normal is None or not (":" in normal or _NUMBER.fullmatch(normal.rpartition(".")[2])):
        return None
    return normal


# --- judging ---------------------------------------------------------------------------------------------------


def check_endpoint(rules: EgressRules, provider: str, endpoint: Endpoint) -> Verdict:
    """What can be said of an endpoint without looking its name up. Metadata comes first, then SPEC §6's order.

    Raises:
        ConfigInvalid: an entry of `deny_hosts` is no host, or one of `deny_cidrs` no network.
    """
    if provider == AWS_METADATA and rules.aws_metadata and _is_aws_metadata(endpoint):
        return _ALLOWED
    reasons = list(_endpoint_reasons(rules, provider, endpoint))
    return _verdict(rules, provider, reasons)


def _is_aws_metadata(endpoint: Endpoint) -> bool:
    return (endpoint.scheme, endpoint.port) == ("http", 80) and endpoint.host in _AWS_METADATA_ADDRESSES


def check_address(
    rules: EgressRules,
    provider: str,
    endpoint: Endpoint,  # noqa: ARG001 - part of the question, though no rule of today depends on it
    ip: str,
    *,
    resolved: bool,
) -> Verdict:
    """Whether `provider` may dial `ip` for `endpoint`; `resolved` says that DNS gave it.

    Raises:
        ConfigInvalid: an entry of `deny_cidrs` is no network.
    """
    verdict = _verdict(rules, provider, list(_address_reasons(rules, ip)))
    if not resolved or verdict.reason is None:
        return verdict
    return Verdict(verdict.allowed, f"resolved_{verdict.reason}", verdict.observed)


def _verdict(rules: EgressRules, provider: str, reasons: list[str]) -> Verdict:
    hard = next((reason for reason in reasons if reason in _HARD_REASONS), None)
    if hard is not None:
        return Verdict(False, hard)
    if rules.mode == "off":
        return _ALLOWED
    reason = next((reason for reason in reasons if not _excused(rules, provider, reason)), None)
    if reason is None:
        return _ALLOWED
    observing = rules.mode == "observe"
    return Verdict(observing, reason, observing)


def _excused(rules: EgressRules, provider: str, reason: str) -> bool:
    local = provider in rules.allow_local_providers
    if reason == "insecure_http_forbidden":
        return local or rules.allow_insecure_http or not rules.enforce_https
    return (local and reason in _LOCAL_REASONS) or (rules.allow_localhost and reason in _LOOPBACK_REASONS)


def _endpoint_reasons(rules: EgressRules, provider: str, endpoint: Endpoint) -> Iterator[str]:
    if endpoint.scheme not in _USUAL_PORTS:
        yield "unsupported_scheme"
    if not endpoint.host:
        yield "missing_host"
        return
    if endpoint.scheme == "http":
        yield "insecure_http_forbidden"
    host = _normal_v6(endpoint.host) if ":" in endpoint.host else _normal_host(endpoint.host)
    if host is None:
        yield "malformed_url"
        return
    if provider == OFFLINE_PROVIDER or _denied_host(rules, host):
        yield "denylisted_host"
    if host in _LOCAL_HOSTS or host.endswith(".localhost"):
        yield "localhost_forbidden"
    address = literal_address(host)
    if address is not None:
        yield from _address_reasons(rules, address)


def _denied_host(rules: EgressRules, host: str) -> bool:
    if host in _METADATA_HOSTS or host.endswith(".metadata.google.internal"):
        return True
    exact, suffixes = deny_hosts(rules.deny_hosts)
    return host in exact or host.endswith(suffixes)


@lru_cache(maxsize=16)
def deny_hosts(entries: frozenset[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """`denyHosts` as exact names and suffixes: `*.x` is what lies below x, `.x` is x too, `*` is everything.

    Raises:
        ConfigInvalid: an entry is none of these; a list that can't be read must not pass for a shorter one.
    """
    exact, suffixes = set(), set()
    for entry in entries:
        text = entry.strip().lower()
        if text == "*":
            suffixes.add("")
            continue
        bare = text.removeprefix("*").removeprefix(".").strip("[]")
        host = _normal_v6(bare) if ":" in bare else _normal_host(bare)
        if host is None:
            raise ConfigInvalid(
                f"{entry!r} is no host; write a name, an address, *.name for what lies below it, or .name for both.",
                param="egressPolicy.denyHosts",
            )
        if text.startswith(("*", ".")):
            suffixes.add("." + host)
        if not text.startswith("*"):
            exact.add(host)
    return frozenset(exact), tuple(sorted(suffixes))


@lru_cache(maxsize=16)
def deny_networks(texts: tuple[str, ...]) -> tuple[_Network, ...]:
    """`denyCidrs` parsed; host bits may be set, and a bare address is a network of one.

    Raises:
        ConfigInvalid: one of them is no network; a list that can't be read must not pass for an empty one.
    """
    networks: list[_Network] = []
    for place, text in enumerate(texts):
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError as fault:
            raise ConfigInvalid(
                f"{text!r} is no network; write it as 10.0.0.0/8 or fd00::/8.",
                param=f"egressPolicy.denyCidrs.{place}",
            ) from fault
        networks.append(_unmapped(network))
    return tuple(networks)


def _unmapped(network: _Network) -> _Network:
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((int(mapped), network.prefixlen - 96))


def _address_reasons(rules: EgressRules, ip: str) -> Iterator[str]:
    """Why `ip` may be refused: denied networks for any form of it, then what each form is."""
    literal = literal_address(ip.partition("%")[0])
    if literal is None:
        yield "malformed_url"
        return
    forms = _forms(ipaddress.ip_address(literal))
    denied = (*_METADATA, *deny_networks(rules.deny_cidrs))
    if any(form in network for form in forms for network in denied):
        yield "denylisted_cidr"
    for form in forms:
        reason = _range_reason(form)
        if reason is not None:
            yield reason


def _range_reason(address: _Address) -> str | None:
    for network, reason in _RANGES:
        if address in network:
            return reason
    if address.version == 6 and not any(address in network for network in _GLOBAL_V6):
        return "reserved_ip"
    return None


def _forms(address: _Address) -> tuple[_Address, ...]:
    """The address and those it carries inside (RFC 4291, 6052, 3056, 4380, 5214), the innermost first."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    value = int(address)
    if value <= 1:  # :: and ::1 are themselves, not IPv4-compatible spellings of 0.0.0.0 and 0.0.0.1
        return (address,)
    for prefix, wholly in _CARRIERS:
        if value >> 32 == prefix:
            inner = ipaddress.IPv4Address(value & 0xFFFFFFFF)
            return (inner,) if wholly else (inner, address)
    return (*(ipaddress.IPv4Address(part) for part in _embedded(value)), address)


#: The upper 96 bits that make the rest an IPv4 address; True where it is nothing but that address.
_CARRIERS: Final[tuple[tuple[int, bool], ...]] = (
    (0x0000_0000_0000_0000_0000_FFFF, True),  # ::ffff:0:0/96, IPv4-mapped
    (0x0000_0000_0000_0000_FFFF_0000, True),  # ::ffff:0:0:0/96, IPv4-translated
    (0x0064_FF9B_0000_0000_0000_0000, True),  # 64:ff9b::/96, NAT64
    (0x0000_0000_0000_0000_0000_0000, False),  # ::/96, IPv4-compatible, retired
)


def _embedded(value: int) -> Iterator[int]:
    """IPv4 addresses at the places where tunnels and translators put them."""
    low = value & 0xFFFFFFFF
    if value >> 112 == 0x2002:  # 6to4
        yield value >> 80 & 0xFFFFFFFF
    if value >> 96 == 0x2001_0000:  # Teredo: the client's address inverted, and the server's
        yield low ^ 0xFFFFFFFF
        yield value >> 64 & 0xFFFFFFFF
    if value >> 80 == 0x0064_FF9B_0001:  # NAT64 for local use: the place depends on the prefix length, so all of them
        places = (low, (value >> 64 & 0xFFFF) << 16 | value >> 40 & 0xFFFF, value >> 24 & 0xFFFFFFFF)
        yield from (place for place in places if place >> 24)  # zeros are where it does not stand
    if value >> 32 & 0xFDFFFFFF == 0x00005EFE:  # ISATAP, with the universal bit set or not
        yield low


def is_local(endpoint: Endpoint) -> bool:
    """Whether the endpoint is this machine as written: a local name or a loopback address."""
    if endpoint.host in _LOCAL_HOSTS or endpoint.host.endswith(".localhost"):
        return True
    address = literal_address(endpoint.host)
    return address is not None and _range_reason(_forms(ipaddress.ip_address(address))[0]) == "loopback_ip"


# --- saying no -------------------------------------------------------------------------------------------------


def blocked(provider: str, endpoint: Endpoint, reason: str, phase: Phase) -> EgressBlocked:
    """The error for a refused destination. It names the host as configured, never an address that DNS gave."""
    return EgressBlocked(_sentence(provider, endpoint, reason), details=_details(provider, endpoint, reason, phase))


def unsafe(provider: str, endpoint: Endpoint, reason: str, *, param: str | None = None) -> UnsafeDestination:
    """The same for a write of config; `param` is the path of the field."""
    return UnsafeDestination(
        _sentence(provider, endpoint, reason), param=param, details=_details(provider, endpoint, reason, "config_write")
    )


def _sentence(provider: str, endpoint: Endpoint, reason: str) -> str:
    why = REASONS.get(reason.removeprefix("resolved_"), "the egress policy forbids it")
    found = "what its name resolves to is refused" if reason.startswith("resolved_") else "refused"
    return f"Provider {provider!r} may not send to {endpoint.host!r}, {found} as {reason}: {why}."


def _details(provider: str, endpoint: Endpoint, reason: str, phase: Phase) -> dict[str, object]:
    return {
        "provider": provider,
        "scheme": endpoint.scheme,
        "host": endpoint.host,
        "reason": reason,
        "phase": phase,
    }
