"""`connect` points every known client at the gateway, shows no secret, keeps what is not its own, and can be undone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from open_llm_auth.cli.recipes import RECIPES

URL = "http://127.0.0.1:8080"

#: Where each client with files keeps its token, and its address: file below the home, format, path, value.
TOKENS = {
    "claude-code": (".claude/settings.json", "json", ["env", "ANTHROPIC_AUTH_TOKEN"]),
    "codex": (".codex/config.toml", "toml", ["model_providers", "open-llm-auth", "experimental_bearer_token"]),
    "aider": (".aider.conf.yml", "yaml", ["openai-api-key"]),
    "llm": (".config/io.datasette.llm/keys.json", "json", ["open-llm-auth"]),
    "opencode": (".config/opencode/opencode.json", "json", ["provider", "open-llm-auth", "options", "apiKey"]),
    "continue": (".continue/config.yaml", "yaml", ["models", -1, "apiKey"]),
    "gemini-cli": (".gemini/.env", "dotenv", ["GEMINI_API_KEY"]),
}
ADDRESSES = {
    "claude-code": (".claude/settings.json", "json", ["env", "ANTHROPIC_BASE_URL"], URL),
    "codex": (".codex/config.toml", "toml", ["model_providers", "open-llm-auth", "base_url"], f"{URL}/v1"),
    "aider": (".aider.conf.yml", "yaml", ["openai-api-base"], f"{URL}/v1"),
    "llm": (".config/io.datasette.llm/extra-openai-models.yaml", "yaml", [-1, "api_base"], f"{URL}/v1"),
    "opencode": (
        ".config/opencode/opencode.json",
        "json",
        ["provider", "open-llm-auth", "options", "baseURL"],
        f"{URL}/v1",
    ),
    "continue": (".continue/config.yaml", "yaml", ["models", -1, "apiBase"], f"{URL}/v1"),
    "gemini-cli": (".gemini/.env", "dotenv", ["GOOGLE_GEMINI_BASE_URL"], URL),
}
WITH_FILES = sorted(TOKENS)
WITHOUT = sorted(RECIPES.keys() - TOKENS.keys())

#: What a person already has in each file: comments, other people's secrets, odd spacing. {secret} is planted.
OWN = {
    ".claude/settings.json": '{\n\t"model":   "opus",\n\t"permissions": {"allow": ["Bash(ls:*)", "Read"]},\n'
    '\t"env": {"MY_API_KEY": "{secret}", "A": "1"}\n}\n',
    ".codex/config.toml": '# mine\nmodel = "gpt-5.5" # the good one\n\n[mcp_servers.notes]\ncommand = "notes"\n'
    'env = { NOTES_TOKEN = "{secret}" }\n',
    ".aider.conf.yml": "## all about aider\n# openai-api-key: {secret}\n\ndark-mode:   true\n"
    "read:  [CONVENTIONS.md,  'b c.md']\nopenai-api-key: '{secret}'\n",
    ".config/io.datasette.llm/keys.json": '{\n  "openai": "{secret}",\n  "// Note": "These are secret."\n}\n',
    ".config/io.datasette.llm/extra-openai-models.yaml": "# local\n- model_id: tiny   # fast\n  model_name: tiny\n",
    ".config/opencode/opencode.json": '{\n  // how it looks\n  "theme": "system",\n  "provider": {\n'
    '    "other": { "options": { "apiKey": "{secret}" } }, /* theirs */\n  },\n}\n',
    ".continue/config.yaml": "name: mine\nversion: 0.0.1\n\nmodels:\n    - name: 'GPT'   # paid\n"
    "      apiKey: {secret}\n      roles: [ chat,edit ]\n\n# how to write\nrules:\n    - be terse\n",
    ".gemini/.env": "# home\nexport OTHER=1\nGEMINI_API_KEY='{secret}'\n",
    ".gemini/settings.json": '{"ui":{"theme":"Dracula"},"security":{"auth":{"selectedType":"oauth-personal"}}}',
}


def read(path: Path, form: str) -> Any:
    text = path.read_text("utf-8")
    if form == "toml":
        return tomllib.loads(text)
    if form == "yaml":
        return YAML(typ="safe").load(text)
    if form == "dotenv":
        return dict(re.findall(r"^(?:export )?(\w+)='?(.*?)'?$", text, re.MULTILINE))
    return json.loads(re.sub(r",(\s*})", r"\1", re.sub(r"//[^\n\"]*\n|/\*.*?\*/", "\n", text)))


def at(document: Any, path: list[Any]) -> Any:
    for step in path:
        document = document[step]
    return document


@dataclass
class Person:
    """A user with a home of their own, who runs `connect` on it."""

    cli: Any
    home: Path

    def __call__(self, *arguments: str, stdin: str = "", code: int = 0, **environ: str) -> Any:
        variables = {"HOME": str(self.home), **environ}
        done = self.cli("connect", *arguments, stdin=stdin, environ=variables)
        assert done.code == code, done.stdout + done.stderr
        return done

    def token(self, client: str) -> str:
        """The one in the client's file; from now on nothing may print it."""
        name, form, path = TOKENS[client]
        token = at(read(self.home / name, form), path)
        self.cli.planted.add(token)
        return token

    def address(self, client: str) -> str:
        name, form, path, _ = ADDRESSES[client]
        return at(read(self.home / name, form), path)

    def has(self, client: str) -> dict[Path, str]:
        """Give the client the files of a person who has used it for long."""
        secret = self.cli.secret()
        made = {}
        for name in files_of(client):
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            made[path] = OWN[name].replace("{secret}", secret)
            path.write_text(made[path], "utf-8")
            path.chmod(0o640)
        return made

    def tokens(self) -> dict[str, Any]:
        return self.cli.config["authorization"]["tokens"] if self.cli.path.exists() else {}

    def in_force(self) -> list[str]:
        return [name for name, entry in self.tokens().items() if entry["enabled"]]

    def everything(self) -> dict[str, bytes]:
        """Every file of the home, the gateway's own aside."""
        found = (path for path in self.home.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in found}


def files_of(client: str) -> list[str]:
    return [file.place.removeprefix("~/") for file in RECIPES[client].files]


@pytest.fixture
def person(cli: Any, tmp_path: Path) -> Person:
    home = tmp_path / "person"
    home.mkdir()
    moving = {name for recipe in RECIPES.values() for file in recipe.files for name, _ in file.moved_by}
    cli.environ.update(dict.fromkeys(moving))
    return Person(cli, home)


@pytest.fixture(params=WITH_FILES)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


class TestPrinting:
    def test_all_clients_are_listed(self, person):
        rows = person("--json").json()["clients"]
        assert [row["client"] for row in rows] == list(RECIPES)
        assert all(row["connected"] is False for row in rows)
        text = person().stdout
        assert all(name in text for name in RECIPES)

    @pytest.mark.parametrize("name", list(RECIPES))
    def test_each_prints_what_to_put_where_and_writes_nothing(self, person, name):
        printed = person(name).stdout
        assert URL in printed
        assert "your-gateway-token" in printed
        for file in files_of(name):
            assert str(person.home / file) in printed
        for variable, _ in RECIPES[name].environment:
            assert f"export {variable}=" in printed
        assert person.everything() == {}
        assert not person.cli.path.exists()

    def test_what_is_printed_is_what_would_be_written(self, person, client):
        printed = person(client, "--json").json()
        person(client, "--write", "--yes")
        token = person.token(client)
        for file in printed["files"]:
            assert Path(file["path"]).read_text() == file["content"].replace("your-gateway-token", token)

    def test_the_address_is_the_configs(self, person):
        person.cli.write({"server": {"host": "0.0.0.0", "port": 9123}})
        assert "http://127.0.0.1:9123/v1" in person("openai").stdout
        person.cli.write({"server": {"host": "::", "port": 9123}})
        assert "http://[::1]:9123" in person("anthropic").stdout

    @pytest.mark.parametrize(
        "url", ["https://llm.example.com", "https://llm.example.com/", "https://llm.example.com/v1"]
    )
    def test_another_address_may_be_given_as_people_write_it(self, person, url):
        printed = person("openai", "--url", url).stdout
        assert "OPENAI_BASE_URL=https://llm.example.com/v1\n" in printed

    def test_a_port_that_is_not_known_before_the_start_is_asked_for(self, person):
        person.cli.write({"server": {"port": 0}})
        assert "--url" in person("openai", code=2).stderr

    @pytest.mark.parametrize(
        "name", ["claude-code", "codex", "aider", "llm", "opencode", "continue", "gemini-cli", "curl"]
    )
    def test_a_model_is_named_where_one_is_wanted(self, person, name):
        assert "openai/gpt-5.5" in person(name, "--model", "openai/gpt-5.5").stdout
        plain = person(name)
        named = "demo/echo" in plain.stdout
        assert named == (RECIPES[name].model == "needed") == ("--model" in plain.stderr)

    def test_variables_that_move_a_clients_files_are_heeded(self, person, tmp_path):
        for variable, name, file in [
            ("CLAUDE_CONFIG_DIR", "claude-code", "settings.json"),
            ("CODEX_HOME", "codex", "config.toml"),
            ("LLM_USER_PATH", "llm", "keys.json"),
            ("XDG_CONFIG_HOME", "opencode", "opencode/opencode.json"),
            ("CONTINUE_GLOBAL_DIR", "continue", "config.yaml"),
            ("GEMINI_CLI_HOME", "gemini-cli", ".gemini/.env"),
        ]:
            assert f"{tmp_path}/moved/{file}" in person(name, **{variable: f"{tmp_path}/moved"}).stdout
        assert f"{tmp_path}/own.json:" in person("opencode", OPENCODE_CONFIG=f"{tmp_path}/own.json").stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["emacs"], "no client"),
            (["codex", "--write", "--undo"], "not both"),
            (["codex", "--yes"], "--yes"),
            (["codex", "--undo", "--model", "a/b"], "--undo"),
            (["codex", "--undo", "--url", URL], "--undo"),
            (["codex", "--write", "--json"], "--json"),
            (["--write"], "which client"),
            (["--model", "a/b"], "which client"),
            (["openai", "--model", "a/b"], "--model"),
            (["codex", "--model", "two words"], "no model"),
            (["codex", "--model", 'a"\nb'], "no model"),
            (["codex", "--url", "llm.example.com"], "no address"),
            (["codex", "--url", "ftp://llm.example.com"], "no address"),
            (["codex", "--url", "http://user:pass@llm.example.com"], "no address"),
            (["codex", "--url", "http://host:99999"], "no address"),
            (["codex", "--url", 'http://host/"x'], "no address"),
            (["codex", "more"], "extra argument"),
        ],
    )
    def test_wrong_usage_is_told_and_changes_nothing(self, person, arguments, message):
        assert message in person(*arguments, code=2).stderr
        assert person.everything() == {}


class TestWriting:
    def test_a_new_file_is_private_and_has_a_token_of_its_own(self, person, client):
        person(client, "--write", "--yes")
        token = person.token(client)
        assert token.startswith("ola_")
        assert person.address(client) == ADDRESSES[client][3]
        entry = person.tokens()[f"connect-{client}"]
        assert entry["tokenHash"] == f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
        assert (entry["scopes"], entry["admin"], entry["enabled"]) == (["read", "write"], False, True)
        mode = stat.S_IMODE((person.home / TOKENS[client][0]).stat().st_mode)
        assert mode == 0o600
        assert token not in person.cli.path.read_text() + (person.cli.home / "connections.json").read_text()
        rows = {row["client"]: row for row in person("--json").json()["clients"]}
        assert (rows[client]["connected"], rows[client]["token"]) == (True, f"connect-{client}")

    def test_what_a_person_has_in_a_file_is_kept_to_the_byte(self, person, client):
        own = person.has(client)
        shown = person(client, "--write", "--yes", "--model", "openai/gpt-5.5").stdout
        token = person.token(client)
        assert token not in shown
        for path, before in own.items():
            after = path.read_text("utf-8")
            kept = set(after.replace(",\n", "\n").splitlines())
            missing = [line for line in before.replace(",\n", "\n").splitlines() if line not in kept]
            # What is gone is what was replaced, or a line of JSON that goes on now.
            assert all(OURS.search(line) for line in missing), missing

    def test_a_backup_stands_beside_the_file_and_is_private(self, person, client):
        own = person.has(client)
        person(client, "--write", "--yes", "--model", "openai/gpt-5.5")
        for path, before in own.items():
            backup = path.with_name(f"{path.name}.open-llm-auth-backup")
            assert backup.read_text("utf-8") == before
            assert stat.S_IMODE(backup.stat().st_mode) == 0o600

    def test_a_file_with_a_token_is_closed_to_others_and_another_keeps_its_mode(self, person):
        for client in ("llm", "gemini-cli", "codex"):
            own = person.has(client)
            person(client, "--write", "--yes")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in own}
            assert modes.items() <= {"config.toml": 0o600, "keys.json": 0o600, ".env": 0o600}.items() | {
                ("extra-openai-models.yaml", 0o640),
                ("settings.json", 0o640),
            }

    def test_the_second_time_changes_nothing_and_makes_no_token(self, person, client):
        person.has(client)
        person(client, "--write", "--yes", "--model", "openai/gpt-5.5")
        person.token(client)
        before, config = person.everything(), person.cli.path.read_bytes()
        assert "already" in person(client, "--write", "--yes").stdout
        assert "already" in person(client, "--write", "--model", "openai/gpt-5.5").stdout
        assert person.everything() == before
        assert person.cli.path.read_bytes() == config

    def test_a_lost_record_makes_no_second_token(self, person, client):
        person(client, "--write", "--yes", "--model", "openai/gpt-5.5")
        token = person.token(client)
        (person.cli.home / "connections.json").unlink()
        person(client, "--write", "--yes", "--model", "openai/gpt-5.5", "--url", "https://llm.example.com")
        assert person.token(client) == token
        person(client, "--undo", "--yes")
        assert person.in_force() == []

    def test_a_new_address_keeps_the_token_and_the_first_backup(self, person, client):
        own = person.has(client)
        person(client, "--write", "--yes", "--model", "openai/gpt-5.5")
        token = person.token(client)
        person(client, "--write", "--yes", "--url", "https://llm.example.com")
        assert person.token(client) == token
        assert person.address(client) == ADDRESSES[client][3].replace(URL, "https://llm.example.com")
        assert person.in_force() == [f"connect-{client}"]
        person(client, "--undo", "--yes")
        assert {path: path.read_text("utf-8") for path in own} == own

    def test_a_token_that_is_gone_from_the_file_is_replaced_and_ended(self, person, client):
        person(client, "--write", "--yes")
        first = person.token(client)
        path = person.home / TOKENS[client][0]
        path.write_text(path.read_text().replace(first, "somebody-elses-token"))
        person(client, "--write", "--yes")
        assert person.token(client) != first
        assert person.in_force() == [f"connect-{client}-2"]

    def test_it_asks_and_no_means_no(self, person, client):
        own = person.has(client)
        for answer in ("n\n", "", "perhaps\n"):
            done = person(client, "--write", stdin=answer, code=1)
            assert "Nothing was changed" in done.stderr
        assert person.everything() == {str(path): text.encode() for path, text in own.items()}
        assert person.tokens() == {}
        person(client, "--write", stdin="y\n")
        assert person.in_force() == [f"connect-{client}"]

    def test_the_difference_is_shown_without_any_secret(self, person, client):
        person.has(client)
        shown = person(client, "--write", "--yes").stdout
        person.token(client)
        assert "[the token]" in shown
        assert f"+++ {person.home / TOKENS[client][0]}" in shown
        assert "@@" in shown
        # What was planted is looked for in all that is printed; see conftest.py.
        assert person.cli.planted

    def test_windows_line_ends_stay(self, person):
        path = person.home / ".codex/config.toml"
        path.parent.mkdir()
        path.write_bytes(b'# mine\r\nmodel = "gpt-5.5"\r\n')
        person("codex", "--write", "--yes")
        assert path.read_bytes().startswith(b'# mine\r\nmodel = "gpt-5.5"\r\nmodel_provider = "open-llm-auth"\r\n')
        assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")

    def test_settings_that_are_only_comments_stay_above(self, person):
        path = person.home / ".aider.conf.yml"
        path.write_text("# Sample\n#openai-api-base: xxx")
        person("aider", "--write", "--yes")
        assert path.read_text().startswith(f"# Sample\n#openai-api-base: xxx\nopenai-api-base: {URL}/v1\n")

    def test_an_empty_file_is_as_good_as_none(self, person, client):
        for name in files_of(client):
            path = person.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        person(client, "--write", "--yes")
        assert person.address(client) == ADDRESSES[client][3]
        person(client, "--undo", "--yes")
        assert all((person.home / name).read_bytes() == b"" for name in files_of(client))


#: Lines of OWN that hold a value of ours, or something next to it on one line of JSON.
OURS = re.compile(r'"env"|^model = |openai-api-key|GEMINI_API_KEY|selectedType')

BROKEN = {
    "claude-code": '{"env": {"A": "1",, }}',
    "codex": "model = \n[x",
    "aider": "a: [1\nb: }",
    "llm": "[not json",
    "opencode": '{"provider": {"a": 1} "b": 2}',
    "continue": "models:\n\t- name: x",
    "gemini-cli": "GEMINI_API_KEY='unended",
}
ODD = {
    "claude-code": '{"env": ["a"]}',
    "codex": "model_providers = 3",
    "aider": "- a\n- b\n",
    "llm": '["a"]',
    "opencode": '{"provider": "x"}',
    "continue": "models: none\n",
}


class TestRefusing:
    def spoil(self, person: Person, client: str, raw: bytes) -> Path:
        path = person.home / TOKENS[client][0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return path

    def refused(self, person: Person, client: str, *arguments: str) -> str:
        before = person.everything()
        done = person(client, *(arguments or ("--write", "--yes")), code=1)
        assert person.everything() == before
        assert person.in_force() == []
        assert (
            not (person.cli.home / "connections.json").exists()
            or "{}" in (person.cli.home / "connections.json").read_text()
        )
        return done.stderr

    def test_a_file_that_does_not_parse_is_left_as_it_is(self, person, client):
        path = self.spoil(person, client, BROKEN[client].encode())
        assert str(path) in self.refused(person, client)

    @pytest.mark.parametrize("name", sorted(ODD))
    def test_a_file_of_another_shape_is_left_as_it_is(self, person, name):
        path = self.spoil(person, name, ODD[name].encode())
        assert str(path) in self.refused(person, name)

    def test_a_file_that_is_no_text_is_left_as_it_is(self, person, client):
        self.spoil(person, client, b"\xff\xfe{\x00")
        assert "UTF-8" in self.refused(person, client)

    def test_the_fault_is_told_by_its_place_and_quotes_nothing(self, person):
        secret = person.cli.secret()
        self.spoil(person, "claude-code", f'{{\n  "env": {{"KEY" "{secret}"}}\n}}'.encode())
        assert "line 2" in self.refused(person, "claude-code")

    def test_a_name_said_twice_is_refused(self, person):
        self.spoil(person, "claude-code", b'{"env": {}, "env": {}}')
        assert "twice" in self.refused(person, "claude-code")

    def test_a_directory_in_its_place_is_refused(self, person, client):
        (person.home / TOKENS[client][0]).mkdir(parents=True)
        assert "can't be read" in self.refused(person, client)

    def test_a_file_in_the_place_of_its_directory_is_refused(self, person):
        (person.home / ".claude").write_text("a file")
        assert "can't be read" in self.refused(person, "claude-code")

    def test_without_permission_nothing_changes(self, person, client):
        own = person.has(client)
        folders = {path.parent for path in own}
        for folder in folders:
            folder.chmod(0o500)
        try:
            if any(os.access(folder, os.W_OK) for folder in folders):
                pytest.skip("this user may write anywhere: MISSING PERMISSIONS ARE NOT TESTED")
            assert "can't be written" in self.refused(person, client)
        finally:
            for folder in folders:
                folder.chmod(0o700)

    def test_when_the_second_file_fails_the_first_is_put_back(self, person):
        """The second file's directory can't be made; the first was written by then."""
        own = person.has("llm")
        folder = person.home / "elsewhere"
        folder.mkdir()
        link = person.home / ".config/io.datasette.llm/keys.json"
        link.unlink()
        link.symlink_to(folder / "missing" / "keys.json")
        (folder / "missing").write_text("no directory")
        del own[link]
        before = {str(path): text.encode() for path, text in own.items()}
        person("llm", "--write", "--yes", code=1)
        assert before.items() <= person.everything().items()
        assert person.in_force() == []

    def test_a_link_within_the_home_is_followed_and_kept(self, person):
        kept = person.home / "dotfiles" / "claude.json"
        kept.parent.mkdir()
        kept.write_text('{"model": "opus"}')
        link = person.home / ".claude" / "settings.json"
        link.parent.mkdir()
        link.symlink_to(kept)
        done = person("claude-code", "--write", "--yes")
        assert "is a link" in done.stderr
        assert link.is_symlink()
        assert json.loads(kept.read_text())["env"]["ANTHROPIC_BASE_URL"] == URL
        person("claude-code", "--undo", "--yes")
        assert link.is_symlink()
        assert kept.read_text() == '{"model": "opus"}'

    def test_a_link_out_of_the_home_is_left_alone(self, person, tmp_path):
        foreign = tmp_path / "foreign.json"
        foreign.write_text("{}")
        link = person.home / ".claude" / "settings.json"
        link.parent.mkdir()
        link.symlink_to(foreign)
        assert "outside your home" in self.refused(person, "claude-code")
        assert foreign.read_text() == "{}"

    def test_a_config_that_does_not_parse_stops_everything(self, person, client):
        person.cli.write("{broken")
        person(client, "--write", "--yes", code=1)
        person(client, code=1)
        assert person.everything() == {}

    def test_a_record_that_is_damaged_stops_everything_and_is_kept(self, person, client):
        for damaged in ("{broken", '{"connections": []}', '{"connections": {"codex": {"token": "x"}}}'):
            person.cli.write({})
            (person.cli.home / "connections.json").write_text(damaged)
            person(client, "--write", "--yes", code=1)
            person(client, "--undo", "--yes", code=1)
            assert (person.cli.home / "connections.json").read_text() == damaged
        assert person.everything() == {}
        assert person.tokens().keys() == set() if "authorization" in person.cli.config else True


class TestUndoing:
    def test_untouched_files_are_what_they_were_to_the_byte(self, person, client):
        own = person.has(client)
        person(client, "--write", "--yes", "--model", "openai/gpt-5.5")
        person.token(client)
        person(client, "--undo", "--yes")
        assert person.everything() == {str(path): text.encode() for path, text in own.items()}
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in own)
        assert person.in_force() == []
        assert list(person.tokens()) == [f"connect-{client}"]

    def test_files_that_were_made_are_removed(self, person, client):
        person(client, "--write", "--yes")
        person(client, "--undo", "--yes")
        assert person.everything() == {}
        rows = {row["client"]: row for row in person("--json").json()["clients"]}
        assert rows[client]["connected"] is False

    @pytest.mark.parametrize(
        ("name", "before", "after"),
        [
            ("claude-code", '"A": "1"', '"A": "2"'),
            ("codex", 'command = "notes"', 'command = "better" # new'),
            ("aider", "dark-mode:   true", "dark-mode: false # new"),
            ("llm", '"openai"', '"own"'),
            ("opencode", '"theme": "system"', '"theme": "dark", "x": 1'),
            ("continue", "    - be terse\n", "    - be long   # new\n"),
            ("gemini-cli", "OTHER=1", "OTHER=2"),
        ],
    )
    def test_after_edits_only_our_settings_go(self, person, name, before, after):
        own = person.has(name)
        person(name, "--write", "--yes", "--model", "openai/gpt-5.5")
        token = person.token(name)
        path = person.home / TOKENS[name][0]
        text = path.read_text("utf-8")
        assert before in text
        path.write_text(text.replace(before, after), "utf-8")
        person(name, "--undo", "--yes")
        restored = path.read_text("utf-8")
        assert token not in restored
        assert after in restored
        expected = own[path].replace(before, after)
        form = TOKENS[name][1]
        expected_path = path.with_name("expected")
        expected_path.write_text(expected, "utf-8")
        assert read(path, form) == read(expected_path, form)

    def test_what_a_person_added_to_a_file_of_ours_stays(self, person):
        person("claude-code", "--write", "--yes")
        path = person.home / ".claude/settings.json"
        document = json.loads(path.read_text())
        document["theme"] = "dark"
        path.write_text(json.dumps(document))
        person("claude-code", "--undo", "--yes")
        assert json.loads(path.read_text()) == {"theme": "dark"}

    def test_a_setting_changed_since_is_its_owners(self, person):
        person.has("claude-code")
        person("claude-code", "--write", "--yes")
        path = person.home / ".claude/settings.json"
        path.write_text(path.read_text().replace(URL, "https://elsewhere.example.com"))
        done = person("claude-code", "--undo", "--yes")
        assert "env.ANTHROPIC_BASE_URL was changed since" in done.stderr
        env = json.loads(path.read_text())["env"]
        assert env["ANTHROPIC_BASE_URL"] == "https://elsewhere.example.com"
        assert "ANTHROPIC_AUTH_TOKEN" not in env

    def test_it_asks_and_no_means_no(self, person, client):
        person.has(client)
        person(client, "--write", "--yes")
        person.token(client)
        before = person.everything()
        person(client, "--undo", stdin="n\n", code=1)
        assert person.everything() == before
        assert person.in_force() == [f"connect-{client}"]
        person(client, "--undo", stdin="y\n")
        assert person.in_force() == []

    def test_a_file_that_is_gone_is_no_obstacle(self, person, client):
        person(client, "--write", "--yes")
        for name in files_of(client):
            (person.home / name).unlink()
        assert "is gone" in person(client, "--undo", "--yes").stderr
        assert person.in_force() == []

    def test_a_file_that_no_longer_parses_is_left_and_the_token_with_it(self, person, client):
        person(client, "--write", "--yes")
        path = person.home / TOKENS[client][0]
        path.write_text(BROKEN[client])
        person(client, "--undo", "--yes", code=1)
        assert path.read_text() == BROKEN[client]
        assert person.in_force() == [f"connect-{client}"]

    def test_without_the_backup_what_was_there_is_not_guessed(self, person):
        person.has("codex")
        person("codex", "--write", "--yes")
        (person.home / ".codex/config.toml.open-llm-auth-backup").unlink()
        before = person.everything()
        assert "by hand" in person("codex", "--undo", "--yes", code=1).stderr
        assert person.everything() == before

    @pytest.mark.parametrize("name", list(RECIPES))
    def test_what_was_never_connected_can_not_be_undone(self, person, name):
        assert "nothing to take back" in person(name, "--undo", "--yes", code=1).stderr

    def test_connecting_again_gives_a_new_name(self, person, client):
        for number in ("", "-2", "-3"):
            person(client, "--write", "--yes")
            assert person.in_force() == [f"connect-{client}{number}"]
            person(client, "--undo", "--yes")
        assert person.in_force() == []

    def test_a_backup_of_another_time_is_never_overwritten(self, person):
        own = person.has("codex")
        (path,) = own
        older = path.with_name(f"{path.name}.open-llm-auth-backup")
        older.write_text("older")
        person("codex", "--write", "--yes")
        assert older.read_text() == "older"
        person("codex", "--undo", "--yes")
        assert older.read_text() == "older"
        assert path.read_text() == own[path]

    def test_clients_are_undone_one_by_one(self, person):
        for client in WITH_FILES:
            person(client, "--write", "--yes")
        person("codex", "--undo", "--yes")
        assert set(person.in_force()) == {f"connect-{client}" for client in WITH_FILES if client != "codex"}
        assert person.address("aider") == f"{URL}/v1"


class TestTheEnvironment:
    @pytest.mark.parametrize("name", WITHOUT)
    def test_a_client_without_a_file_gets_lines_to_paste_with_a_fresh_token(self, person, name):
        done = person(name, "--write", "--yes")
        assert "no file" in done.stderr
        (token,) = re.findall(r"export \w+_KEY=(ola_\S+)", done.stdout)
        digest = hashlib.sha256(token.encode()).hexdigest()
        assert person.tokens()[f"connect-{name}"]["tokenHash"] == f"sha256:{digest}"
        assert person.everything() == {}
        person.cli.planted.add(token)
        assert "--undo" in person(name, "--write", "--yes", code=1).stderr
        assert person.in_force() == [f"connect-{name}"]
        person(name, "--undo", "--yes")
        assert person.in_force() == []

    @pytest.mark.parametrize("name", WITHOUT)
    def test_it_asks_first(self, person, name):
        person(name, "--write", stdin="n\n", code=1)
        assert person.tokens() == {}


def test_every_client_with_files_is_tested_here() -> None:
    assert {name for name, recipe in RECIPES.items() if recipe.files} == set(TOKENS) == set(ADDRESSES) == set(BROKEN)
    assert {name for client in TOKENS for name in files_of(client)} == set(OWN)
