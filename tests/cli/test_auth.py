"""Credentials go in by standard input, come out redacted, and are named by profile."""

from __future__ import annotations

import pytest


def test_an_api_key_from_standard_input_is_stored_and_never_shown(cli):
    key = cli.secret()
    done = cli("auth", "add-api-key", "openai", "--stdin", stdin=f"{key}\n")
    assert done.code == 0
    assert "openai:default" in done.stdout
    assert "2 seconds" in done.stdout
    assert cli.config["authProfiles"]["openai:default"] == {"provider": "openai", "type": "api_key", "key": key}
    assert cli.path.stat().st_mode & 0o777 == 0o600
    assert "[REDACTED]" in cli("auth", "list").stdout


def test_without_a_terminal_standard_input_is_read_anyway(cli):
    assert cli("auth", "add-api-key", "openai", stdin=cli.secret()).code == 0


def test_an_alias_is_normalised_and_a_profile_can_be_named(cli):
    assert cli("auth", "add-api-key", "X-AI", "--profile", "work", stdin=cli.secret()).code == 0
    assert cli("auth", "add-api-key", "x-ai", "--profile", "xai:home", stdin=cli.secret()).code == 0
    assert set(cli.config["authProfiles"]) == {"xai:work", "xai:home"}


def test_a_second_key_replaces_the_first_and_keeps_what_else_the_profile_says(cli):
    old, new = cli.secret(), cli.secret()
    cli.write({"authProfiles": {"openai:default": _key("openai", old, owner="ann", note="mine", expires=5)}})
    assert "Replaced" in cli("auth", "add-api-key", "openai", stdin=new).stdout
    assert cli.config["authProfiles"]["openai:default"] == {
        "provider": "openai",
        "type": "api_key",
        "owner": "ann",
        "note": "mine",
        "key": new,
    }


def test_a_mirrored_section_gets_the_profile_on_both_sides(cli):
    cli.write({"auth": {"profiles": {}, "order": {}}})
    assert cli("auth", "add-api-key", "openai", stdin=cli.secret()).code == 0
    config = cli.config
    assert config["auth"]["profiles"] == config["authProfiles"] != {}
    assert cli("auth", "remove", "openai:default").code == 0
    config = cli.config
    assert config["auth"]["profiles"] == config["authProfiles"] == {}


def test_a_reference_is_stored_as_it_is(cli):
    assert cli("auth", "add-api-key", "openai", stdin="env:MY_OPENAI_KEY\n").code == 0
    assert cli("auth", "add-api-key", "groq", stdin="file:/run/secrets/my groq key\n").code == 0
    assert cli.config["authProfiles"]["openai:default"]["key"] == "env:MY_OPENAI_KEY"
    assert "env:MY_OPENAI_KEY" in cli("auth", "list").stdout


def test_a_provider_of_a_kind_that_is_not_carried_is_stored_with_a_warning(cli):
    cli.write({"providers": {"agent": {"baseUrl": "http://127.0.0.1:9/v1"}}})
    done = cli("auth", "add-api-key", "agent", stdin=cli.secret())
    assert done.code == 0
    assert "'agent-bridge'" in done.stderr


def test_a_provider_that_the_allow_list_leaves_out_is_stored_with_a_warning(cli):
    cli.write({"activeProviderIds": ["openai"]})
    assert "activeProviderIds" in cli("auth", "add-api-key", "groq", stdin=cli.secret()).stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (["opnai"], "sk-1", 1, "Did you mean 'openai'?"),
        (["openai"], "", 1, "Nothing was given"),
        (["openai"], "\n", 1, "Nothing was given"),
        (["openai"], "Bearer sk-1", 1, "without 'Bearer'"),
        (["openai"], "sk-ключ", 1, "character that no key has"),
        (["openai"], "sk-\x1b[31m", 1, "character that no key has"),
        (["openai"], "k" * 70_000, 1, "longer than"),
        (["openai", "--profile", "a/b"], "sk-1", 2, "no profile name"),
        (["openai", "--profile", ""], "sk-1", 2, "no profile name"),
        (["openai", "--profile", "groq:work"], "sk-1", 2, "belongs to 'groq'"),
        ([], "sk-1", 2, "PROVIDER"),
        (["openai", "sk-in-argv"], "", 2, "unexpected extra argument"),
        (["openai", "--key", "sk-1"], "", 2, "--key"),
    ],
)
def test_a_bad_api_key_command_is_refused_and_writes_nothing(cli, arguments, stdin, code, message):
    done = cli("auth", "add-api-key", *arguments, stdin=stdin)
    assert done.code == code
    assert message in done.stderr
    assert not cli.path.exists()


def test_a_token_has_an_expiry_that_the_list_tells(cli):
    token = cli.secret("tok")
    done = cli("auth", "add-token", "openai", "--expires", "1893456000000", stdin=token)
    assert done.code == 0
    assert cli.config["authProfiles"]["openai:default"]["token"] == token
    assert cli.config["authProfiles"]["openai:default"]["expires"] == 1893456000000
    assert "2030-01-01" in cli("auth", "list").stdout


def test_an_oauth_pair_comes_in_two_lines(cli):
    access, refresh = cli.secret("acc"), cli.secret("ref")
    done = cli("auth", "add-oauth", "qwen", "--refresh", "--expires", "1000000000000", stdin=f"{access}\n{refresh}\n")
    assert done.code == 0
    stored = cli.config["authProfiles"]["qwen-portal:default"]
    assert (stored["type"], stored["access"], stored["refresh"]) == ("oauth", access, refresh)
    (row,) = cli("auth", "list", "--json").json()["credentials"]
    assert (row["expired"], row["secret"], row["refresh"]) == (True, "[REDACTED]", "[REDACTED]")


@pytest.mark.parametrize(
    ("command", "arguments", "stdin", "code", "message"),
    [
        ("add-token", ["openai", "--expires", "soon"], "t", 2, "--expires"),
        ("add-token", ["openai", "--expires", "-5"], "t", 2, "--expires"),
        ("add-token", ["openai", "--expires", "1893456000"], "t", 2, "milliseconds"),
        ("add-token", ["nobody-knows-me"], "t", 1, "Unknown provider"),
        ("add-token", ["openai"], "", 1, "Nothing was given"),
        ("add-oauth", ["qwen", "--refresh"], "access\n", 1, "Refresh token"),
        ("add-oauth", ["qwen", "--refresh"], "access\n\n", 1, "Refresh token"),
        ("add-oauth", ["qwen"], "", 1, "Access token"),
        ("add-oauth", ["qwn"], "a", 1, "qwen"),
        ("add-oauth", ["qwen", "--expires", "1.5"], "a", 2, "--expires"),
    ],
)
def test_bad_tokens_and_sign_ins_are_refused_and_write_nothing(cli, command, arguments, stdin, code, message):
    done = cli("auth", command, *arguments, stdin=stdin)
    assert (done.code, message in done.stderr) == (code, True), done.stderr
    assert not cli.path.exists()


def test_an_order_takes_names_with_and_without_their_provider(cli):
    cli.write({"authProfiles": {f"openai:{name}": _key("openai", cli.secret()) for name in ("default", "backup")}})
    done = cli("auth", "set-order", "openai", "backup", "openai:default")
    assert done.code == 0
    assert cli.config["authOrder"] == {"openai": ["openai:backup", "openai:default"]}
    assert cli("auth", "list", "--json").json()["order"] == {"openai": ["openai:backup", "openai:default"]}
    assert cli("auth", "set-order", "openai", "--clear").code == 0
    assert cli.config["authOrder"] == {}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["openai"], 2, "--clear"),
        (["openai", "--clear", "default"], 2, "--clear"),
        (["openai", "nope"], 1, "no profile 'openai:nope'"),
        (["openai", "groq:default"], 1, "belongs to 'groq'"),
        (["openai", "default", "openai:default"], 2, "twice"),
        (["opnai", "default"], 1, "Did you mean 'openai'?"),
    ],
)
def test_a_bad_order_is_refused_and_changes_nothing(cli, arguments, code, message):
    before = {
        "authProfiles": {
            "openai:default": _key("openai", cli.secret()),
            "groq:default": _key("groq", cli.secret()),
        }
    }
    cli.write(before)
    done = cli("auth", "set-order", *arguments)
    assert (done.code, message in done.stderr) == (code, True), done.stderr
    assert cli.config == before


def test_removing_a_profile_takes_it_out_of_the_order_too(cli):
    cli.write(
        {
            "authProfiles": {"openai:a": _key("openai", cli.secret()), "openai:b": _key("openai", cli.secret())},
            "authOrder": {"openai": ["openai:a", "openai:b"]},
        }
    )
    assert cli("auth", "remove", "openai:a").code == 0
    assert cli.config["authOrder"] == {"openai": ["openai:b"]}
    assert cli("auth", "remove", "openai:b").code == 0
    assert cli.config["authOrder"] == {}
    assert cli.config["authProfiles"] == {}


@pytest.mark.parametrize("name", ["openai:defualt", "openai", "", "nobody:x", "\x1b[2J"])
def test_removing_what_is_not_there_fails_with_what_is(cli, name):
    cli.write({"authProfiles": {"openai:default": _key("openai", cli.secret())}})
    done = cli("auth", "remove", name)
    assert done.code == 1
    assert done.stderr.startswith("error: There is no profile")
    assert "\x1b" not in done.stderr
    assert "openai:default" in cli.config["authProfiles"]


def test_a_server_token_is_made_once_and_shown_once(cli):
    done = cli("auth", "set-server-token", "--generate")
    assert done.code == 0
    token = cli.config["serverToken"]
    assert token.startswith("ola_")
    assert done.stdout.count(token) == 1


def test_a_given_server_token_is_not_shown_and_a_short_one_is_warned_about(cli):
    token = cli.secret("server")
    assert cli("auth", "set-server-token", "--stdin", stdin=token).code == 0
    assert cli.config["serverToken"] == token
    cli.planted.add("hunter2")
    assert "short" in cli("auth", "set-server-token", stdin="hunter2").stderr


def test_a_server_token_that_opens_nothing_is_warned_about(cli):
    cli.write({"authorization": {"legacyAdminCompatibility": False}})
    assert "legacyAdminCompatibility" in cli("auth", "set-server-token", "--generate").stderr


def test_a_server_token_that_a_client_has_already_is_refused(cli):
    token = cli.secret("twin")
    cli.write({"authorization": {"tokens": {"ci": {"token": token, "scopes": ["read"]}}}})
    done = cli("auth", "set-server-token", "--stdin", stdin=token)
    assert done.code == 1
    assert "'ci'" in done.stderr
    assert "serverToken" not in cli.config


@pytest.mark.parametrize("given", ["", "\n", "two words", "tøken", "x" * 70_000])
def test_a_bad_server_token_is_refused(cli, given):
    assert cli("auth", "set-server-token", "--stdin", stdin=given).code == 1
    assert not cli.path.exists()


def test_the_list_tells_keys_of_the_environment_and_who_is_usable(cli):
    key = cli.secret()
    shown = cli("auth", "list", "--json", environ={"GROQ_API_KEY": key}).json()
    assert {"provider": "groq", "name": "GROQ_API_KEY"} in shown["environment"]
    assert [row["provider"] for row in shown["usable"]] == ["groq"]
    assert shown["usable"][0]["credentials"] == ["env:GROQ_API_KEY"]
    assert "GROQ_API_KEY (groq)" in cli("auth", "list", environ={"GROQ_API_KEY": key}).stdout


def test_the_list_obeys_no_control_character_of_the_file(cli):
    cli.write({"authProfiles": {"openai:\x1b[31mred": _key("openai", cli.secret())}})
    assert "\x1b" not in cli("auth", "list").stdout


@pytest.mark.parametrize("broken", ["{", "[]", '{"authProfiles": 5}', '{"server": {"port": "http"}}', "\xff"])
@pytest.mark.parametrize("command", [["auth", "list"], ["auth", "add-api-key", "openai"], ["tokens", "create", "ci"]])
def test_a_file_that_can_not_be_read_is_never_replaced(cli, broken, command):
    cli.write(broken)
    before = cli.path.read_bytes()
    done = cli(*command, stdin=cli.secret())
    assert done.code == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert cli.path.read_bytes() == before


def test_a_local_server_is_configured_by_its_name_alone(cli):
    done = cli("auth", "configure", "ollama")
    assert done.code == 0, done.stderr
    assert cli.config["providers"]["ollama"]["baseUrl"] == "http://127.0.0.1:11434/v1"
    usable = [row["provider"] for row in cli("auth", "list", "--json").json()["usable"]]
    assert usable == ["ollama"]


def test_a_server_of_ones_own_needs_leave_to_be_local(cli):
    url = "http://127.0.0.1:9000/v1/"
    done = cli("auth", "configure", "my-llm", "--base-url", url)
    assert done.code == 1
    assert "--allow-local" in done.stderr
    assert not cli.path.exists()
    assert cli("auth", "configure", "my-llm", "--base-url", url, "--allow-local").code == 0
    assert cli.config["providers"]["my-llm"] == {
        "baseUrl": "http://127.0.0.1:9000/v1",
        "api": "openai-completions",
        "auth": "api-key",
        "authHeader": False,
    }
    allowed = cli.config["egressPolicy"]["allowLocalProviders"]
    assert {"my-llm", "ollama", "llama.cpp"} <= set(allowed)


def test_a_server_of_ones_own_may_have_a_key(cli):
    key = cli.secret()
    done = cli("auth", "configure", "my-llm", "--base-url", "https://llm.example.com/v1", "--stdin", stdin=key)
    assert done.code == 0, done.stderr
    assert cli.config["providers"]["my-llm"]["authHeader"] is True
    assert cli.config["authProfiles"]["my-llm:default"]["key"] == key


def test_a_hosted_provider_is_configured_with_a_key(cli):
    key = cli.secret()
    assert cli("auth", "configure", "openai", stdin=key).code == 0
    assert cli.config["authProfiles"]["openai:default"]["key"] == key


def test_the_guided_set_up_tells_what_is_there_and_asks(cli):
    key = cli.secret()
    done = cli("auth", "configure", stdin=f"openai\n{key}\n", environ={"GROQ_API_KEY": cli.secret()})
    assert done.code == 0, done.stderr
    assert "found GROQ_API_KEY" in done.stdout
    assert cli.config["authProfiles"]["openai:default"]["key"] == key


def test_the_guided_set_up_takes_a_server_of_ones_own(cli):
    done = cli("auth", "configure", stdin="my-llm\nhttps://llm.example.com/v1\n")
    assert done.code == 0, done.stderr
    assert cli.config["providers"]["my-llm"]["baseUrl"] == "https://llm.example.com/v1"


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (["opnai"], "", 1, "Did you mean 'openai'?"),
        (["My LLM!", "--base-url", "https://llm.example.com/v1"], "", 2, "no name for a provider"),
        (["my-llm", "--base-url", "llm.example.com"], "", 1, "baseUrl"),
        (["my-llm", "--base-url", "ftp://llm.example.com"], "", 1, "ftp"),
        (["my-llm", "--base-url", "https://me:pw@llm.example.com"], "", 1, "userinfo"),
        (["my-llm", "--base-url", "http://169.254.169.254/v1", "--allow-local"], "", 1, "169.254.169.254"),
        (["openai"], "", 1, "Nothing was given"),
        ([], "", 1, "Nothing was given"),
        (["my-llm", "--base-url"], "", 2, "--base-url"),
    ],
)
def test_a_bad_set_up_is_refused_and_writes_nothing(cli, arguments, stdin, code, message):
    done = cli("auth", "configure", *arguments, stdin=stdin)
    assert (done.code, message in done.stderr) == (code, True), done.stderr
    assert not cli.path.exists()


def _key(provider, key, **more):
    return {"provider": provider, "type": "api_key", "key": key, **more}


def test_a_profile_is_renamed_with_its_place_in_the_order(cli):
    cli.write(
        {"authProfiles": {"openai:default": _key("openai", cli.secret())}, "authOrder": {"openai": ["openai:default"]}}
    )
    assert cli("auth", "rename", "openai:default", "work").code == 0
    assert (list(cli.config["authProfiles"]), cli.config["authOrder"]) == (["openai:work"], {"openai": ["openai:work"]})


@pytest.mark.parametrize("name", ["", "two words", "groq:work", "../x"])
def test_a_name_that_is_none_renames_nothing(cli, name):
    cli.write({"authProfiles": {"openai:default": _key("openai", cli.secret())}})
    assert cli("auth", "rename", "openai:default", name).code == 2
    assert list(cli.config["authProfiles"]) == ["openai:default"]


def test_the_list_tells_source_billing_and_what_is_wrong(cli):
    old = {"provider": "openai", "type": "token", "token": cli.secret(), "expires": 10**12}
    signed = {"provider": "openai-codex", "type": "oauth", "access": cli.secret(), "metadata": {"source": "codex"}}
    cli.write({"authProfiles": {"openai:old": old, "openai-codex:mine": signed}})
    rows = {row["id"]: row for row in cli("auth", "list", "--json").json()["credentials"]}
    assert (rows["openai:old"]["state"], rows["openai:old"]["billing"]) == ("expired", None)
    assert "auth add-token openai" in rows["openai:old"]["why"]
    assert (rows["openai-codex:mine"]["source"], rows["openai-codex:mine"]["billing"]) == ("codex", "subscription")
    assert "it expired" in cli("auth", "list").stdout
