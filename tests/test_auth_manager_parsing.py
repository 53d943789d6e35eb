"""Every shape of credential file and profile seen in the wild, and what ProviderManager makes of each: it is used, or
passed over with a reason that names the repair, and nothing of its content is ever told."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.auth.health import HealthTable
from open_llm_auth.auth.imports.found import Found, Known, Store, Unreadable
from open_llm_auth.auth.imports.sources import SOURCES
from open_llm_auth.auth.manager import ProviderManager
from open_llm_auth.config import ConfigFile, EnvironmentSecrets, compile_snapshot
from open_llm_auth.config.document import Document
from open_llm_auth.config.dotenv import parse_dotenv
from open_llm_auth.config.mirrors import merge
from open_llm_auth.errors import ConfigInvalid
from open_llm_auth.policy.access import LOCAL_ADMIN
from open_llm_auth.provider_catalog import load_catalog, load_sign_ins
from open_llm_auth.providers import KINDS
from open_llm_auth.server.hiding import Hiding
from open_llm_auth.testing import ManualClock
from open_llm_auth.values import Credential, Secret, Snapshot

NOW = 1_767_225_600
NOW_MS = NOW * 1000
LATER, LATER_MS = NOW + 3600, NOW_MS + 3_600_000
BEFORE, BEFORE_MS = NOW - 7200, NOW_MS - 7_200_000

#: In every sample; no reason may ever hold it.
CANARY = f"canary-{secrets.token_hex(8)}"


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(exp: object = LATER, **claims: object) -> str:
    """A token in form, signed by nobody."""
    body = {"iss": "https://auth.openai.com", **({} if exp is None else {"exp": exp}), **claims}
    return f"{encoded({'alg': 'RS256'})}.{encoded(body)}.{CANARY}"


ID_TOKEN = jwt(
    email="ann@example.org",
    **{"https://api.openai.com/auth": {"chatgpt_account_id": "acc-1", "chatgpt_plan_type": "plus"}},
)


@dataclass(frozen=True)
class House:
    """A home directory with files of other programs in it."""

    home: Path
    environ: Mapping[str, str]
    clock: ManualClock

    def write(self, path: str, content: object) -> Path:
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        raw = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
        file.write_bytes(json.dumps(content).encode() if raw is None else raw)
        os.utime(file, (NOW - 60, NOW - 60))
        return file

    def found(self, source: str, path: str) -> tuple[Found, ...]:
        store = Store(f"~/{path}", f"file:~/{path}", (self.home / path).read_bytes())
        read = SOURCES[source].reader(path)
        assert read is not None
        return read(store, Known(load_catalog(), load_sign_ins(), lambda text: parse_dotenv(text).values))

    def snapshot(self, data: dict[str, Any]) -> Snapshot:
        merge(data)
        return compile_snapshot(Document(data, ""), self.secrets, load_catalog(), self.environ)

    @property
    def secrets(self) -> EnvironmentSecrets:
        return EnvironmentSecrets(self.environ)

    def verdict(self, data: dict[str, Any], profile_id: str) -> str:
        """`usable`, or why the manager passes the profile over."""
        snapshot = self.snapshot(data)
        manager = ProviderManager(self.secrets, HealthTable(), self.clock, frozenset(KINDS))
        provider = snapshot.providers[snapshot.profiles[profile_id].provider]
        credentials, passed = manager.credentials(snapshot, provider, LOCAL_ADMIN)
        if any(each.id == profile_id for each in credentials):
            return "usable"
        (reason,) = [each.reason for each in passed if each.candidate == profile_id]
        assert CANARY not in reason
        return reason

    def judged(self, found: Found) -> tuple[str, str, str]:
        """Provider, type and verdict of what an import of it gives."""
        if found.flaw or found.offer == "never":
            return found.provider, found.type, found.flaw or "forbidden"
        profile = found.profile(NOW_MS, copied=not found.reference)
        verdict = self.verdict({"authProfiles": {"x:y": profile}}, "x:y")
        return found.provider, found.type, verdict


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, {"HOME": str(tmp_path)}, ManualClock(NOW))


# --- files of other programs --------------------------------------------------------------------------------------

OWN_SERVER = "it is for a server of its own; add that with: open-llm-auth auth configure NAME --base-url URL"
NO_KEY = "it is no key: it holds a space, or a character that no key has"
UNSET = (
    "The secret 'env:NOT_SET_ANYWHERE' can't be resolved: the variable is not set; set it, or write it into the .env "
    "beside the config."
)
FOREIGN = "its 'resource_url' is not known to be the provider's own and is passed over"
UNKNOWN = "this gateway knows no such provider"
CODEX = ("openai-codex", "oauth", "usable")
OPENAI_KEY = ("openai", "api_key", "usable")
COPILOT = ("github-copilot", "oauth", "usable")
CLAUDE = ("anthropic", "oauth", "usable")
FORBIDDEN = ("google", "oauth", "forbidden")


def expired(command: str) -> str:
    return f"it expired 2 h ago. Repair: {command}"


def tokens(**fields: object) -> dict[str, object]:
    return {"id_token": ID_TOKEN, "access_token": jwt(), "refresh_token": CANARY, "account_id": "acc-1", **fields}


def oauth(access: str = CANARY, **fields: object) -> dict[str, object]:
    return {"type": "oauth", "access": access, "refresh": CANARY, "expires": LATER_MS, **fields}


def openclaw(**profiles: object) -> dict[str, object]:
    return {"version": 1, "profiles": {name.replace("__", ":"): each for name, each in profiles.items()}}


Row = tuple[str, str, object, list[tuple[str, str, str]]]

CODEX_FILE, CLAUDE_FILE = ".codex/auth.json", ".claude/.credentials.json"
COPILOT_FILE, OPENCODE_FILE = ".config/github-copilot/apps.json", ".local/share/opencode/auth.json"
OPENCLAW_FILE = ".openclaw/agents/main/agent/auth-profiles.json"
PROXY_FILE = ".cli-proxy-api/one.json"

STORES: dict[str, Row] = {
    # Codex
    "codex of today": ("codex", CODEX_FILE, {
        "auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens(), "last_refresh": "2026-01-01T00:00:00Z",
    }, [CODEX]),
    "codex before it named its mode": ("codex", CODEX_FILE, {
        "OPENAI_API_KEY": f"sk-{CANARY}", "tokens": tokens(), "last_refresh": "2025-06-01T00:00:00.000000000Z",
    }, [CODEX, OPENAI_KEY]),
    "codex with an API key": ("codex", CODEX_FILE, {
        "auth_mode": "apikey", "OPENAI_API_KEY": f"sk-{CANARY}", "tokens": None, "last_refresh": None,
    }, [OPENAI_KEY]),
    "codex with nothing but an API key": ("codex", CODEX_FILE, {"OPENAI_API_KEY": f"sk-{CANARY}"}, [OPENAI_KEY]),
    "codex with tokens from outside": ("codex", CODEX_FILE, {
        "auth_mode": "chatgptAuthTokens", "tokens": tokens(id_token=None, account_id=None),
    }, [CODEX]),
    "codex with what a later version adds": ("codex", CODEX_FILE, {
        "tokens": tokens(workload={"id": 1}), "agent_identity": {"a": 1}, "personal_access_token": None,
    }, [CODEX]),
    "codex behind a byte order mark": ("codex", CODEX_FILE, b"\xef\xbb\xbf" + json.dumps(
        {"tokens": tokens()}).encode(), [CODEX]),
    "codex whose access token has expired": ("codex", CODEX_FILE, {"tokens": tokens(access_token=jwt(BEFORE))}, [
        ("openai-codex", "oauth", expired("codex login"))]),
    "codex whose token tells no expiry": ("codex", CODEX_FILE, {"tokens": tokens(access_token=jwt(None))}, [CODEX]),
    "codex whose token tells a strange expiry": ("codex", CODEX_FILE, {
        "tokens": tokens(access_token=jwt("never"))}, [CODEX]),
    "codex signed out": ("codex", CODEX_FILE, {"OPENAI_API_KEY": None, "tokens": None, "last_refresh": None}, []),
    "codex with empty tokens": ("codex", CODEX_FILE, {"OPENAI_API_KEY": "", "tokens": {"access_token": ""}}, []),
    # Claude Code
    "claude code": ("claude", CLAUDE_FILE, {"claudeAiOauth": {
        "accessToken": f"sk-ant-oat01-{CANARY}", "refreshToken": CANARY, "expiresAt": LATER_MS,
        "scopes": ["user:inference"], "subscriptionType": "max", "rateLimitTier": "x"}}, [CLAUDE]),
    "claude code whose token has expired": ("claude", CLAUDE_FILE, {"claudeAiOauth": {
        "accessToken": f"sk-ant-oat01-{CANARY}", "refreshToken": CANARY, "expiresAt": BEFORE_MS}}, [
        ("anthropic", "oauth", expired("claude /login"))]),
    "claude code that tells no expiry": ("claude", CLAUDE_FILE, {"claudeAiOauth": {
        "accessToken": f"sk-ant-oat01-{CANARY}", "expiresAt": None}}, [CLAUDE]),
    "claude code with servers of its own": ("claude", CLAUDE_FILE, {"mcpOAuth": {"x": {"accessToken": CANARY}}}, []),
    "claude code signed in by a console account": ("claude", ".claude.json", {
        "primaryApiKey": f"sk-ant-api03-{CANARY}", "oauthAccount": {"emailAddress": "ann@example.org"},
        "projects": {}}, [("anthropic", "api_key", "usable")]),
    "claude code's settings without a key": ("claude", ".claude.json", {"numStartups": 3, "projects": {}}, []),
    # GitHub Copilot
    "copilot's apps": ("copilot", COPILOT_FILE, {"github.com:Iv1.b507a08c87ecfe98": {
        "user": "ann", "oauth_token": f"ghu_{CANARY}", "githubAppId": "Iv1.b507a08c87ecfe98"}}, [COPILOT]),
    "copilot's hosts": ("copilot", ".config/github-copilot/hosts.json", {"github.com": {
        "user": "ann", "oauth_token": f"gho_{CANARY}", "git_protocol": "ssh"}}, [COPILOT]),
    "copilot's apps of two people": ("copilot", COPILOT_FILE, {
        "github.com:Iv1.a": {"user": "ann", "oauth_token": f"ghu_{CANARY}"},
        "github.com:Iv1.b": {"user": "bob", "oauth_token": f"ghu_b{CANARY}"}}, [COPILOT, COPILOT]),
    "copilot's apps of one person twice": ("copilot", COPILOT_FILE, {
        "github.com:Iv1.a": {"user": "ann", "oauth_token": f"ghu_{CANARY}"},
        "github.com:Iv23": {"user": "ann", "oauth_token": f"ghu_b{CANARY}"}}, [COPILOT]),
    "copilot of a company's own github": ("copilot", COPILOT_FILE, {
        "acme.ghe.com:Iv1.a": {"user": "ann", "oauth_token": f"ghu_{CANARY}"}}, [COPILOT]),
    "copilot signed out": ("copilot", COPILOT_FILE, {}, []),
    "copilot with an empty token": ("copilot", COPILOT_FILE, {"github.com:x": {"oauth_token": ""}}, []),
    # Gemini CLI
    "gemini cli's sign-in": ("gemini-cli", ".gemini/oauth_creds.json", {
        "access_token": f"ya29.{CANARY}", "refresh_token": CANARY, "scope": "openid", "token_type": "Bearer",
        "id_token": jwt(email="ann@example.org"), "expiry_date": LATER_MS}, [FORBIDDEN]),
    "gemini cli's key": ("gemini-cli", ".gemini/.env", f"GEMINI_API_KEY=AIza{CANARY}\nGOOGLE_CLOUD_PROJECT=p\n", [
        ("google", "api_key", "usable")]),
    # opencode and pi
    "opencode's keys": ("opencode", OPENCODE_FILE, {
        "groq": {"type": "api", "key": f"gsk_{CANARY}"}, "moonshotai": {"type": "api", "key": f"m{CANARY}"},
        "opencode": {"type": "api", "key": f"o{CANARY}"}, "zai-coding-plan": {"type": "api", "key": f"z{CANARY}"},
    }, [("groq", "api_key", "usable"), ("moonshot", "api_key", "usable"), ("opencode", "api_key", "usable"),
        ("zai-coding", "api_key", "usable")]),
    "opencode's chatgpt sign-in": ("opencode", OPENCODE_FILE, {
        "openai": oauth(jwt(), accountId="acc-1")}, [CODEX]),
    "opencode's chatgpt sign-in, expired": ("opencode", OPENCODE_FILE, {"openai": oauth(jwt(BEFORE))}, [
        ("openai-codex", "oauth", expired("opencode auth login"))]),
    "opencode's claude sign-in": ("opencode", OPENCODE_FILE, {"anthropic": oauth()}, [CLAUDE]),
    "opencode's claude sign-in, expired": ("opencode", OPENCODE_FILE, {"anthropic": oauth(expires=BEFORE_MS)}, [
        ("anthropic", "oauth", expired("opencode auth login"))]),
    "opencode's copilot, whose github token lasts": ("opencode", OPENCODE_FILE, {"github-copilot": oauth(
        f"tid={CANARY};exp=1", refresh=f"gho_{CANARY}", expires=BEFORE_MS)}, [COPILOT]),
    "opencode's copilot of a company": ("opencode", OPENCODE_FILE, {"github-copilot-enterprise": oauth(
        f"gho_{CANARY}", refresh=f"gho_{CANARY}", expires=0, enterpriseUrl="https://acme.ghe.com/")}, [COPILOT]),
    "opencode's google sign-in": ("opencode", OPENCODE_FILE, {"google": oauth()}, [FORBIDDEN]),
    "opencode's token of a server of one's own": ("opencode", OPENCODE_FILE, {"https://llm.example.org": {
        "type": "wellknown", "key": "TOKEN", "token": CANARY}}, [
        ("", "token", OWN_SERVER)]),
    "opencode's key for nobody we know": ("opencode", OPENCODE_FILE, {"ai21": {"type": "api", "key": CANARY}}, [
        ("", "api_key", UNKNOWN)]),
    "opencode's entry of a later version": ("opencode", OPENCODE_FILE, {"groq": {"type": "passkey"}}, [
        ("", "api_key", "an entry of a kind that is not known")]),
    "opencode empty": ("opencode", OPENCODE_FILE, {}, []),
    "pi": ("pi", ".pi/agent/auth.json", {
        "openai-codex": oauth(jwt(), accountId="acc-1"), "groq": {"type": "api_key", "key": f"gsk_{CANARY}"},
        "google-gemini-cli": oauth(projectId="p"), "google-antigravity": oauth(projectId="p"),
        "github-copilot": oauth(f"tid={CANARY}", refresh=f"ghu_{CANARY}")},
        [CODEX, ("groq", "api_key", "usable"), FORBIDDEN, FORBIDDEN, COPILOT]),
    # llm and aider
    "llm": ("llm", ".config/io.datasette.llm/keys.json", {
        "// Note": "This file stores secret API credentials. Do not share!", "openai": f"sk-{CANARY}",
        "claude": f"sk-ant-api03-{CANARY}", "gemini": f"AIza{CANARY}", "grok": f"xai-{CANARY}"},
        [OPENAI_KEY, ("anthropic", "api_key", "usable"), ("google", "api_key", "usable"),
         ("xai", "api_key", "usable")]),
    "llm with a name of one's own": ("llm", ".config/io.datasette.llm/keys.json", {"work": CANARY}, [
        ("", "api_key", "its name says no provider that this gateway knows")]),
    "aider's settings": ("aider", ".aider.conf.yml", (
        f"# mine\nmodel: sonnet\nopenai-api-key: sk-{CANARY}\nanthropic-api-key: sk-ant-api03-{CANARY}\n"), [
        ("anthropic", "api_key", "usable"), OPENAI_KEY]),
    "aider's keys by provider": ("aider", ".aider.conf.yml", (
        f"api-key:\n  - gemini=AIza{CANARY}\n  - deepseek=d{CANARY}\n"
        f"set-env:\n  - GROQ_API_KEY=g{CANARY}\n  - LANG=C\n"), [
        ("deepseek", "api_key", "usable"), ("google", "api_key", "usable"), ("groq", "api_key", "usable")]),
    "aider's one key by provider": ("aider", ".aider.conf.yml", f"api-key: openrouter=sk-or-{CANARY}\n", [
        ("openrouter", "api_key", "usable")]),
    "aider's settings without keys": ("aider", ".aider.conf.yml", "dark-mode: true\n", []),
    "aider's settings, all of them comments": ("aider", ".aider.conf.yml", "# openai-api-key: xxx\n", []),
    "aider's openrouter sign-in": ("aider", ".aider/oauth-keys.env", f'OPENROUTER_API_KEY="sk-or-{CANARY}"\n', [
        ("openrouter", "api_key", "usable")]),
    # .env files
    "a .env": ("dotenv", ".env", (
        f"# keys\nexport OPENAI_API_KEY='sk-{CANARY}'\nUNRELATED=1\nMISTRAL_API_KEY=\nDATABASE_URL=x\n"), [OPENAI_KEY]),
    "a .env with what is no key": ("dotenv", ".env", 'OPENAI_API_KEY="your key here"\nGROQ_API_KEY=op://vault/x\n', [
        ("groq", "api_key", NO_KEY), ("openai", "api_key", NO_KEY)]),
    "a .env with claude's token": ("dotenv", ".env", f"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-{CANARY}\n", [
        ("anthropic", "token", "usable")]),
    # OpenClaw
    "openclaw's three types": ("openclaw", OPENCLAW_FILE, openclaw(
        openai__default={"type": "api_key", "provider": "openai", "key": f"sk-{CANARY}"},
        anthropic__sub={"type": "token", "provider": "anthropic", "token": f"sk-ant-oat01-{CANARY}"},
        openai_codex__me=oauth(jwt(), provider="openai-codex", email="ann@example.org", accountId="acc-1"),
    ), [OPENAI_KEY, ("anthropic", "token", "usable"), CODEX]),
    "openclaw's keys that stand elsewhere": ("openclaw", OPENCLAW_FILE, openclaw(
        a={"type": "api_key", "provider": "openai", "keyRef": {
            "source": "env", "provider": "default", "id": "NOT_SET_ANYWHERE"}},
        b={"type": "api_key", "provider": "openai", "keyRef": {"source": "exec", "provider": "x", "id": "y"}},
        c={"type": "api_key", "provider": "openai", "key": "${NOT_SET_ANYWHERE}"},
        d={"type": "token", "provider": "github-copilot", "tokenRef": {"source": "env", "id": "NOT_SET_ANYWHERE"}},
    ), [
        ("openai", "api_key", UNSET),
        ("openai", "api_key", "its secret stands in a provider of secrets that OpenClaw alone can ask"),
        ("openai", "api_key", UNSET),
        ("github-copilot", "token", UNSET)]),
    "openclaw's sign-in, expired": ("openclaw", OPENCLAW_FILE, openclaw(
        a=oauth(provider="minimax-portal", expires=BEFORE_MS)), [
        ("minimax-portal", "oauth", expired("openclaw models auth login"))]),
    "openclaw's copilot": ("openclaw", OPENCLAW_FILE, openclaw(a=oauth(
        f"tid={CANARY}", refresh=f"ghu_{CANARY}", provider="github-copilot", expires=BEFORE_MS)), [COPILOT]),
    "openclaw's google sign-ins": ("openclaw", OPENCLAW_FILE, openclaw(
        a=oauth(provider="google-gemini-cli", projectId="p"), b=oauth(provider="google-antigravity")),
        [FORBIDDEN, FORBIDDEN]),
    "openclaw when it still kept its routing here": ("openclaw", OPENCLAW_FILE, {
        "version": 1, "profiles": {"x:y": {"mode": "api_key", "provider": "x-ai", "key": f"xai-{CANARY}"}},
        "order": {"x": ["x:y"]}, "lastGood": {"x": "x:y"}, "usageStats": {"x:y": {"errorCount": 2}}}, [
        ("xai", "api_key", "usable")]),
    "openclaw's profile of a later version": ("openclaw", OPENCLAW_FILE, openclaw(
        a={"type": "passkey", "provider": "openai"}), [("", "api_key", "a profile of a kind that is not known")]),
    "openclaw empty": ("openclaw", OPENCLAW_FILE, {"version": 1, "profiles": {}}, []),
    # CLIProxyAPI
    "cliproxyapi's codex": ("cliproxyapi", PROXY_FILE, {
        "type": "codex", "email": "ann@example.org", "id_token": ID_TOKEN, "access_token": jwt(),
        "refresh_token": CANARY, "account_id": "acc-1", "expired": "2026-01-01T08:59:59+08:00",
        "last_refresh": "2025-12-31T08:59:59+08:00"}, [CODEX]),
    "cliproxyapi's qwen, whose expiry is a date": ("cliproxyapi", PROXY_FILE, {
        "type": "qwen", "access_token": CANARY, "expired": "2025-12-31T22:00:00Z",
        "resource_url": "portal.qwen.ai"}, [
        ("qwen-portal", "oauth", expired("the login option of CLIProxyAPI, such as --codex-login"))]),
    "cliproxyapi's claude": ("cliproxyapi", PROXY_FILE, {
        "type": "claude", "access_token": CANARY, "expired": "2026-01-02T00:00:00Z"}, [CLAUDE]),
    "cliproxyapi's kimi": ("cliproxyapi", PROXY_FILE, {
        "type": "kimi", "access_token": CANARY, "device_id": "d", "expired": ""}, [
        ("kimi-coding", "oauth", "usable")]),
    "cliproxyapi's gemini": ("cliproxyapi", PROXY_FILE, {
        "type": "gemini", "token": {"access_token": CANARY, "refresh_token": CANARY}, "project_id": "p"}, [FORBIDDEN]),
    "cliproxyapi's antigravity": ("cliproxyapi", PROXY_FILE, {"type": "antigravity", "access_token": CANARY}, [
        FORBIDDEN]),
    "cliproxyapi's, switched off": ("cliproxyapi", PROXY_FILE, {
        "type": "codex", "access_token": jwt(), "disabled": True}, [
        ("openai-codex", "oauth", "it is switched off there")]),
    "cliproxyapi's for nobody we know": ("cliproxyapi", PROXY_FILE, {"type": "iflow", "access_token": CANARY}, [
        ("", "oauth", UNKNOWN)]),
    "a json file of somebody's in that directory": ("cliproxyapi", PROXY_FILE, {"theme": "dark"}, []),
    # Qwen, MiniMax, Kimi
    "qwen": ("qwen", ".qwen/oauth_creds.json", {
        "access_token": CANARY, "refresh_token": CANARY, "token_type": "Bearer", "resource_url": "portal.qwen.ai",
        "expiry_date": LATER_MS}, [("qwen-portal", "oauth", "usable")]),
    "qwen, expired": ("qwen", ".qwen/oauth_creds.json", {"access_token": CANARY, "expiry_date": BEFORE_MS}, [
        ("qwen-portal", "oauth", expired("sign in with qwen, and there /auth"))]),
    "minimax, in seconds": ("minimax", ".minimax/oauth_creds.json", {
        "access_token": CANARY, "refresh_token": CANARY, "expiry_date": LATER}, [
        ("minimax-portal", "oauth", "usable")]),
    "kimi, in fractions of seconds": ("kimi", ".kimi/credentials/kimi-code.json", {
        "access_token": CANARY, "refresh_token": CANARY, "expires_at": BEFORE + 0.25, "scope": "kimi-code"}, [
        ("kimi-coding", "oauth", "it expired 119 min ago. Repair: kimi login")]),
    # another gateway
    "another gateway": ("gateway", "other/config.json", {
        "authProfiles": {
            "groq:default": {"provider": "groq", "type": "api_key", "key": f"gsk_{CANARY}"},
            "openai-codex:me": {"provider": "chatgpt", **oauth(jwt())},
            "openai:env": {"provider": "openai", "type": "api_key", "key": "${NOT_SET_ANYWHERE}"},
            "amazon-bedrock:sso": {"provider": "bedrock", "type": "aws-sdk"}},
        "authOrder": {"openai-codex": ["openai-codex:me"]}}, [
        CODEX, ("groq", "api_key", "usable"),
        ("openai", "api_key", UNSET)]),
    "another gateway that keeps the mirror": ("gateway", "other/config.json", {
        "authProfiles": {"openai:default": {"provider": "openai", "type": "api_key", "key": ""}},
        "auth": {"profiles": {"openai:default": {"provider": "openai", "type": "api_key", "key": f"sk-{CANARY}"}},
                 "order": {"openai": ["openai:default", "openai:gone"]}}}, [OPENAI_KEY]),
    "another gateway that has no profiles": ("gateway", "other/config.json", {"server": {"port": 1}}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", STORES)
def test_what_another_program_keeps_serves_or_is_passed_over_with_its_repair(house: House, name: str) -> None:
    source, path, content, expected = STORES[name]
    house.write(path, content)
    assert [house.judged(found) for found in house.found(source, path)] == expected


@pytest.mark.parametrize("name", STORES)
def test_what_is_found_never_shows_a_secret(house: House, name: str) -> None:
    source, path, content, _ = STORES[name]
    house.write(path, content)
    for found in house.found(source, path):
        assert CANARY not in repr(found)
        assert CANARY not in f"{found.title} {found.note} {found.flaw} {found.reference} {found.path}"
        assert found.kind == "key" or CANARY not in json.dumps(found.profile(NOW_MS, copied=False))


#: What each program is found with on a bad day: the path decides who reads it.
JSON_STORES = sorted({(source, path) for source, path, _, _ in STORES.values() if path.endswith(".json")})
BROKEN = {
    "empty": b"",
    "blank": b" \n\t",
    "half written": b'{"tokens": {"access_token": "ey' + CANARY.encode(),
    "a list": b"[]",
    "nothing": b"null",
    "a text": b'"' + CANARY.encode() + b'"',
    "not UTF-8": b'{"a": "\xff\xfe' + CANARY.encode() + b'"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "far too deep": b'{"a":' * 100_000,
    "two documents": b"{}{}",
    "a page": b"<html>" + CANARY.encode(),
    "zeros, after a crash": b"\0" * 512,
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize(("source", "path"), JSON_STORES)
def test_a_file_that_does_not_parse_is_told_without_its_content(
    house: House, source: str, path: str, broken: str
) -> None:
    house.write(path, BROKEN[broken])
    with pytest.raises(Unreadable) as caught:
        house.found(source, path)
    assert CANARY not in str(caught.value)


WRONG_TYPES: list[tuple[str, str, object]] = [
    ("codex", CODEX_FILE, {"tokens": [CANARY]}),
    ("codex", CODEX_FILE, {"tokens": CANARY}),
    ("codex", CODEX_FILE, {"tokens": {"access_token": {"value": CANARY}}}),
    ("codex", CODEX_FILE, {"OPENAI_API_KEY": 12}),
    ("claude", CLAUDE_FILE, {"claudeAiOauth": CANARY}),
    ("claude", CLAUDE_FILE, {"claudeAiOauth": {"accessToken": [CANARY]}}),
    ("copilot", COPILOT_FILE, {"github.com": CANARY}),
    ("copilot", COPILOT_FILE, {"github.com": {"oauth_token": 1}}),
    ("copilot", COPILOT_FILE, {"exa mple/../x": {"oauth_token": CANARY}}),
    ("gemini-cli", ".gemini/oauth_creds.json", {"access_token": [CANARY]}),
    ("opencode", OPENCODE_FILE, {"groq": CANARY}),
    ("opencode", OPENCODE_FILE, {"groq": {"key": CANARY}}),
    ("opencode", OPENCODE_FILE, {"groq": {"type": ["api"], "key": CANARY}}),
    ("opencode", OPENCODE_FILE, {"groq": {"type": "api", "key": {"a": CANARY}}}),
    ("pi", ".pi/agent/auth.json", {"groq": {"type": "oauth", "access": True}}),
    ("llm", ".config/io.datasette.llm/keys.json", {"openai": {"key": CANARY}}),
    ("openclaw", OPENCLAW_FILE, {"version": 1}),
    ("openclaw", OPENCLAW_FILE, {"profiles": []}),
    ("openclaw", OPENCLAW_FILE, {"profiles": {"a": CANARY}}),
    ("openclaw", OPENCLAW_FILE, {"profiles": {"a": {"type": "api_key", "key": CANARY}}}),
    ("openclaw", OPENCLAW_FILE, openclaw(a={"type": "api_key", "provider": "openai", "key": 1})),
    ("cliproxyapi", PROXY_FILE, {"type": "codex", "access_token": 1}),
    ("qwen", ".qwen/oauth_creds.json", {"access_token": {}}),
    ("gateway", "other/config.json", {"authProfiles": [CANARY]}),
    ("gateway", "other/config.json", {"authProfiles": {"a:b": CANARY}}),
    ("gateway", "other/config.json", {"authProfiles": {"a:b": {"provider": "openai", "type": "magic"}}}),
    ("aider", ".aider.conf.yml", "- a\n- list\n"),
    ("aider", ".aider.conf.yml", "openai-api-key: [unclosed\n"),
    ("aider", ".aider.conf.yml", "a: &x [*x, 'y'\n"),
    ("aider", ".aider.conf.yml", b"openai-api-key: \xff\xfe"),
    ("dotenv", ".env", b"OPENAI_API_KEY=\xff\xfe"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "path", "content"), WRONG_TYPES)
def test_a_file_of_the_wrong_types_is_told_without_its_content(
    house: House, source: str, path: str, content: object
) -> None:
    house.write(path, content)
    with pytest.raises(Unreadable) as caught:
        house.found(source, path)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "base_url", "note"),
    [
        ("portal.qwen.ai", None, ""),
        ("https://portal.qwen.ai/v1", None, ""),
        ("dashscope.qwen.ai", "https://dashscope.qwen.ai/v1", ""),
        ("evil.example", None, FOREIGN),
        ("http://portal.qwen.ai", None, FOREIGN),
        ("portal.qwen.ai.evil.example", None, FOREIGN),
        ("https://user@portal.qwen.ai", None, "its 'resource_url' is no address and is passed over"),
    ],
)  # fmt: skip
def test_an_address_in_a_file_is_used_only_if_it_is_the_providers_own(
    house: House, told: str, base_url: str | None, note: str
) -> None:
    house.write(".qwen/oauth_creds.json", {"access_token": CANARY, "resource_url": told})
    (found,) = house.found("qwen", ".qwen/oauth_creds.json")
    assert (found.base_url, found.note) == (base_url, note)


# --- references that lead into such files ---------------------------------------------------------------------------

REFERENCE = "file:~/.codex/auth.json#/tokens/access_token"
READ_THROUGH = {
    "provider": "openai-codex",
    "type": "oauth",
    "access": REFERENCE,
    "metadata": {"source": "codex", "mayRotate": False},
}
REPAIR = "Repair: codex login"


def test_a_file_that_has_vanished_names_itself_and_its_owners_command(house: House) -> None:
    reason = house.verdict({"authProfiles": {"openai-codex:codex": READ_THROUGH}}, "openai-codex:codex")
    assert REFERENCE in reason
    assert "No such file" in reason
    assert reason.endswith(REPAIR)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b'{"tokens": {"access_token": "ey', "not JSON"),
        ({"tokens": None}, "nothing stands at '/tokens/access_token'"),
        ({"tokens": {"access_token": ""}}, "is empty"),
        ({"tokens": {"access_token": [CANARY]}}, "is no text"),
        ({"tokens": [CANARY]}, "nothing stands at"),
        ({"tokens": {"access_token": True}}, "is no text"),
        ({"x": "y" * 1_100_000}, "longer than"),
    ],
)
def test_a_store_that_holds_no_token_now_is_passed_over(house: House, content: object, why: str) -> None:
    house.write(CODEX_FILE, content)
    reason = house.verdict({"authProfiles": {"openai-codex:codex": READ_THROUGH}}, "openai-codex:codex")
    assert why in reason
    assert reason.endswith(REPAIR)


def test_a_directory_a_pipe_and_a_circle_are_passed_over(house: House) -> None:
    (house.home / "folder").mkdir()
    os.mkfifo(house.home / "pipe")
    (house.home / "loop").symlink_to(house.home / "loop")
    for name, why in [("folder", "not a regular file"), ("pipe", "not a regular file"), ("loop", "symbolic links")]:
        profile = {**READ_THROUGH, "access": f"file:~/{name}#/a"}
        reason = house.verdict({"authProfiles": {"a:b": profile}}, "a:b")
        assert why in reason
        assert reason.endswith(REPAIR)


def test_a_link_to_a_store_is_followed(house: House) -> None:
    house.write("elsewhere.json", {"tokens": tokens()})
    (house.home / ".codex").mkdir()
    (house.home / CODEX_FILE).symlink_to(house.home / "elsewhere.json")
    assert house.verdict({"authProfiles": {"a:b": READ_THROUGH}}, "a:b") == "usable"


def test_a_path_that_holds_the_mark_itself_is_read_whole_where_it_is_a_file(house: House) -> None:
    house.write("odd#/key", CANARY)
    assert house.verdict({"authProfiles": {"a:b": {**READ_THROUGH, "access": "file:~/odd#/key"}}}, "a:b") == "usable"
    house.write("odd#/store.json", {"a~b": {"c/d": CANARY}})
    pointed = {**READ_THROUGH, "access": "file:~/odd#/store.json#/a~0b/c~1d"}
    assert house.verdict({"authProfiles": {"a:b": pointed}}, "a:b") == "usable"


def test_a_token_that_is_read_through_is_hidden_from_what_providers_say(house: House) -> None:
    token = jwt()
    house.write(CODEX_FILE, {"tokens": tokens(access_token=token)})
    snapshot = house.snapshot({"authProfiles": {"a:b": READ_THROUGH}})
    other = Credential("env:X", "openai", "environment", "api_key", Secret("sk-other-secret"))
    hide = Hiding(house.secrets).scrubber(snapshot, other)
    assert hide(f"invalid token {token}, or sk-other-secret") == "invalid token [REDACTED], or [REDACTED]"


def test_a_profile_that_is_the_gateways_own_names_no_other_program(house: House) -> None:
    house.write(CODEX_FILE, {"tokens": tokens(access_token=jwt(BEFORE))})
    own = {key: value for key, value in READ_THROUGH.items() if key != "metadata"}
    # its expiry is what the profile says, and it says none
    assert house.verdict({"authProfiles": {"a:b": own}}, "a:b") == "usable"


@pytest.mark.parametrize(
    ("pointer", "verdict"),
    [
        ("#/claudeAiOauth/expiresAt", "it expired 2 h ago. Repair: claude /login"),
        ("#/claudeAiOauth/nothing", "usable"),
        ("/etc/passwd", "usable"),
        (["#/claudeAiOauth/expiresAt"], "usable"),
        ("#/claudeAiOauth/accessToken", "usable"),
    ],
)
def test_the_pointer_to_an_expiry_stays_within_the_file(house: House, pointer: object, verdict: str) -> None:
    house.write(CLAUDE_FILE, {"claudeAiOauth": {"accessToken": CANARY, "expiresAt": BEFORE_MS}})
    profile = {
        "provider": "anthropic",
        "type": "oauth",
        "access": f"file:~/{CLAUDE_FILE}#/claudeAiOauth/accessToken",
        "metadata": {"source": "claude", "mayRotate": False, "expiresPointer": pointer},
    }
    assert house.verdict({"authProfiles": {"a:b": profile}}, "a:b") == verdict


# --- the config's own profiles --------------------------------------------------------------------------------------

NO_POINTER = (
    "The secret 'file:~/store.json#/a~b' can't be resolved: '/a~b' is no JSON pointer: '~' is written '~0', and '/' "
    "within a name '~1'."
)
PROFILES: list[tuple[str, dict[str, Any], str]] = [
    ("an API key", {"provider": "openai", "type": "api_key", "key": CANARY}, "usable"),
    ("a key by alias", {"provider": "Z.AI", "type": "api_key", "key": CANARY}, "usable"),
    ("an alias of a sign-in", {"provider": "chatgpt", "type": "oauth", "access": CANARY}, "usable"),
    ("a token", {"provider": "github-copilot", "type": "token", "token": CANARY}, "usable"),
    ("a token that lasts", {"provider": "copilot", "type": "token", "token": CANARY, "expires": LATER_MS}, "usable"),
    ("an expiry in floating point", {"provider": "copilot", "type": "token", "token": CANARY,
                                     "expires": LATER_MS + 0.75}, "usable"),
    ("a token that has expired", {"provider": "copilot", "type": "token", "token": CANARY, "expires": BEFORE_MS},
     "it expired 2 h ago; renew it with: open-llm-auth auth login github-copilot"),
    ("an expiry of 0, which is none", {"provider": "copilot", "type": "token", "token": CANARY, "expires": 0},
     "usable"),
    ("a sign-in", {"provider": "qwen", "type": "oauth", "access": CANARY, "expires": LATER_MS}, "usable"),
    ("an AWS profile", {"provider": "bedrock", "type": "aws-sdk", "metadata": {"region": "eu-west-1"}}, "usable"),
    ("an AWS profile of another provider", {"provider": "openai", "type": "aws-sdk"},
     "profiles of type 'aws-sdk' serve only providers whose 'auth' is 'aws-sdk'"),
    ("a program's own", {"provider": "claude-cli", "type": "cli"}, "usable"),
    ("a key under the wrong name", {"provider": "openai", "type": "api_key", "token": CANARY}, "it has no 'key'"),
    ("a token under the wrong name", {"provider": "openai", "type": "token", "key": CANARY}, "it has no 'token'"),
    ("a sign-in under the wrong name", {"provider": "openai", "type": "oauth", "token": CANARY}, "it has no 'access'"),
    ("a blank key", {"provider": "openai", "type": "api_key", "key": "  "}, "it has no 'key'"),
    ("a null key", {"provider": "openai", "type": "api_key", "key": None}, "it has no 'key'"),
    ("a variable", {"provider": "openai", "type": "api_key", "key": "env:SET"}, "usable"),
    ("a variable in braces", {"provider": "openai", "type": "api_key", "key": "${SET}"}, "usable"),
    ("a variable in capitals", {"provider": "openai", "type": "api_key", "key": "SET"}, "usable"),
    ("a variable that is not set", {"provider": "openai", "type": "api_key", "key": "env:NOT_SET_ANYWHERE"}, UNSET),
    ("a path that is not absolute", {"provider": "openai", "type": "api_key", "key": "file:key.json#/a"},
     "The secret 'file:key.json#/a' can't be resolved: the path must be absolute, or begin with ~/."),
    ("a pointer that is none", {"provider": "openai", "type": "api_key", "key": "file:~/store.json#/a~b"},
     NO_POINTER),
    ("a nonsense address", {"provider": "openai", "type": "api_key", "key": CANARY, "baseUrl": "nonsense"},
     "its baseUrl is not a usable address"),
    ("keys that nobody knows", {"provider": "openai", "type": "api_key", "key": CANARY, "x": {"y": [1]},
                                "id": "openai:default", "metadata": {"note": "mine", "source": 12}}, "usable"),
    ("somebody's own", {"provider": "openai", "type": "api_key", "key": CANARY, "owner": "ann"},
     "it belongs to 'ann'"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "verdict"), [each[1:] for each in PROFILES], ids=[each[0] for each in PROFILES])
@pytest.mark.parametrize("side", ["authProfiles", "auth"])
def test_a_profile_of_the_config_serves_or_is_passed_over(
    house: House, side: str, profile: dict[str, Any], verdict: str
) -> None:
    house.write("store.json", {"a": CANARY})
    home = House(house.home, {**house.environ, "SET": CANARY}, house.clock)
    profiles = {"some:one": profile}
    config = {"authProfiles": profiles} if side == "authProfiles" else {"auth": {"profiles": profiles}}
    assert home.verdict(config, "some:one") == verdict


@pytest.mark.parametrize(
    ("profile", "path"),
    [
        ({"type": "api_key", "key": CANARY}, "provider"),
        ({"provider": "", "type": "api_key"}, "provider"),
        ({"provider": "openai", "type": "API_KEY"}, "type"),
        ({"provider": "openai", "key": CANARY}, "type"),
        ({"provider": "openai", "type": "api_key", "key": 12}, "key"),
        ({"provider": "openai", "type": "api_key", "key": [CANARY]}, "key"),
        ({"provider": "openai", "type": "oauth", "access": CANARY, "expires": "soon"}, "expires"),
        ({"provider": "openai", "type": "oauth", "access": CANARY, "metadata": []}, "metadata"),
        (CANARY, ""),
    ],
)
def test_a_profile_of_the_wrong_types_is_an_error_that_names_its_path(house: House, profile: object, path: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        house.snapshot({"authProfiles": {"some:one": profile}})
    assert f"authProfiles.some:one{'.' if path else ''}{path}" in caught.value.message
    assert CANARY not in f"{caught.value} {caught.value.details}"


def test_the_mirror_wins_a_clash_and_the_order_counts(house: House) -> None:
    config = {
        "authProfiles": {
            "openai:a": {"provider": "openai", "type": "api_key", "key": "old"},
            "openai:b": {"provider": "openai", "type": "api_key", "key": "b"},
        },
        "auth": {
            "profiles": {"openai:a": {"provider": "openai", "type": "api_key", "key": "new"}},
            "order": {"openai": ["b", "a"]},
        },
    }
    snapshot = house.snapshot(config)
    manager = ProviderManager(house.secrets, HealthTable(), house.clock, frozenset(KINDS))
    credentials, _ = manager.credentials(snapshot, snapshot.providers["openai"], LOCAL_ADMIN)
    assert [(each.id, each.secret.reveal()) for each in credentials if each.secret] == [
        ("openai:b", "b"),
        ("openai:a", "new"),
    ]


def test_an_imported_profile_survives_a_save_with_all_that_is_in_it(house: House) -> None:
    house.write(CODEX_FILE, {"tokens": tokens()})
    (found,) = house.found("codex", CODEX_FILE)
    fields = {**found.profile(NOW_MS, copied=False), "unknown": {"kept": [1, None]}}
    file = ConfigFile(house.home / "gateway" / "config.json", environ=house.environ)
    file.update(lambda data: data.update(authProfiles={"openai-codex:codex": fields}, auth={"profiles": {}}))
    data = file.read().data
    assert data["authProfiles"]["openai-codex:codex"] == data["auth"]["profiles"]["openai-codex:codex"] == fields
    assert data["authProfiles"]["openai-codex:codex"]["metadata"]["importedAt"] == NOW_MS
    assert house.verdict(data, "openai-codex:codex") == "usable"
