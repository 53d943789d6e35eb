"""What is found becomes a profile: a sign-in by reference alone, a key in either way, and never a secret in print."""

from __future__ import annotations

from dataclasses import replace

import pytest

from open_llm_auth.auth.imports.found import Found, Store, Unreadable, optional_text, secret_text
from open_llm_auth.values import Secret

SIGN_IN = Found(
    "codex", "openai-codex", "Sign-in", "reference", "oauth", "~/a.json", Secret("canary-text"), "file:~/a.json#/t",
    email="ann@example.org", expires=5_000, expires_pointer="#/e", risk="A risk.", terms_url="https://terms.example",
)  # fmt: skip
KEY = Found("opencode", "groq", "Key", "key", "api_key", "~/b.json", Secret("canary-key"), "file:~/b.json#/groq/key")


def test_a_sign_in_becomes_a_reference_without_expiry_that_is_never_renewed() -> None:
    assert SIGN_IN.profile(1_000.7, copied=False) == {
        "provider": "openai-codex",
        "type": "oauth",
        "access": "file:~/a.json#/t",
        "metadata": {
            "source": "codex",
            "path": "~/a.json",
            "importedAt": 1000,
            "mayRotate": False,
            "risk": "A risk.",
            "termsUrl": "https://terms.example",
            "account": "ann@example.org",
            "expiresPointer": "#/e",
        },
    }


def test_a_sign_in_is_never_copied() -> None:
    with pytest.raises(ValueError, match="not copied"):
        SIGN_IN.profile(0, copied=True)


def test_a_key_is_copied_or_referred_to() -> None:
    assert KEY.profile(0, copied=True)["key"] == "canary-key"
    assert "mayRotate" not in KEY.profile(0, copied=True)["metadata"]
    assert KEY.profile(0, copied=False)["key"] == "file:~/b.json#/groq/key"
    assert KEY.profile(0, copied=False)["metadata"]["mayRotate"] is False


def test_a_copied_key_keeps_its_expiry() -> None:
    assert replace(KEY, expires=7, email="a@b").profile(0, copied=True)["expires"] == 7
    assert "expires" not in replace(KEY, expires=7).profile(0, copied=False)


@pytest.mark.parametrize("copied", [True, False])
def test_what_has_no_text_for_a_way_can_not_go_it(copied: bool) -> None:
    with pytest.raises(ValueError, match=r"nothing can refer|not known"):
        replace(KEY, secret=None, reference="").profile(0, copied=copied)


def test_a_reference_to_a_variable_is_nobody_elses() -> None:
    assert "mayRotate" not in replace(KEY, reference="env:X").profile(0, copied=False)["metadata"]


def test_it_says_whether_it_has_expired_and_what_repairs_it() -> None:
    assert (SIGN_IN.is_expired(4_999), SIGN_IN.is_expired(5_000), KEY.is_expired(1e18)) == (False, True, False)
    assert (SIGN_IN.repair, KEY.repair) == ("codex login", "")


def test_nothing_prints_a_secret() -> None:
    assert "canary" not in f"{SIGN_IN!r} {KEY!r} {Store('a', 'file:a', b'canary')!r}"


def test_a_store_gives_references_into_itself() -> None:
    assert Store("~/a", "file:~/a", b"").reference("x/y", "~", 0) == "file:~/a#/x~1y/~0/0"


@pytest.mark.parametrize(("value", "text"), [("  a\n", "a"), (None, ""), ("", "")])
def test_a_secret_is_text_or_absent(value: object, text: str) -> None:
    assert secret_text({"a": value}, "a") == text


@pytest.mark.parametrize("value", [1, True, [], {}])
def test_a_secret_of_another_type_is_refused_and_a_fact_passed_over(value: object) -> None:
    with pytest.raises(Unreadable, match="'a' is not text"):
        secret_text({"a": value}, "a")
    assert optional_text({"a": value}, "a") is None
