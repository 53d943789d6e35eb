"""`auth reset` and what commands know of the health of credentials, with and without a running gateway."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from math import inf

import pytest

from open_llm_auth.auth.kept import Kept, KeptCredential, KeptRest, LastError
from open_llm_auth.auth.limits import Told, Window
from open_llm_auth.auth.marks import secret_mark
from open_llm_auth.cli.health import credential_states
from open_llm_auth.cli.workbench import Workbench
from open_llm_auth.config.health_file import HealthFile, health_path, read_health
from open_llm_auth.errors import ConfigUnavailable
from open_llm_auth.testing import Behaviour, FakeProvider, GatewayProcess

FIRST, SECOND = "sk-canary-first-health", "sk-canary-second-health"
TOKEN = "canary-token-health-0123456789"
CHAT = {"model": "mine/m", "messages": [{"role": "user", "content": "hi"}]}


def config(base_url: str = "http://127.0.0.1:9/v1", **more):
    return {
        "providers": {"mine": {"baseUrl": base_url, "api": "openai-completions", "models": [{"id": "m"}, {"id": "n"}]}},
        "egressPolicy": {"allowLocalProviders": ["mine"]},
        "authProfiles": {
            "mine:one": {"provider": "mine", "type": "api_key", "key": FIRST},
            "mine:two": {"provider": "mine", "type": "api_key", "key": SECOND},
        },
        "authOrder": {"mine": ["mine:one", "mine:two"]},
        "authorization": {"tokens": {"ci": {"token": TOKEN, "scopes": ["read", "write"]}}},
        **more,
    }


@pytest.fixture
def bench(cli):
    cli.planted |= {FIRST, SECOND, TOKEN}
    cli.write(config())
    return Workbench({"OPEN_LLM_AUTH_HOME": str(cli.home), "HOME": str(cli.home)})


def credential(bench, name="mine:one"):
    (found,) = [
        each
        for each in bench.manager.credentials(bench.snapshot, bench.provider("mine"), bench.caller)[0]
        if each.id == name
    ]
    return found


def keep(bench, name="mine:one", **fields):
    """What a gateway would have noted."""
    file = HealthFile(health_path(bench.path), now=time.time, on_event=lambda _: None)
    file.load()
    mark = secret_mark(file.salt, credential(bench, name))
    file.exchange(Kept({mark: KeptCredential("mine", name, **fields)}))


def rest(seconds, kind="rate_limit"):
    now = time.time()
    until = None if seconds is None else now + seconds
    return KeptRest(now, kind, until, seconds, 1)


# --- what is known ------------------------------------------------------------------------------------------------


def test_nothing_is_known_before_a_gateway_ran(bench):
    assert credential_states(bench) == {}


def test_a_state_says_until_when_why_and_what_came_last(bench):
    now = time.time()
    error = LastError(now, "rate_limit", "rate_limit_exceeded", 429, "Slow down")
    told = Told(now, (Window("5h", 100.0, None, None, now + 600),))
    keep(bench, rests={"": rest(600), "m": rest(60, "denied")}, used=now - 5, error=error, told=told)
    state = credential_states(bench)["mine:one"]
    assert state.until == pytest.approx(now + 600, abs=1)
    assert (state.level, state.models, state.reason) == ("credential", (), "rate_limit")
    assert (state.last_used, state.last_error, state.told) == (now - 5, error, told)


def test_models_are_named_where_the_whole_does_not_rest(bench):
    keep(bench, rests={"n": rest(60), "m": rest(600, "denied"), "x": rest(-5)})
    state = credential_states(bench)["mine:one"]
    assert (state.level, state.models, state.reason) == ("model", ("m", "n"), "denied")


def test_what_is_invalid_has_no_end_and_what_is_well_has_no_rest(bench):
    keep(bench, rests={"": rest(None, "auth")})
    keep(bench, "mine:two", used=time.time())
    states = credential_states(bench)
    assert (states["mine:one"].until, states["mine:one"].level) == (inf, "credential")
    assert (states["mine:two"].until, states["mine:two"].level) == (None, None)


def test_a_changed_secret_is_another_credential(cli, bench):
    keep(bench, rests={"": rest(None, "auth")})
    changed = config()
    changed["authProfiles"]["mine:one"]["key"] = "sk-canary-changed-health"
    cli.write(changed)
    bench.forget()
    assert "mine:one" not in credential_states(bench)


def test_of_one_that_can_not_be_used_now_there_is_what_it_did_last(cli, bench):
    now = time.time()
    keep(bench, rests={"": rest(None, "auth")}, used=now)
    without = config()
    without["authProfiles"]["mine:one"]["key"] = "env:NOT_SET_ANYWHERE"
    cli.write(without)
    bench.forget()
    state = credential_states(bench)["mine:one"]
    assert (state.until, state.last_used) == (None, now)


def test_a_damaged_file_is_named_with_what_to_do_about_it(cli, bench):
    health_path(bench.path).write_bytes(b"{")
    with pytest.raises(ConfigUnavailable, match="may be removed"):
        credential_states(bench)
    done = cli("auth", "reset", "--all")
    assert (done.code, done.stdout) == (1, "")
    assert "health.json" in done.stderr


# --- auth reset ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("mine:one",), ("mine",), ("--all",)])
def test_a_reset_clears_what_it_names(cli, bench, arguments):
    keep(bench, rests={"": rest(None, "auth")})
    done = cli("auth", "reset", *arguments)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == "Cleared mine:one: its provider had rejected it.\n"
    assert "mine:one" not in credential_states(bench)


def test_a_reset_leaves_all_others(cli, bench):
    keep(bench, rests={"m": rest(600), "n": rest(5000)})
    keep(bench, "mine:two", rests={"": rest(None, "auth")})
    done = cli("auth", "reset", "mine:one")
    assert done.stdout == "Cleared 2 models of mine:one: 83 min of rest were left (rate_limit).\n"
    assert credential_states(bench)["mine:two"].until == inf


def test_a_reset_of_what_does_not_rest_says_so(cli, bench):
    assert cli("auth", "reset", "--all").stdout.startswith("Nothing rests")
    keep(bench, used=time.time())
    assert cli("auth", "reset", "mine:one").stdout == "Nothing rested.\n"
    assert cli("auth", "reset", "mine:two").stdout == "Nothing rested.\n"


def test_a_reset_of_nothing_or_of_both_is_wrong_usage(cli, bench):
    assert cli("auth", "reset").code == 2
    assert cli("auth", "reset", "mine", "--all").code == 2


@pytest.mark.parametrize(("name", "hint"), [("mine:oen", "mine:one"), ("mien", "mine")])
def test_a_reset_of_what_there_is_not_names_the_nearest(cli, bench, name, hint):
    done = cli("auth", "reset", name)
    assert done.code == 1
    assert hint in done.stderr


def test_a_credential_of_the_environment_is_named_by_its_id(cli, bench):
    keep(bench, rests={"": rest(60)})
    done = cli("auth", "reset", "env:OPENAI_API_KEY", environ={"OPENAI_API_KEY": "sk-canary-environment"})
    assert (done.code, done.stdout) == (0, "Nothing rested.\n")


# --- with a running gateway ---------------------------------------------------------------------------------------


@pytest.fixture
def provider():
    with FakeProvider(keys=(FIRST, SECOND), models=("m", "n")) as fake:
        yield fake


@pytest.fixture
def start(cli, provider):
    """`start()` starts a gateway on the home of the command line."""
    cli.planted |= {FIRST, SECOND, TOKEN}
    running = []

    def start_gateway():
        cli.home.mkdir(mode=0o700, exist_ok=True)
        gateway = GatewayProcess(cli.home, config(provider.base_url), token=TOKEN)
        gateway.start()
        running.append(gateway)
        return gateway

    yield start_gateway
    for gateway in running:
        gateway.__exit__()
        assert "canary" not in health_path(cli.path).read_text()


def ask(gateway, model="mine/m"):
    return gateway.request("POST", "/v1/chat/completions", body={**CHAT, "model": model})


def served(gateway, model="mine/m"):
    answer = ask(gateway, model)
    assert answer.status == 200, answer.body
    return answer.headers["x-gateway-profile"]


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_reset_is_heard_by_a_running_gateway_within_two_seconds(cli, provider, start):
    gateway = start()
    provider.when("key_refused", key=FIRST)
    assert served(gateway) == "mine:two"
    assert gateway.request("GET", "/health/ready").json()["resting"] == {"credentials": 0, "invalid": 1, "models": 0}
    within(2, lambda: health_path(cli.path).exists())
    provider.reset()
    assert served(gateway) == "mine:two", "it is not tried again by itself"
    assert "Cleared mine:one" in cli("auth", "reset", "mine").stdout
    within(2, lambda: served(gateway) == "mine:one")


def test_a_gateway_that_was_killed_loses_at_most_the_last_second(cli, provider, start):
    gateway = start()
    provider.when("key_refused", key=FIRST)
    assert served(gateway) == "mine:two"
    time.sleep(1.5)
    os.kill(gateway.pid, signal.SIGKILL)
    again = start()
    calls = len(provider.calls)
    assert served(again) == "mine:two"
    assert len(provider.calls) == calls + 1, "it knows without asking"


def test_an_orderly_stop_loses_nothing(cli, provider, start):
    gateway = start()
    provider.when("key_refused", key=FIRST)
    assert served(gateway) == "mine:two"
    gateway.stop()
    found = read_health(health_path(cli.path))
    assert found is not None
    known = {each.id: each for each in found[1].credentials.values()}
    assert known["mine:one"].rests[""].kind == "auth"
    assert known["mine:one"].error.code == "invalid_api_key"
    assert known["mine:two"].used > 0


def test_two_gateways_of_one_home_know_the_same(provider, start):
    first, second = start(), start()
    provider.when(Behaviour(status=429, body=b"{}", headers=(("retry-after", "3600"),)), key=FIRST, model="m")
    assert served(first) == "mine:two"
    time.sleep(2.5)
    calls = len(provider.calls)
    assert served(second) == "mine:two"
    assert len(provider.calls) == calls + 1
    assert served(second, "mine/n") == "mine:one", "another model of it does not rest"


def test_what_is_due_again_is_tried_by_one_call_while_the_others_go_elsewhere(provider, start):
    gateway = start()
    provider.when(Behaviour(status=429, body=b"{}", headers=(("retry-after", "1"),)), key=FIRST)
    assert served(gateway) == "mine:two"
    provider.reset()
    time.sleep(1.1)
    provider.when(Behaviour(delay=1.0), key=FIRST)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(served, gateway)
        time.sleep(0.3)
        others = list(pool.map(lambda _: served(gateway), range(6)))
        assert first.result() == "mine:one"
    assert set(others) == {"mine:two"}
    assert served(gateway) == "mine:one"


def test_limits_that_the_provider_tells_are_kept_for_the_listing(cli, provider, start):
    gateway = start()
    headers = (("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "12"))
    provider.when(Behaviour(headers=headers), key=FIRST)
    assert served(gateway) == "mine:one"
    gateway.stop()
    bench = Workbench({"OPEN_LLM_AUTH_HOME": str(cli.home), "HOME": str(cli.home)})
    state = credential_states(bench)["mine:one"]
    assert state.told is not None
    assert [(window.name, window.used) for window in state.told.windows] == [("requests", 80.0)]
    assert state.last_used is not None
