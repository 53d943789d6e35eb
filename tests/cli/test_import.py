"""`auth import` on a home directory with other programs in it: what it shows, what it asks, what it stores; and a
gateway that reads through while the owner of a sign-in rewrites its file."""

from __future__ import annotations

import base64
import json
import os
import secrets
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.testing import FakeResponses

#: Variables that move a program's files, or hold a key, on the machine that runs the tests.
MOVERS = (
    "CODEX_HOME", "CLAUDE_CONFIG_DIR", "GEMINI_CLI_HOME", "PI_CODING_AGENT_DIR", "LLM_USER_PATH", "LOCALAPPDATA",
    "OPENCLAW_STATE_DIR", "OPENCLAW_AGENT_DIR", "CLAWDBOT_STATE_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
)  # fmt: skip


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(seconds: float = 3600) -> str:
    return f"{encoded({'alg': 'RS256'})}.{encoded({'exp': int(time.time() + seconds)})}.{secrets.token_hex(16)}"


@pytest.fixture
def person(cli, tmp_path, monkeypatch):
    """A person's home directory, with nothing in it yet; the commands run there."""
    home = tmp_path / "person"
    home.mkdir()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    cli.environ |= {**dict.fromkeys(MOVERS), "HOME": str(home)}
    return home


def put(home: Path, path: str, content: object) -> Path:
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def codex(cli, home, token=None):
    token = token or jwt()
    cli.planted |= {token, "the-refresh-token"}
    put(home, ".codex/auth.json", {"tokens": {"access_token": token, "refresh_token": "the-refresh-token"}})


def claude(cli, home, token=None):
    put(home, ".claude/.credentials.json", {"claudeAiOauth": {"accessToken": token or cli.secret("sk-ant-oat01")}})


def groq(cli, home):
    key = cli.secret("gsk")
    put(home, ".local/share/opencode/auth.json", {"groq": {"type": "api", "key": key}})
    return key


def test_a_sign_in_is_referred_to_and_a_key_too_unless_it_is_to_be_copied(cli, person):
    codex(cli, person)
    key = groq(cli, person)
    assert cli("auth", "import", "--all").code == 0
    stored = cli.config["authProfiles"]
    assert stored["openai-codex:codex"]["access"] == "file:~/.codex/auth.json#/tokens/access_token"
    assert "refresh" not in stored["openai-codex:codex"]
    assert "expires" not in stored["openai-codex:codex"]
    assert stored["groq:opencode"]["key"] == "file:~/.local/share/opencode/auth.json#/groq/key"
    metadata = stored["openai-codex:codex"]["metadata"]
    assert (metadata["source"], metadata["path"], metadata["mayRotate"]) == ("codex", "~/.codex/auth.json", False)
    assert abs(metadata["importedAt"] - time.time() * 1000) < 60_000
    assert metadata["termsUrl"].startswith("https://openai.com/")
    cli.path.unlink()
    assert cli("auth", "import", "--all", "--copy").code == 0
    stored = cli.config["authProfiles"]
    assert stored["groq:opencode"]["key"] == key
    assert "mayRotate" not in stored["groq:opencode"]["metadata"]
    assert stored["openai-codex:codex"]["access"].startswith("file:")
    assert cli.path.stat().st_mode & 0o777 == 0o600


def test_with_reference_alone_nothing_is_copied(cli, person):
    put(person, ".env", f"OPENAI_API_KEY={cli.secret()}")
    done = cli("auth", "import", "--all", "--reference")
    assert (done.code, "Nothing was imported" in done.stdout) == (0, True)
    assert not cli.path.exists()


def test_a_second_import_finds_everything_imported(cli, person):
    codex(cli, person)
    put(person, ".env", f"OPENAI_API_KEY={cli.secret()}")
    cli("auth", "import", "--all")
    before = cli.path.read_bytes()
    done = cli("auth", "import", "--all")
    assert "imported: openai-codex:codex" in done.stdout
    assert "imported: openai:dotenv" in done.stdout
    assert "Nothing was imported" in done.stdout
    assert cli.path.read_bytes() == before


def test_an_id_that_is_in_use_gets_a_number(cli, person):
    cli.write({"authProfiles": {"groq:opencode": {"provider": "groq", "type": "api_key", "key": cli.secret()}}})
    groq(cli, person)
    cli("auth", "import", "--all")
    assert set(cli.config["authProfiles"]) == {"groq:opencode", "groq:opencode-2"}


def test_one_key_in_two_programs_is_imported_once(cli, person):
    key = groq(cli, person)
    put(person, ".env", f"GROQ_API_KEY={key}")
    cli("auth", "import", "--all")
    assert set(cli.config["authProfiles"]) == {"groq:opencode"}


def test_a_restricted_sign_in_wants_an_explicit_yes_to_itself(cli, person):
    claude(cli, person)
    done = cli("auth", "import", "--all")
    assert "restricted" in done.stdout
    assert "https://code.claude.com/docs/en/legal-and-compliance" in done.stderr
    assert "claude-cli" in done.stderr
    for words in ("", "no\n", "maybe\n"):
        assert cli("auth", "import", "--from", "claude", stdin=words).code == 1
    assert not cli.path.exists()
    assert cli("auth", "import", "--from", "claude", stdin="yes\n").code == 0
    (profile,) = cli.config["authProfiles"].values()
    cli.path.unlink()
    assert cli("auth", "import", "--from", "claude", "--yes").code == 0
    assert next(iter(cli.config["authProfiles"].values()))["access"] == profile["access"]
    assert profile["access"] == "file:~/.claude/.credentials.json#/claudeAiOauth/accessToken"
    assert "Claude Code alone" in profile["metadata"]["risk"]


def test_what_google_forbids_is_explained_and_never_imported(cli, person):
    put(person, ".gemini/oauth_creds.json", {"access_token": cli.secret("ya29"), "expiry_date": 1})
    for options in (["--all"], ["--from", "gemini-cli"]):
        done = cli("auth", "import", *options, stdin="yes\nyes\n")
        assert "forbidden" in done.stdout
        assert "Google's terms forbid" in done.stderr
        assert not cli.path.exists()


def test_a_dry_run_says_what_would_be_and_does_nothing(cli, person):
    codex(cli, person)
    done = cli("auth", "import", "--all", "--dry-run")
    assert "Would import openai-codex:codex" in done.stdout
    assert not cli.path.exists()


def test_the_listing_for_programs_tells_all_but_secrets(cli, person):
    codex(cli, person)
    claude(cli, person)
    told = cli("auth", "import", "--dry-run", "--json").json()
    assert [(row["source"], row["provider"], row["state"], row["ways"]) for row in told["found"]] == [
        ("codex", "openai-codex", "usable", ["reference"]),
        ("claude", "anthropic", "restricted", ["reference"]),
    ]
    assert told["found"][0]["repair"] == "codex login"
    assert (told["imported"][0]["id"], told["dryRun"]) == ("openai-codex:codex", True)


def test_a_key_of_the_environment_is_in_use_already_and_may_be_copied(cli, person):
    key = cli.secret("gsk")
    done = cli("auth", "import", "--all", environ={"GROQ_API_KEY": key})
    assert "in use" in done.stdout
    assert not cli.path.exists()
    cli("auth", "import", "--all", "--copy", environ={"GROQ_API_KEY": key})
    assert cli.config["authProfiles"]["groq:environment"]["key"] == key


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--from SOURCE"),
        (["--json"], "--from SOURCE"),
        (["--copy", "--reference", "--all"], "can't both be"),
        (["--all", "--yes"], "name it with --from"),
        (["--from", "netscape"], "no source is called 'netscape'"),
        (["--from", "codex", "--from", "pi", "x.json"], "names one program"),
        (["--all", "a", "b"], "unexpected extra argument"),
    ],
)
def test_what_can_not_be_done_so_is_wrong_usage(cli, person, arguments, message):
    done = cli("auth", "import", *arguments)
    assert (done.code, message in done.stderr) == (2, True), done.stderr
    assert not cli.path.exists()


@pytest.mark.parametrize("missing", ["nothing-here.json", "."])
def test_a_path_with_nothing_in_it_is_an_error(cli, person, missing):
    done = cli("auth", "import", "--all", missing)
    assert done.code == 1
    assert "Nothing to import" in done.stderr


def test_a_program_that_is_not_here_is_an_error_where_it_is_named(cli, person):
    assert cli("auth", "import", "--from", "codex").code == 1
    assert cli("auth", "import", "--all").code == 0


def test_a_file_anywhere_is_recognised_by_its_shape(cli, person, tmp_path):
    key = cli.secret()
    put(tmp_path, "copied/auth-profiles.json", {"version": 1, "profiles": {
        "openai:default": {"type": "api_key", "provider": "openai", "key": key}}})  # fmt: skip
    assert cli("auth", "import", "--all", "--copy", str(tmp_path / "copied" / "auth-profiles.json")).code == 0
    assert cli.config["authProfiles"]["openai:openclaw"]["key"] == key


def test_another_gateways_home_is_imported_from_its_directory(cli, person, tmp_path):
    profile = {"provider": "chatgpt", "type": "oauth", "access": cli.secret("acc"), "refresh": cli.secret("ref")}
    put(tmp_path, "other/config.json", {"authProfiles": {"openai-codex:me": profile}})
    assert cli("auth", "import", "--from", "gateway", str(tmp_path / "other")).code == 0
    (profile,) = cli.config["authProfiles"].values()
    assert profile["access"] == f"file:{tmp_path}/other/config.json#/authProfiles/openai-codex:me/access"
    assert "refresh" not in profile


def test_its_own_config_is_no_other_gateways(cli, person):
    cli.environ |= {"OPEN_LLM_AUTH_HOME": str(person / ".open_llm_auth")}
    put(person, ".open_llm_auth/config.json", {"authProfiles": {
        "openai:default": {"provider": "openai", "type": "api_key", "key": cli.secret()}}})  # fmt: skip
    assert cli("auth", "import", "--dry-run", "--json").json()["found"] == []


def test_files_that_can_not_be_read_are_told_and_the_rest_goes_on(cli, person):
    codex(cli, person)
    put(person, ".pi/agent/auth.json", '{"openai": {"type": "oau')
    put(person, ".qwen/oauth_creds.json", "x" * (17 << 20))
    (person / ".config/io.datasette.llm/keys.json").mkdir(parents=True)
    os.mkfifo(person / ".env")
    (person / ".claude").mkdir()
    (person / ".claude/.credentials.json").symlink_to(person / ".claude/.credentials.json")
    done = cli("auth", "import", "--all")
    assert done.code == 0
    assert "openai-codex:codex" in done.stdout
    for told in ("auth.json: it is not JSON", "longer than", "keys.json: it is not a regular file",
                 ".env: it is not a regular file", "symbolic links"):  # fmt: skip
        assert told in done.stderr, told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_left_alone_unless_it_is_named(cli, person):
    key = cli.secret()
    file = put(person, ".env", f"OPENAI_API_KEY={key}")
    os.chown(file, 12345, 12345)
    done = cli("auth", "import", "--all")
    assert ".env: it belongs to another user" in done.stderr
    assert not cli.path.exists()
    assert cli("auth", "import", "--all", str(file)).code == 0
    assert cli.config["authProfiles"]["openai:dotenv"]["key"] == key


def test_the_list_says_where_a_credential_came_from(cli, person):
    codex(cli, person)
    cli("auth", "import", "--all")
    assert "codex" in cli("auth", "list").stdout


def test_a_person_is_asked_for_each(cli, person, at_terminal):
    codex(cli, person)
    claude(cli, person)
    put(person, ".aider/oauth-keys.env", f"OPENAI_API_KEY={cli.secret()}\nGROQ_API_KEY={cli.secret()}")
    terminal = at_terminal(person, "auth", "import")
    terminal.read_until(r"ChatGPT sign-in of Codex \(codex\).*\n.*eference.* or .*kip.*: ")
    terminal.type("copy\n")
    terminal.read_until("one of those letters")
    terminal.type("\n")
    terminal.read_until("Claude sign-in of Claude Code all the same")
    terminal.type("\n")
    terminal.read_until(r"GROQ_API_KEY \(aider\).*\n.*opy or .*kip.*: ")
    terminal.type("s\n")
    terminal.read_until(r"OPENAI_API_KEY \(aider\).*\n.*opy or .*kip.*: ")
    terminal.type("c\n")
    terminal.read_until("2 seconds")
    assert terminal.process.wait(15) == 0
    assert set(json.loads((person / "config.json").read_text())["authProfiles"]) == {
        "openai-codex:codex",
        "openai:aider",
    }


def test_going_away_in_the_middle_stores_nothing(cli, person, at_terminal):
    codex(cli, person)
    terminal = at_terminal(person, "auth", "import")
    terminal.read_until("kip.*: ")
    deadline = time.monotonic() + 15
    while terminal.process.poll() is None:
        # one that comes between the question and the wait for its answer is seen at the next key only
        terminal.type("\x03")
        time.sleep(0.2)
        assert time.monotonic() < deadline
    assert terminal.process.returncode != 0
    assert not (person / "config.json").exists()


# --- reading through -------------------------------------------------------------------------------------------------


class Owner:
    """The program that a sign-in belongs to: rewrites its file in place, which takes it two writes."""

    def __init__(self, home: Path) -> None:
        self.file = home / ".codex" / "auth.json"
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def text(self, token: str) -> str:
        return json.dumps({"tokens": {"access_token": token, "refresh_token": "r"}, "last_refresh": "2026-01-01"})

    def writes(self, token: str, pause: float = 0.0, *, stops: bool = False) -> None:
        text = self.text(token)
        with self.file.open("w") as file:
            file.write(text[:40])
            file.flush()
            if stops:
                return
            time.sleep(pause)
            file.write(text[40:])


@pytest.fixture
def reading_through(cli, person, make_gateway):
    """A gateway whose ChatGPT sign-in is Codex's, imported by the command; a provider that takes `tokens`."""

    def make(tokens: list[str], token: str) -> tuple[Any, FakeResponses, Owner]:
        owner = Owner(person)
        owner.writes(tokens[0])
        cli.planted |= set(tokens)
        assert cli("auth", "import", "--from", "codex").code == 0
        fake = running.enter_context(FakeResponses(keys=tuple(tokens)))
        config = {
            **cli.config,
            "providers": {"openai-codex": {"baseUrl": fake.base_url}},
            "egressPolicy": {"allowLocalProviders": ["openai-codex"]},
            "authorization": {"tokens": {"admin": {"token": token, "scopes": [], "admin": True}}},
        }
        gateway = make_gateway(config, {"HOME": str(person)}, token=token, secrets=tokens)
        return gateway, fake, owner

    with ExitStack() as running:
        yield make


def ask(gateway: Any) -> Any:
    return gateway.request(
        "POST",
        "/v1/chat/completions",
        body={"model": "openai-codex/gpt-fake", "messages": [{"role": "user", "content": "Hello"}]},
    )


def test_a_rotated_token_is_used_by_the_next_call(reading_through, admin_token):
    tokens = [jwt() for _ in range(20)]
    gateway, fake, owner = reading_through(tokens, admin_token)
    for token in tokens:
        owner.writes(token)
        assert ask(gateway).status == 200
        assert fake.requests[-1].key == token


def test_a_file_that_is_half_written_costs_no_call(reading_through, admin_token):
    tokens = [jwt(), jwt()]
    gateway, fake, owner = reading_through(tokens, admin_token)
    assert ask(gateway).status == 200
    owner.writes(tokens[1], stops=True)
    assert ask(gateway).status == 200
    assert fake.requests[-1].key == tokens[0]
    owner.writes(tokens[1])
    assert ask(gateway).status == 200
    assert fake.requests[-1].key == tokens[1]


def test_no_call_fails_while_the_owner_keeps_rewriting(reading_through, admin_token):
    tokens = [jwt() for _ in range(4)]
    gateway, _, owner = reading_through(tokens, admin_token)
    assert ask(gateway).status == 200
    done = threading.Event()

    def rewrite() -> None:
        while not done.is_set():
            for token in tokens:
                owner.writes(token, 0.003)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        answers = [ask(gateway).status for _ in range(150)]
    finally:
        done.set()
        writer.join()
    assert set(answers) == {200}


@pytest.mark.parametrize("trouble", ["expired", "gone", "signed out"])
def test_a_sign_in_that_no_longer_serves_names_its_owners_command(reading_through, admin_token, trouble):
    tokens = [jwt(), jwt(-7200)]
    gateway, _, owner = reading_through(tokens, admin_token)
    assert ask(gateway).status == 200
    {
        "expired": lambda: owner.writes(tokens[1]),
        "gone": owner.file.unlink,
        "signed out": lambda: owner.file.write_text('{"tokens": null}'),
    }[trouble]()
    answer = ask(gateway)
    assert answer.status == 403
    assert "codex login" in answer.body.decode()
    owner.writes(tokens[0])
    assert ask(gateway).status == 200
