"""What a provider allows instead of the sign-in that it refused."""

import pytest

from open_llm_auth.providers.sanctioned import sanctioned_way


@pytest.mark.parametrize(
    ("provider", "ways"),
    [
        ("anthropic", ("claude-cli/", "auth add-api-key anthropic")),
        ("openai-codex", ("codex-cli/", "auth add-api-key openai")),
        ("github-copilot", ("oauth.github-copilot.clientId",)),
        ("qwen-portal", ("auth add-api-key qwen-portal",)),
    ],
)
def test_each_provider_that_restricts_its_sign_in_has_a_way_that_it_allows(
    provider: str, ways: tuple[str, ...]
) -> None:
    said = sanctioned_way(provider)
    assert said.endswith(".")
    assert all(way in said for way in ways)
