"""Signing in as people do it: at a terminal, over SSH, without a browser, with a change of mind at every step."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from open_llm_auth.cli.person import has_browser
from open_llm_auth.testing import free_port
from open_llm_auth.testing.issuer import Said, Turn
from open_llm_auth.testing.issuer_sign_in import FakeSignInIssuer

LOCAL = ["openai-codex", "github-copilot", "minimax-portal", "kimi-coding", "qwen-portal", "acme"]
FLOWS = {
    "openai-codex": "browser",
    "github-copilot": "copilot",
    "minimax-portal": "minimax",
    "kimi-coding": "device",
    "qwen-portal": "device-pkce",
}


@pytest.fixture
def issuer():
    with FakeSignInIssuer(client_id="", jwt=True) as issuer:
        yield issuer


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def home(cli, issuer, port):
    """A config whose sign-ins are all at the fake issuer."""
    cli.write(config_at(issuer, port))
    return cli.home


def config_at(issuer, port, **kinds):
    oauth = {provider: issuer.settings(kinds.get(provider, flow)) for provider, flow in FLOWS.items()}
    oauth["openai-codex"]["redirectPort"] = port
    return {"oauth": oauth, "egressPolicy": {"allowLocalProviders": LOCAL}}


def get(url):
    """What a browser does: one GET; the status, where it is sent on to, and the page."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    with socket.create_connection((host, parts.port), timeout=10) as connection:
        head = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer or b"location:" not in answer.lower():
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
    text = answer.decode()
    found = re.search(r"^location: (\S+)", text, re.MULTILINE | re.IGNORECASE)
    return int(text.split(" ")[1]), found[1] if found else "", text


def page_shown(terminal):
    terminal.read_until(r"address[^\n]*:\r?\n\r?\n\s+")
    return terminal.read_until(r"\S+(?=\r?\n)").strip()


def begun(at_terminal, home, *arguments, environ=None):
    """Up to the address that the person is to open."""
    terminal = at_terminal(home, "auth", *arguments, environ=environ)
    terminal.read_until(r"Go on\? \[y/N\]: ")
    terminal.type("y\n")
    return terminal


def profile(cli, profile_id):
    return cli.config["authProfiles"][profile_id]


def check_nothing_shown(terminal, issuer):
    shown = terminal.everything
    assert issuer.secrets_given
    assert not [secret for secret in issuer.secrets_given if secret in shown]


# --- with a browser ------------------------------------------------------------------------------------------------


def test_a_browser_on_this_machine_comes_back_and_the_profile_is_stored(cli, home, issuer, at_terminal):
    terminal = begun(at_terminal, home, "login-openai-codex", "--no-browser")
    url = page_shown(terminal)
    assert url.startswith(f"{issuer.base_url}/oauth/authorize?")
    terminal.read_until("paste it here")
    status, back, _ = get(url)
    assert status == 302
    assert get(back)[0] == 200
    assert terminal.code() == 0, terminal.everything
    assert "Stored openai-codex:default" in terminal.everything
    assert "Signed in as ada@example.test, plan plus." in terminal.everything
    check_nothing_shown(terminal, issuer)
    access, refresh = issuer.secrets_given[-2:]
    stored = profile(cli, "openai-codex:default")
    assert stored.pop("expires") > time.time() * 1000
    metadata = stored.pop("metadata")
    assert stored == {
        "provider": "openai-codex",
        "type": "oauth",
        "access": access,
        "refresh": refresh,
        "email": "ada@example.test",
        "accountId": "acct-1",
    }
    assert metadata.pop("risk").startswith("OpenAI documents")
    assert metadata == {
        "source": "sign-in",
        "termsUrl": "https://openai.com/policies/terms-of-use/",
        "termsCheckedAt": "2026-11-23",
        "surfaces": ["chat", "responses", "messages", "gemini", "universal", "embeddings", "tasks", "ui"],
        "mayRotate": True,
        "plan": "plus",
    }
    assert stat.S_IMODE(cli.path.stat().st_mode) == 0o600


def test_what_will_happen_the_risk_and_the_terms_are_shown_first(home, issuer, at_terminal):
    terminal = at_terminal(home, "auth", "login-openai-codex", "--no-browser")
    before = terminal.read_until(r"Go on\? \[y/N\]: ")
    for words in ("ChatGPT", "127.0.0.1", "openai-codex:default", "without its word", "https://openai.com/policies/"):
        assert words in before
    assert issuer.exchanges == []


def test_the_browser_is_opened_where_there_is_one(cli, home, issuer, at_terminal, tmp_path):
    terminal = begun(
        at_terminal, home, "login-openai-codex", environ={"BROWSER": browser_in(tmp_path), "DISPLAY": ":9"}
    )
    terminal.read_until("Your browser opens")
    assert terminal.code() == 0, terminal.everything
    assert profile(cli, "openai-codex:default")["accountId"] == "acct-1"
    check_nothing_shown(terminal, issuer)


def browser_in(folder):
    """A program that does what a browser does, and says nothing."""
    script = folder / "browser.py"
    script.write_text("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n")
    return f"python3 {script} %s"


def test_over_ssh_no_browser_is_opened_and_the_address_is_pasted(cli, home, issuer, at_terminal, tmp_path):
    remote = {"BROWSER": browser_in(tmp_path), "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}
    terminal = begun(at_terminal, home, "login-openai-codex", environ=remote)
    url = page_shown(terminal)
    terminal.read_until("paste it here")
    assert issuer.authorized == []
    _, back, _ = get(url)
    assert not terminal.echoes()
    for wrong, words in (
        ("hello", "not the address"),
        ("http://localhost:1/auth/callback?code=evil&state=wrong", "another sign-in"),
        ("evil#wrong", "another sign-in"),
    ):
        terminal.type(f"{wrong}\n")
        terminal.read_until(words)
    terminal.type("\n")
    terminal.type(f"  {back}\n")
    assert terminal.code() == 0, terminal.everything
    assert terminal.echoes()
    check_nothing_shown(terminal, issuer)
    assert profile(cli, "openai-codex:default")["type"] == "oauth"


def test_code_and_state_alone_may_be_pasted(cli, home, issuer, at_terminal):
    terminal = begun(at_terminal, home, "login-openai-codex", "--no-browser")
    url = page_shown(terminal)
    terminal.read_until("paste it here")
    get(url)
    terminal.type(f"{issuer.secrets_given[0]}#{issuer.authorized[0]['state']}\n")
    assert terminal.code() == 0, terminal.everything


def test_a_page_that_calls_the_listener_with_a_wrong_state_changes_nothing(cli, home, issuer, at_terminal, port):
    terminal = begun(at_terminal, home, "login-openai-codex", "--no-browser")
    url = page_shown(terminal)
    terminal.read_until("paste it here")
    assert get(f"http://localhost:{port}/auth/callback?code=evil&state=wrong")[0] == 400
    assert get(f"http://evil.example:{port}/".replace("evil.example", "127.0.0.1"))[0] == 404
    get(get(url)[1])
    assert terminal.code() == 0, terminal.everything


def test_a_port_that_is_taken_is_told_and_the_paste_goes_on(cli, home, issuer, at_terminal, port):
    with socket.create_server(("127.0.0.1", port)):
        terminal = begun(at_terminal, home, "login-openai-codex", "--no-browser")
        terminal.read_until(f"port {port} is taken")
        url = page_shown(terminal)
        terminal.read_until("paste it here")
        terminal.type(f"{get(url)[1]}\n")
        assert terminal.code() == 0, terminal.everything
    assert profile(cli, "openai-codex:default")["type"] == "oauth"


def test_a_no_in_the_browser_stores_nothing(cli, home, issuer, at_terminal):
    issuer.deny = True
    before = cli.path.read_bytes()
    terminal = begun(at_terminal, home, "login-openai-codex", "--no-browser")
    url = page_shown(terminal)
    _, _, page = get(get(url)[1])
    assert "turned down" in page
    assert terminal.code() == 1
    assert "turned down" in terminal.everything
    assert cli.path.read_bytes() == before


# --- with a code on another screen -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "provider", "code"),
    [
        (["login-openai-codex", "--device"], "openai-codex", "ABCD-12345"),
        (["login", "codex", "--device"], "openai-codex", "ABCD-12345"),
        (["login-github-copilot"], "github-copilot", "WDJB-MJHT"),
        (["login", "kimi-code"], "kimi-coding", "WDJB-MJHT"),
        (["login", "qwen"], "qwen-portal", "WDJB-MJHT"),
        (["login", "minimax-portal"], "minimax-portal", "MM-1234"),
    ],
)
def test_a_code_is_shown_and_waited_for(cli, issuer, port, at_terminal, arguments, provider, code):
    cli.write(config_at(issuer, port, **{"openai-codex": "codex-device"}))
    issuer.confirmed = False
    terminal = begun(at_terminal, cli.home, *arguments)
    assert page_shown(terminal) == f"{issuer.base_url}/device"
    terminal.read_until(code)
    terminal.read_until("Waiting")
    issuer.wait_until(lambda: len(issuer.exchanges) >= 2, 10)
    assert not _in_the_process_list(issuer.secrets_given)
    issuer.confirmed = True
    assert terminal.code() == 0, terminal.everything
    assert profile(cli, f"{provider}:default")["type"] == "oauth"
    check_nothing_shown(terminal, issuer)


def _in_the_process_list(secrets):
    found = ""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                found += (folder / "cmdline").read_text("utf-8", "replace")
            except OSError:
                continue
    return [secret for secret in secrets if secret in found]


def test_copilot_keeps_githubs_token_as_what_renews_and_the_address_of_its_own(cli, home, issuer):
    done = cli("auth", "login-github-copilot", "--yes")
    assert done.code == 0, done.stderr
    stored = profile(cli, "github-copilot:default")
    assert stored["access"].startswith("tid=canary")
    assert stored["refresh"] == issuer.secrets_given[1]
    assert stored["baseUrl"] == "https://api.individual.githubcopilot.com"
    assert stored["metadata"]["mayRotate"] is True


@pytest.mark.parametrize("status", [200, 403, 404])
def test_without_an_exchange_githubs_token_is_the_credential(cli, home, issuer, status):
    issuer.exchange_status = status
    arguments = ["--no-exchange"] if status == 200 else []
    done = cli("auth", "login-github-copilot", "--yes", *arguments)
    assert done.code == 0, done.stderr
    stored = profile(cli, "github-copilot:default")
    assert (stored["type"], stored["token"]) == ("token", issuer.secrets_given[1])
    assert stored["metadata"]["mayRotate"] is False
    assert not {"access", "refresh", "expires", "baseUrl"} & stored.keys()
    assert ("/copilot_internal/v2/token" in {each.request.path for each in issuer.exchanges}) == (status != 200)


def test_an_oauth_app_of_ones_own_is_not_asked_about(cli, issuer, port):
    config = config_at(issuer, port)
    config["oauth"]["github-copilot"]["clientId"] = "Ov23-mine"
    cli.write(config)
    done = cli("auth", "login-github-copilot", "--no-exchange")
    assert done.code == 0, done.stderr
    assert "risk" not in profile(cli, "github-copilot:default")["metadata"]


def test_a_provider_of_ones_own_signs_in_as_the_config_says(cli, issuer, port, at_terminal):
    stated = {name: value for name, value in issuer.settings().items() if name in ("authorizeUrl", "tokenUrl")}
    cli.write(
        {
            "providers": {"acme": {"baseUrl": f"{issuer.base_url}/v1", "api": "openai-completions", "auth": "oauth"}},
            "oauth": {"acme": {**stated, "clientId": "acme-client", "redirectPort": 0}},
            "egressPolicy": {"allowLocalProviders": LOCAL},
        }
    )
    terminal = at_terminal(cli.home, "auth", "login", "acme", "--no-browser")
    url = page_shown(terminal)
    terminal.read_until("paste it here")
    assert get(get(url)[1])[0] == 200
    assert terminal.code() == 0, terminal.everything
    assert profile(cli, "acme:default")["type"] == "oauth"


# --- again -----------------------------------------------------------------------------------------------------------


def test_signing_in_again_replaces_what_was_told_and_keeps_what_a_person_added(cli, home, issuer):
    assert cli("auth", "login", "kimi-coding", "--yes").code == 0
    config = cli.config
    before = config["authProfiles"]["kimi-coding:default"]
    before |= {"owner": "ann", "baseUrl": "https://old.example"}
    before["metadata"] |= {"note": "mine", "plan": "old", "surfaces": ["chat"]}
    cli.write(config)
    issuer.account, issuer.email = "acct-2", "bob@example.test"
    done = cli("auth", "login", "kimi-coding", "--yes")
    assert done.code == 0, done.stderr
    assert "Replaced kimi-coding:default" in done.stdout
    assert "another account" in done.stderr
    after = profile(cli, "kimi-coding:default")
    assert (after["owner"], after["accountId"], after["email"]) == ("ann", "acct-2", "bob@example.test")
    noted = after["metadata"]
    assert (noted["note"], noted["plan"], noted["surfaces"]) == ("mine", "plus", ["chat"])
    assert after["access"] != before["access"]
    assert "baseUrl" not in after


def test_a_second_account_has_a_profile_of_its_own(cli, home, issuer):
    assert cli("auth", "login", "kimi-coding", "--yes").code == 0
    issuer.account = "acct-2"
    assert cli("auth", "login", "kimi-coding", "--yes", "--profile", "work").code == 0
    assert {name: entry["accountId"] for name, entry in cli.config["authProfiles"].items()} == {
        "kimi-coding:default": "acct-1",
        "kimi-coding:work": "acct-2",
    }


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["login"], 2, "PROVIDER"),
        (["login", "openai"], 1, "auth add-api-key openai"),
        (["login", "anthropic"], 1, "setup-token"),
        (["login", "kimi-codng"], 1, "Did you mean"),
        (["login", "kimi-coding"], 2, "give --yes"),
        (["login", "kimi-coding", "--yes", "--profile", "a/b"], 2, "no profile name"),
        (["login", "kimi-coding", "token-in-argv"], 2, "unexpected extra argument"),
        (["login-github-copilot", "--host", "not a host"], 2, "--host"),
        (["login-github-copilot", "--host", "me@acme.example"], 2, "--host"),
    ],
)
def test_a_bad_command_is_refused_and_nothing_is_sent(cli, home, issuer, arguments, code, words):
    before = cli.path.read_bytes()
    done = cli("auth", *arguments)
    assert (done.code, words in done.stderr) == (code, True), done.stderr
    assert issuer.exchanges == []
    assert cli.path.read_bytes() == before


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        ("html", "HTML page"),
        ("no_access_token", "'access_token'"),
        ("invalid_client", "clientId"),
        (Turn(403, b"<html>", spends=True), "HTML page"),
        (Turn(extra={"access_token": "cmd:reboot"}), "reference"),
        (Turn(extra={"refresh_token": "file:/etc/passwd"}), "reference"),
        (Turn(extra={"access_token": "${HOME}"}), "reference"),
        (Turn(extra={"expires_in": "soon"}), "'expires_in'"),
    ],
)
def test_a_wrong_answer_has_its_own_message_and_stores_nothing(cli, home, issuer, port, turn, words):
    cli.write(config_at(issuer, port, **{"openai-codex": "codex-device"}))
    before = cli.path.read_bytes()
    issuer.grants["authorization_code"] = answering(issuer, issuer.grants["authorization_code"])
    issuer.turn = turn
    done = cli("auth", "login-openai-codex", "--device", "--yes")
    assert (done.code, words in done.stderr) == (1, True), done.stderr
    assert not [secret for secret in issuer.secrets_given if secret in done.stdout + done.stderr]
    assert cli.path.read_bytes() == before


def answering(issuer, documented):
    """What the turn says instead, where it says something."""

    def answer(fields, turn):
        return Said(turn.status or 200, turn.body) if turn.body is not None else documented(fields, turn)

    return answer


def test_a_foreign_address_is_refused_and_stores_nothing(cli, home, issuer):
    issuer.proxy_endpoint = "proxy.evil.example"
    before = cli.path.read_bytes()
    done = cli("auth", "login-github-copilot", "--yes")
    assert (done.code, "evil.example" in done.stderr) == (1, True)
    assert cli.path.read_bytes() == before


def test_the_egress_policy_is_not_passed_by(cli, home, issuer):
    cli.write({**cli.config, "egressPolicy": {"allowLocalProviders": []}})
    done = cli("auth", "login", "kimi-coding", "--yes")
    assert (done.code, "may not send" in done.stderr) == (1, True), done.stderr
    assert issuer.exchanges == []


def test_without_a_terminal_a_port_that_is_taken_ends_it_with_the_ways_out(cli, home, issuer, port):
    with socket.create_server(("127.0.0.1", port)):
        done = cli("auth", "login-openai-codex", "--yes", "--no-browser")
    assert done.code == 1
    for words in (f"port {port} is taken", "--device", "paste"):
        assert words in done.stderr


# --- a change of mind ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_no_is_the_answer_unless_it_is_yes(cli, home, issuer, at_terminal, answer):
    before = cli.path.read_bytes()
    terminal = at_terminal(home, "auth", "login", "kimi-coding")
    terminal.read_until(r"Go on\? \[y/N\]: ")
    terminal.type(answer)
    assert terminal.code() == 1
    assert "Nothing was stored" in terminal.everything
    assert issuer.exchanges == []
    assert cli.path.read_bytes() == before


def at_the_question(terminal, issuer):
    terminal.read_until(r"Go on\? \[y/N\]: ")
    # Between its prompt and its read `input` would keep a signal for the next key.
    calm = 0
    while calm < 3:
        calm = calm + 1 if Path(f"/proc/{terminal.process.pid}/stat").read_text().split(") ")[1][0] == "S" else 0
        time.sleep(0.02)


def at_the_browser(terminal, issuer):
    at_the_question(terminal, issuer)
    terminal.type("y\n")
    terminal.read_until("paste it here[^\n]*\n")


def at_the_exchange(terminal, issuer):
    issuer.turn = "never"
    at_the_question(terminal, issuer)
    terminal.type("y\n")
    url = page_shown(terminal)
    terminal.read_until("paste it here")
    get(get(url)[1])
    issuer.wait_until(lambda: issuer.exchanges[-1].request.path == issuer.token_path)


def at_the_code(terminal, issuer):
    issuer.confirmed = False
    at_the_question(terminal, issuer)
    terminal.type("y\n")
    terminal.read_until("Waiting")
    issuer.wait_until(lambda: len(issuer.exchanges) >= 2, 10)


@pytest.mark.parametrize(
    ("arguments", "up_to"),
    [
        (["login-openai-codex", "--no-browser"], at_the_question),
        (["login-openai-codex", "--no-browser"], at_the_browser),
        (["login-openai-codex", "--no-browser"], at_the_exchange),
        (["login", "kimi-coding"], at_the_code),
    ],
)
@pytest.mark.parametrize("press", ["\x03", signal.SIGINT])
def test_ctrl_c_at_any_step_leaves_everything_as_it_was(cli, home, issuer, port, at_terminal, arguments, up_to, press):
    before = cli.path.read_bytes()
    terminal = at_terminal(home, "auth", *arguments)
    up_to(terminal, issuer)
    if press == signal.SIGINT:
        os.kill(terminal.process.pid, press)
    else:
        terminal.type(press)
    assert terminal.code() in (1, 130), terminal.everything
    assert "Traceback" not in terminal.everything
    assert terminal.echoes()
    assert cli.path.read_bytes() == before
    assert sorted(path.name for path in home.iterdir()) == ["config.json"]
    with socket.create_server(("127.0.0.1", port)):
        pass  # the port is free again


def test_ctrl_d_at_the_paste_leaves_the_browser_to_come_back(cli, home, issuer, at_terminal):
    terminal = begun(at_terminal, home, "login-openai-codex", "--no-browser")
    url = page_shown(terminal)
    terminal.read_until("paste it here[^\n]*\n")
    terminal.type("\x04")
    time.sleep(0.2)
    get(get(url)[1])
    assert terminal.code() == 0, terminal.everything


# --- setup-token -----------------------------------------------------------------------------------------------------


def setup_token_of(cli):
    token = "sk-ant-oat01-canary" + "x" * 89
    cli.planted.add(token)
    return token


def test_a_setup_token_is_stored_with_what_is_known_of_it(cli):
    token = setup_token_of(cli)
    done = cli("auth", "setup-token", "--yes", stdin=f"{token}\n")
    assert done.code == 0, done.stderr
    for words in ("claude-cli", "add-api-key", "https://code.claude.com/docs/en/legal-and-compliance"):
        assert words in done.stdout
    stored = profile(cli, "anthropic:setup-token")
    assert (stored["provider"], stored["type"], stored["token"]) == ("anthropic", "token", token)
    metadata = stored["metadata"]
    assert (metadata["source"], metadata["billing"], metadata["mayRotate"]) == ("setup-token", "subscription", False)
    assert metadata["risk"]
    assert metadata["termsUrl"]


def test_a_setup_token_is_asked_about_and_never_shown(cli, at_terminal):
    token = setup_token_of(cli)
    cli.write({})
    terminal = begun(at_terminal, cli.home, "setup-token", "--profile", "mine")
    terminal.read_until("Setup-token: ")
    terminal.type(f"{token}\n")
    assert terminal.code() == 0, terminal.everything
    assert token not in terminal.everything
    assert profile(cli, "anthropic:mine")["token"] == token


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sk-ant-api03-" + "x" * 90, "add-api-key anthropic"),
        ("sk-ant-oat02-" + "x" * 90, "begins with"),
        ("hello", "begins with"),
        ("sk-ant-oat01-short", "characters long"),
        ("sk-ant-oat01-" + "x" * 600, "characters long"),
        ("sk-ant-oat01-" + "x" * 45 + " " + "x" * 45, "space"),
        ("", "Nothing was given"),
    ],
)
def test_what_is_no_setup_token_is_refused(cli, text, words):
    done = cli("auth", "setup-token", "--yes", stdin=f"{text}\n")
    assert (done.code, words in done.stderr) == (1, True), done.stderr
    assert not cli.path.exists()


def test_a_setup_token_wants_a_yes(cli):
    done = cli("auth", "setup-token", stdin=setup_token_of(cli))
    assert (done.code, "give --yes" in done.stderr) == (2, True)
    assert not cli.path.exists()


# --- configure -------------------------------------------------------------------------------------------------------


def test_configure_offers_the_sign_in_where_there_is_one(cli, home, issuer, at_terminal):
    terminal = at_terminal(home, "auth", "configure", "minimax-portal")
    terminal.read_until(r"Sign in with your account\?.*\[Y/n\]: ")
    terminal.type("\n")
    terminal.read_until(r"Go on\? \[y/N\]: ")
    terminal.type("y\n")
    assert terminal.code() == 0, terminal.everything
    assert profile(cli, "minimax-portal:default")["type"] == "oauth"


def test_configure_still_takes_a_token(cli, home, issuer, at_terminal):
    terminal = at_terminal(home, "auth", "configure", "minimax-portal")
    terminal.read_until(r"Sign in with your account\?.*\[Y/n\]: ")
    terminal.type("n\n")
    terminal.read_until("API key for minimax-portal: ")
    terminal.type("token-by-hand\n")
    assert terminal.code() == 0, terminal.everything
    assert profile(cli, "minimax-portal:default")["access"] == "token-by-hand"


# --- whether there is a browser --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "platform", "there"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "firefox"}, "linux", True),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "a"}, "darwin", False),
        ({"SSH_TTY": "/dev/pts/1", "DISPLAY": ":10", "BROWSER": "firefox"}, "linux", False),
    ],
)
def test_a_browser_is_opened_only_where_the_person_would_see_it(environ, platform, there):
    assert has_browser(environ, platform) is there


def test_the_config_that_the_tests_use_is_one(cli, home):
    assert json.loads(cli.path.read_text())["oauth"].keys() == FLOWS.keys()
    assert cli("config", "check").code == 0


def test_a_sign_in_that_replaces_a_sealed_one_says_that_it_is_not_sealed(cli, home, issuer):
    sealed = {"provider": "kimi-coding", "type": "oauth", "access": "keyring:a/b", "refresh": "keyring:a/c"}
    cli.write({**cli.config, "authProfiles": {"kimi-coding:default": sealed}})
    done = cli("auth", "login", "kimi-coding", "--yes")
    assert done.code == 0, done.stderr
    assert "auth secure" in done.stderr
