"""What is the same credential, and that its mark tells nothing of its secret."""

from dataclasses import replace

import pytest

from open_llm_auth.auth.marks import account_mark, marks_of, secret_mark
from open_llm_auth.values import Credential, Endpoint, Secret

SALT = bytes(32)
KEY = Credential("openai:default", "openai", "profile", "api_key", Secret("sk-canary-mark"))
SIGN_IN = replace(KEY, type="oauth", account_id="acc-1")


def test_the_same_credential_has_the_same_mark_in_every_process() -> None:
    assert secret_mark(SALT, KEY) == secret_mark(SALT, replace(KEY)) == "9b935a57fa69825b75664b9d282d35f4"


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": Secret("sk-other")},
        {"secret": None},
        {"provider": "azure"},
        {"id": "openai:backup"},
        {"endpoint": Endpoint("https", "other.example", 443, "")},
        {"aws_profile": "work"},
        {"aws_region": "eu-west-1"},
    ],
)
def test_whatever_makes_it_another_credential_gives_another_mark(changed: dict[str, object]) -> None:
    assert secret_mark(SALT, replace(KEY, **changed)) != secret_mark(SALT, KEY)


def test_another_salt_gives_another_mark_and_no_mark_holds_the_secret() -> None:
    assert secret_mark(b"other", KEY) != secret_mark(SALT, KEY)
    assert "canary" not in secret_mark(SALT, KEY)


def test_a_sign_in_is_one_account_whatever_its_token_is_now() -> None:
    renewed = replace(SIGN_IN, secret=Secret("renewed"))
    assert account_mark(SALT, renewed) == account_mark(SALT, SIGN_IN)
    assert secret_mark(SALT, renewed) != secret_mark(SALT, SIGN_IN)
    assert account_mark(SALT, replace(SIGN_IN, account_id="acc-2")) != account_mark(SALT, SIGN_IN)
    assert marks_of(SALT, SIGN_IN) == (account_mark(SALT, SIGN_IN), secret_mark(SALT, SIGN_IN))


def test_a_sign_in_that_the_gateway_renews_is_one_account_though_nothing_names_it() -> None:
    unnamed = replace(SIGN_IN, account_id=None, renewable=True)
    assert account_mark(SALT, replace(unnamed, secret=Secret("renewed"))) == account_mark(SALT, unnamed)


@pytest.mark.parametrize("credential", [KEY, replace(SIGN_IN, account_id=None), replace(KEY, type="token")])
def test_of_anything_else_the_secret_is_all_that_is_known_of_the_account(credential: Credential) -> None:
    assert marks_of(SALT, credential) == (secret_mark(SALT, credential),)


def test_a_secret_that_is_no_unicode_has_a_mark_too() -> None:
    assert secret_mark(SALT, replace(KEY, secret=Secret("\udcff")))
