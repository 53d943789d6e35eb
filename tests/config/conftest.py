"""A document that uses every section and field of the schema, for the tests of this room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

FULL: dict[str, Any] = {
    "authProfiles": {
        "openai:default": {
            "id": "openai:default",
            "provider": "openai",
            "type": "api_key",
            "key": "sk-1",
            "email": "a@example.org",
            "accountId": "acc",
            "gatewayId": "gw",
            "baseUrl": "https://api.example.org/v1",
            "owner": "ci",
            "metadata": {"note": "x"},
        },
        "openai-codex:me": {
            "provider": "codex",
            "type": "oauth",
            "access": "at",
            "refresh": "rt",
            "expires": 1_900_000_000_000,
        },
        "anthropic:setup": {"provider": "anthropic", "type": "token", "token": "tk"},
    },
    "authOrder": {"openai": ["openai:default"]},
    "auth": {"profiles": {}, "order": {}},
    "providers": {
        "my-llm": {
            "baseUrl": "https://llm.example.org/v1",
            "apiKey": "MY_LLM_KEY",
            "auth": "api-key",
            "api": "openai-completions",
            "headers": {"X-Team": "blue"},
            "authHeader": True,
            "models": [
                {
                    "id": "big",
                    "name": "Big",
                    "api": "openai-completions",
                    "reasoning": True,
                    "input": ["text", "image"],
                    "cost": {"input": 1, "output": 2.5, "cacheRead": 0.1, "cacheWrite": 0},
                    "contextWindow": 1000,
                    "maxTokens": 100,
                    "headers": {"X-Model": "big"},
                }
            ],
            "command": "/opt/llm",
            "args": ["--quiet", ""],
        }
    },
    "models": {"mode": "merge", "providers": {}},
    "authorization": {
        "tokens": {
            "ci": {
                "id": "ci-runner",
                "token": "client-token-ci",
                "scopes": ["read", "write"],
                "admin": False,
                "enabled": True,
                "expiresAt": 1_900_000_000_000,
                "models": ["openai/*"],
                "providers": ["openai"],
                "profiles": ["openai:*"],
                "rateLimit": {"requestsPerMinute": 60, "tokensPerMinute": 1000, "concurrent": 4},
                "budget": {"usdPerDay": 1.5, "usdPerMonth": 20},
            },
            "hashed": {"tokenHash": "sha256:" + "ab" * 32, "admin": True},
        },
        "legacyAdminCompatibility": True,
    },
    "durableState": {
        "enabled": True,
        "url": None,
        "dbPath": "~/.open_llm_auth/runtime_state.sqlite3",
        "idempotencyTtlSeconds": 86400,
        "pendingLeaseSeconds": 60,
        "failClosed": True,
    },
    "egressPolicy": {
        "enabled": True,
        "mode": "enforce",
        "resolveDns": True,
        "failClosed": True,
        "enforceHttps": True,
        "proxy": None,
        "awsMetadata": False,
        "allowLocalProviders": ["ollama", "lm-studio"],
        "denyHosts": ["metadata.google.internal"],
        "denyCidrs": ["169.254.169.254/32"],
    },
    "taskContract": {
        "enabled": True,
        "enforce": True,
        "cacheTtlSeconds": 30,
        "supportedVersions": ["1.0"],
        "allowLegacyMissing": True,
        "failClosed": True,
    },
    "providerFallback": {
        "enabled": True,
        "order": {"chat:codex/gpt-5": ["z.ai/glm-5", "my-llm"]},
        "retryStatusCodes": [429, 503],
        "maxAttempts": 3,
        "subscriptionToMetered": "refuse",
    },
    "oauth": {
        "openai-codex": {
            "authorizeUrl": "https://auth.example.org/authorize",
            "tokenUrl": "https://auth.example.org/token",
            "deviceUrl": "https://auth.example.org/device",
            "clientId": "app",
            "scopes": ["openid"],
            "redirectPort": 1455,
        }
    },
    "server": {
        "host": "127.0.0.1",
        "port": 8080,
        "allowedHosts": ["Gateway.Example.org."],
        "corsOrigins": ["app://ui"],
        "trustedProxies": ["10.0.0.0/8"],
        "maxBodyBytes": 33554432,
        "requestTimeoutSeconds": 600,
    },
    "activeProviderIds": [],
    "defaultModel": "openai/gpt-5",
    "serverToken": "legacy-token",
}


@pytest.fixture
def full() -> dict[str, Any]:
    """A copy to change."""
    return deepcopy(FULL)


@pytest.fixture
def canary() -> str:
    """A secret that nothing may repeat."""
    return "canary-3f1b9c-never-shown"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"NO FULL DISK TESTED, as this machine lets nobody mount one: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)
