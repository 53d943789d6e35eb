"""A local server is reachable from any page its user opens: hosts, origins, proxies and paths (SPEC §2)."""

from __future__ import annotations

import json

import pytest

CHAT = json.dumps({"model": "fake/fake-model", "messages": [{"role": "user", "content": "hello"}]}).encode()
LISTED = "https://app.example"
SCHEME = "vscode-webview://0a1b2c"


@pytest.fixture(scope="module")
def house(open_house):
    return open_house(
        server={"allowedHosts": ["gateway.example", "Team.Example."], "corsOrigins": [LISTED, SCHEME]},
        environ={"OPEN_LLM_AUTH_ALLOW_ANON": "1"},
    )


# --- Host ------------------------------------------------------------------------------------------------------

OURS = [
    "127.0.0.1",
    "127.0.0.1:8080",
    "127.0.0.1:",
    "localhost",
    "LOCALHOST:65535",
    "localhost.",
    "app.localhost",
    "host.docker.internal:8080",
    "[::1]",
    "[::1]:8080",
    "[2001:db8::1]",
    "192.168.1.20:8080",
    "10.0.0.1",
    "gateway.example",
    "Gateway.Example:443",
    "gateway.example.",
    "team.example",
]

FOREIGN = [
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io",
    "localhost.evil.example",
    "notlocalhost",
    "evil-localhost",
    "localhost@evil.example",
    "evil.example#localhost",
    "evil.example/localhost",
    "evil.example?localhost",
    "localhost,evil.example",
    "localhost evil.example",
    "gateway.example.evil.example",
    "xgateway.example",
    "sub.gateway.example",
    "gateway.example:80:80",
    "gateway.example:port",
    "gateway.example:123456",
    "[evil.example]",
    "[::1",
    "::1]",
    "[::1]x",
    "[::1].evil.example",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "localhost..",
    ".",
    "",
    ":8080",
    "host.docker.internal.evil.example",
    "xn--lcalhost-e1a",
    "l\xf6calhost",
    "localhost\xa0",
    "a" * 5000,
    "a." * 200 + "localhost",
    "*",
    "null",
]


@pytest.mark.parametrize("host", OURS)
def test_a_name_that_can_only_mean_this_machine_or_is_listed_is_answered(house, host):
    assert house.ask("GET", "/v1/models", host=host).status == 200


@pytest.mark.parametrize("host", FOREIGN, ids=lambda host: repr(host[:40]))
def test_a_name_that_a_page_could_have_pointed_here_is_refused_before_anything_else(house, host):
    """A good token does not help, and neither does a page, a preflight or a listed origin."""
    for method, target, fields in (
        ("GET", "/v1/models", ()),
        ("POST", "/v1/chat/completions", ()),
        ("GET", "/", ()),
        ("GET", "/health/ready", ()),
        ("GET", "/openapi.json", ()),
        ("GET", "/nowhere", ()),
        ("OPTIONS", "/v1/models", (("Origin", LISTED), ("Access-Control-Request-Method", "GET"))),
    ):
        answer = house.ask(method, target, *fields, host=host)
        assert answer.status == 421, answer.text()
        assert answer.code == "host_not_allowed"
        assert "server.allowedHosts" in answer.json()["error"]["message"]
        assert "access-control-allow-origin" not in answer.headers


def test_liveness_answers_under_any_name_and_tells_nothing(house):
    for host in FOREIGN:
        answer = house.ask("GET", "/health", host=host, token=None)
        assert (answer.status, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_request_without_a_host_is_refused(house, version):
    assert house.ask("GET", "/v1/models", host=None, version=version).status == 421


def test_http_1_0_is_judged_like_any_other(house):
    assert house.ask("GET", "/v1/models", version="1.0").status == 200
    assert house.ask("GET", "/v1/models", version="1.0", host="evil.example").status == 421
    assert house.ask("GET", "/v1/models", version="1.0", token=None).status == 401


@pytest.mark.parametrize(("first", "second"), [("127.0.0.1", "evil.example"), ("evil.example", "127.0.0.1")])
def test_two_hosts_are_none(house, first, second):
    """Whichever of them somebody in front has judged, the other is not served."""
    answer = house.ask("GET", "/v1/models", ("Host", second), host=first)
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_a_target_that_names_a_host_is_judged_by_it(house):
    """RFC 9112, section 3.2.2: the authority of an absolute target counts, and Host does not."""
    for target, host, status in (
        ("http://evil.example/v1/models", "127.0.0.1", 421),
        ("https://evil.example:8080/v1/models", "localhost", 421),
        ("http://127.0.0.1@evil.example/v1/models", "127.0.0.1", 421),
        ("http://127.0.0.1/v1/models", "evil.example", 200),
        ("http://127.0.0.1/v1/models", "127.0.0.1", 200),
        ("http://[::1]:8080/v1/models", "127.0.0.1", 200),
        ("http://[2001:db8::1]/v1/models", "127.0.0.1", 200),
        ("ftp://evil.example/v1/models", "127.0.0.1", 421),
        ("http:///v1/models", "127.0.0.1", 400),
        ("http://127.0.0.1", "127.0.0.1", 400),
    ):
        answer = house.ask("GET", target, host=host)
        assert answer.status == status, (target, host, answer.text())
    own = ("Origin", "http://evil.example")
    assert house.ask("GET", "http://evil.example/v1/models", own, host="127.0.0.1").status == 421


def test_forwarded_headers_of_a_stranger_change_nothing(house):
    """Nobody is a trusted proxy unless the config says so."""
    forged = (
        ("X-Forwarded-Host", "127.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Original-Host", "localhost"),
        ("X-Host", "localhost"),
        ("Forwarded", "host=localhost;for=127.0.0.1;proto=https"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Original-URL", "/health"),
        ("X-Rewrite-URL", "/health"),
        ("X-HTTP-Method-Override", "GET"),
    )
    assert house.ask("GET", "/v1/models", *forged, host="evil.example").status == 421
    assert house.ask("GET", "/v1/models", *forged, token=None).status == 401
    assert house.ask("GET", "/v1/models", ("X-Forwarded-Host", "evil.example")).status == 200
    own = ("Origin", "https://127.0.0.1")
    assert house.ask("GET", "/v1/models", own, ("X-Forwarded-Proto", "https")).status == 403


@pytest.fixture(scope="module")
def behind_proxy(open_house):
    return open_house(server={"trustedProxies": ["127.0.0.0/8"], "allowedHosts": ["gateway.example"]})


def test_a_trusted_proxys_word_counts_and_is_judged_all_the_same(behind_proxy):
    def ask(forwarded, *fields, host="inside.example"):
        return behind_proxy.ask("GET", "/v1/models", ("X-Forwarded-Host", forwarded), *fields, host=host).status

    assert ask("gateway.example") == 200
    assert ask("evil.example", host="127.0.0.1") == 421
    assert ask("gateway.example, inner.example") == 200
    assert ask("evil.example, gateway.example") == 421
    own = ("Origin", "https://gateway.example")
    assert ask("gateway.example", own, ("X-Forwarded-Proto", "https")) == 200
    assert ask("gateway.example", own) == 403


# --- Origin ----------------------------------------------------------------------------------------------------


def own_origin(house) -> str:
    return f"http://127.0.0.1:{house.gateway.port}"


def strangers(house) -> list[str]:
    own = own_origin(house)
    return [
        "null",
        "",
        "https://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1",
        own.replace("http:", "https:"),
        own + "/",
        own + ".evil.example",
        own.replace("127.0.0.1", "localhost"),
        own + "@evil.example",
        LISTED + ":8443",
        LISTED.replace("https", "http"),
        LISTED + "/",
        LISTED.upper(),
        "https://x" + LISTED.removeprefix("https://"),
        "https://sub.app.example",
        f"{LISTED} https://evil.example",
        SCHEME + "9",
        "vscode-webview://",
        "file://",
        "chrome-extension://abcdef",
        "*",
        "\xff\xfe",
    ]


def test_a_page_of_another_origin_is_refused_with_and_without_a_token(house):
    for origin in strangers(house):
        for method, target, body in (
            ("GET", "/v1/models", b""),
            ("POST", "/v1/chat/completions", CHAT),
            ("GET", "/", b""),
        ):
            for token in (house.gateway.token, None):
                host = f"127.0.0.1:{house.gateway.port}"
                answer = house.ask(method, target, ("Origin", origin), host=host, token=token, body=body)
                assert answer.status == 403, (origin, answer.text())
                assert answer.code == "origin_not_allowed"
                assert "server.corsOrigins" in answer.json()["error"]["message"]
                assert not [name for name in answer.headers if name.startswith("access-control")]
    assert house.provider.calls == []


def test_two_origins_are_none(house):
    for first, second in ((LISTED, "https://evil.example"), ("https://evil.example", LISTED)):
        answer = house.ask("GET", "/v1/models", ("Origin", first), ("Origin", second))
        assert answer.status == 400
        assert "access-control-allow-origin" not in answer.headers


def test_the_gateways_own_pages_need_no_permission_and_get_no_cors_headers(house):
    port = house.gateway.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"LocalHost:{port}"):
        answer = house.ask("GET", "/v1/models", ("Origin", f"http://{host.lower()}"), host=host)
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", [LISTED, SCHEME])
def test_a_listed_origin_may_read_answers_and_errors_but_still_needs_a_token(house, origin):
    for token, target, status in (
        (house.gateway.token, "/v1/models", 200),
        (None, "/v1/models", 401),
        (house.gateway.token, "/nowhere", 404),
    ):
        answer = house.ask("GET", target, ("Origin", origin), token=token)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["vary"] == "origin"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", [LISTED, SCHEME])
def test_preflights_are_answered_for_listed_origins_without_a_token(house, origin):
    wanted = (
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, content-type, x-auth-profile"),
        ("Access-Control-Request-Private-Network", "true"),
    )
    answer = house.ask("OPTIONS", "/v1/chat/completions", *wanted, token=None)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


def test_preflights_of_strangers_are_refused(house):
    for origin in strangers(house):
        wanted = (("Origin", origin), ("Access-Control-Request-Method", "POST"))
        host = f"127.0.0.1:{house.gateway.port}"
        answer = house.ask("OPTIONS", "/v1/chat/completions", *wanted, host=host, token=None)
        assert answer.status == 403, (origin, answer.text())
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_listed_origins_plain_options_is_no_preflight(house):
    answer = house.ask("OPTIONS", "/v1/models", ("Origin", LISTED), token=None)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET"


# --- paths -----------------------------------------------------------------------------------------------------

#: What a stranger sends, and what he is told. Never a page, a list or a file that is not public.
PATHS = {
    "//v1/models": 404,
    "/v1//models": 404,
    "/v1/./models": 404,
    "/v1/../v1/models": 404,
    "/health/../v1/models": 404,
    "/static/../v1/models": 404,
    "/health/..;/v1/models": 404,
    "/v1/%6dodels": 401,
    "/%76%31/models": 401,
    "/v1%2fmodels": 401,
    "/v1/models%2f..": 401,
    "/v1/models/%2e%2e/%2e%2e/config.json": 401,
    "/v1/models/": 404,
    "/v1/models;a=b": 404,
    "/v1/models%00": 404,
    "/v1/models%00/health": 404,
    "/v1/models%20": 404,
    "/V1/MODELS": 404,
    "/v1/chat/completions/": 404,
    "/health%2f": 404,
    "/static/": 404,
    "/static/../main.py": 404,
    "/static/%2e%2e/main.py": 404,
    "/static/..%2fmain.py": 404,
    "/static/..%5cmain.py": 404,
    "/static/%252e%252e/main.py": 404,
    "/static/....//main.py": 404,
    "/static//etc/passwd": 404,
    "/static/%2fetc%2fpasswd": 404,
    "/static/page.css%00.html": 404,
    "/static/page.css/": 404,
    "/static/__init__.py": 404,
    "/static/index.html": 404,
    "/..%2f..%2fetc%2fpasswd": 404,
    "/config.json": 404,
    "/.env": 404,
    "/backups": 404,
    "/docs/": 404,
    "/redoc": 404,
    "/%0d%0aSet-Cookie:%20a=b": 404,
    "/%1b[2J%1b[31m": 404,
    "/%ff%fe": 404,
    "/%ed%a0%80": 404,
    "/%": 404,
    "/%zz": 404,
    "/\u00ff": 400,
    "/a b": 400,
    "/\x01": 400,
    "/" + "a" * 60_000: 404,
    "*": 404,
    "v1/models": 400,
    "\\v1\\models": 400,
    "?": 400,
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: repr(path[:40]))
def test_no_spelling_of_a_path_comes_round_the_door(house, path):
    """One decoded path is routed, judged and served: there is no second reading of it to slip through."""
    answer = house.ask("GET", path, token=None)
    assert answer.status == PATHS[path], answer.text()
    assert b"fake-model" not in answer.body
    assert b"import " not in answer.body
    assert b"root:" not in answer.body
    assert "set-cookie" not in answer.headers


def test_a_decoded_path_needs_the_scope_of_what_it_decodes_to(house):
    assert house.ask("GET", "/v1/%6dodels").status == 200
    assert house.ask("GET", "/v1/models/fake%2ffake-model").json()["id"] == "fake/fake-model"


def test_query_strings_are_no_part_of_the_path(house):
    for query in ("?", "?a=b", "?/../health", "?%00", "??", "?a=" + "b" * 10_000):
        assert house.ask("GET", "/v1/models" + query, token=None).status == 401


def test_every_error_of_the_openai_surface_has_its_shape(house):
    for path, status in PATHS.items():
        answer = house.ask("GET", path, token=None)
        if status != 400 and path.startswith("/v1/"):
            assert set(answer.json()["error"]) - {"details"} == {"message", "type", "param", "code"}


# --- what a browser is told ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs", "/static/page.css"])
def test_pages_forbid_frames_sniffing_and_foreign_code(house, path):
    headers = house.ask("GET", path, token=None).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_nothing_ever_sets_a_cookie_or_names_the_server(house):
    for method, path in (("GET", "/"), ("GET", "/health"), ("GET", "/v1/models"), ("GET", "/nowhere"), ("PUT", "/")):
        headers = house.ask(method, path, ("Cookie", "a=b")).headers
        assert "set-cookie" not in headers
        assert "server" not in headers


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("mine-1", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("", False),
        ("two words", False),
        ("a\tb", False),
        ("\xe9", False),
        ("<script>", False),
        ('"}{"', False),
        ("%0d%0a", False),
    ],
)
def test_a_request_id_is_kept_only_when_it_is_sane(house, given, kept):
    answer = house.ask("GET", "/v1/models", ("X-Request-Id", given))
    assert (answer.headers["x-request-id"] == given) is kept
    assert answer.headers["x-request-id"]
    assert answer.headers["x-gateway-call-id"].startswith("call_")
