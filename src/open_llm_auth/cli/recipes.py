"""How each known client is pointed at a gateway, as data: which file says it, under which names, in which words.

Templates hold `{url}` (the gateway), `{v1}` (its OpenAI-compatible address), `{token}` and `{model}`. Each row was
tried with the program it is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from .settings_text import Entry, FormatName, SettingPath

__all__ = ["RECIPES", "Recipe", "Setting", "SettingsFile", "Values"]


@dataclass(frozen=True, slots=True)
class Values:
    """What the templates are filled with. Without a `model`, settings that name one are left out."""

    url: str
    token: str
    model: str | None = None

    def fill(self, template: str) -> str:
        return template.format(url=self.url, v1=f"{self.url}/v1", token=self.token, model=self.model)


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its path in a file; names on the path are templates as the value is."""

    path: SettingPath
    value: str | bool

    @property
    def names_model(self) -> bool:
        return any("{model}" in text for text in (*self.path, self.value) if isinstance(text, str))

    def filled(self, values: Values) -> tuple[SettingPath, str | bool]:
        path = tuple(values.fill(step) if isinstance(step, str) else step for step in self.path)
        return path, values.fill(self.value) if isinstance(self.value, str) else self.value


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file of a client. `moved_by` names variables that move it, each with the path below what it holds; on a Mac it
    may stand at `mac`. `first` is what a new file says beside the settings.
    """

    place: str
    format: FormatName
    settings: tuple[Setting, ...]
    moved_by: tuple[tuple[str, str], ...] = ()
    first: tuple[Setting, ...] = ()
    mac: str = ""

    def located(self, environ: Mapping[str, str], platform: str) -> str:
        """Its path, which may begin with ``~``."""
        for name, below in self.moved_by:
            if held := environ.get(name, "").strip():
                return f"{held.rstrip('/')}/{below}".rstrip("/")
        return self.mac if self.mac and platform == "darwin" else self.place

    @property
    def token_path(self) -> SettingPath | None:
        return next((setting.path for setting in self.settings if setting.value == "{token}"), None)

    def filled(self, values: Values, *, new: bool = False) -> Mapping[SettingPath, str | bool]:
        """The values at their paths."""
        wanted = (*(self.first if new else ()), *self.settings)
        return dict(each.filled(values) for each in wanted if values.model is not None or not each.names_model)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One client. `files` are its own; `environment` is what a shell exports for it, `command` a line to try.

    `model`: whether its settings have to name one, may, or don't.
    """

    client: str
    title: str
    files: tuple[SettingsFile, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    command: str = ""
    model: Literal["needed", "optional", "none"] = "optional"


def _at(*path: str | Entry, value: str | bool) -> Setting:
    return Setting(path, value)


_LLM: Final = Entry("model_id", "open-llm-auth")
_CONTINUE: Final = Entry("name", "Open LLM Auth")
_CODEX: Final = ("model_providers", "open-llm-auth")
_OPENCODE: Final = ("provider", "open-llm-auth")
_HELLO: Final = '\'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}\''

_ROWS: Final = (
    Recipe(
        "claude-code",
        "Claude Code",
        files=(
            SettingsFile(
                "~/.claude/settings.json",
                "json",
                (
                    _at("env", "ANTHROPIC_BASE_URL", value="{url}"),
                    _at("env", "ANTHROPIC_AUTH_TOKEN", value="{token}"),
                    _at("env", "ANTHROPIC_MODEL", value="{model}"),
                    # titles and the like, which it asks a small model for
                    _at("env", "ANTHROPIC_DEFAULT_HAIKU_MODEL", value="{model}"),
                ),
                moved_by=(("CLAUDE_CONFIG_DIR", "settings.json"),),
            ),
        ),
    ),
    Recipe(
        "codex",
        "Codex",
        files=(
            SettingsFile(
                "~/.codex/config.toml",
                "toml",
                (
                    _at("model", value="{model}"),
                    _at("model_provider", value="open-llm-auth"),
                    _at(*_CODEX, "name", value="Open LLM Auth"),
                    _at(*_CODEX, "base_url", value="{v1}"),
                    _at(*_CODEX, "wire_api", value="responses"),
                    _at(*_CODEX, "experimental_bearer_token", value="{token}"),
                ),
                moved_by=(("CODEX_HOME", "config.toml"),),
            ),
        ),
    ),
    Recipe(
        "aider",
        "aider",
        files=(
            SettingsFile(
                "~/.aider.conf.yml",
                "yaml",
                (
                    _at("openai-api-base", value="{v1}"),
                    _at("openai-api-key", value="{token}"),
                    # It takes off what stands before the first slash, and sends the rest.
                    _at("model", value="openai/{model}"),
                ),
            ),
        ),
    ),
    Recipe(
        "llm",
        "llm",
        files=(
            SettingsFile(
                "~/.config/io.datasette.llm/extra-openai-models.yaml",
                "yaml",
                (
                    _at(_LLM, "model_name", value="{model}"),
                    _at(_LLM, "api_base", value="{v1}"),
                    _at(_LLM, "api_key_name", value="open-llm-auth"),
                    _at(_LLM, "supports_tools", value=True),
                    _at(_LLM, "supports_schema", value=True),
                ),
                moved_by=(
                    ("LLM_USER_PATH", "extra-openai-models.yaml"),
                    ("XDG_CONFIG_HOME", "io.datasette.llm/extra-openai-models.yaml"),
                ),
                mac="~/Library/Application Support/io.datasette.llm/extra-openai-models.yaml",
            ),
            SettingsFile(
                "~/.config/io.datasette.llm/keys.json",
                "json",
                (_at("open-llm-auth", value="{token}"),),
                moved_by=(("LLM_USER_PATH", "keys.json"), ("XDG_CONFIG_HOME", "io.datasette.llm/keys.json")),
                mac="~/Library/Application Support/io.datasette.llm/keys.json",
            ),
        ),
        command='llm -m open-llm-auth "Hello"',
        model="needed",
    ),
    Recipe(
        "opencode",
        "opencode",
        files=(
            SettingsFile(
                "~/.config/opencode/opencode.json",
                "json",
                (
                    _at(*_OPENCODE, "npm", value="@ai-sdk/openai-compatible"),
                    _at(*_OPENCODE, "name", value="Open LLM Auth"),
                    _at(*_OPENCODE, "options", "baseURL", value="{v1}"),
                    _at(*_OPENCODE, "options", "apiKey", value="{token}"),
                    _at(*_OPENCODE, "models", "{model}", "name", value="{model}"),
                    _at("model", value="open-llm-auth/{model}"),
                ),
                moved_by=(("OPENCODE_CONFIG", ""), ("XDG_CONFIG_HOME", "opencode/opencode.json")),
                first=(_at("$schema", value="https://opencode.ai/config.json"),),
            ),
        ),
        model="needed",
    ),
    Recipe(
        "continue",
        "Continue",
        files=(
            SettingsFile(
                "~/.continue/config.yaml",
                "yaml",
                (
                    _at("models", _CONTINUE, "provider", value="openai"),
                    _at("models", _CONTINUE, "model", value="{model}"),
                    _at("models", _CONTINUE, "apiBase", value="{v1}"),
                    _at("models", _CONTINUE, "apiKey", value="{token}"),
                ),
                moved_by=(("CONTINUE_GLOBAL_DIR", "config.yaml"),),
                first=(
                    _at("name", value="Local config"),
                    _at("version", value="1.0.0"),
                    _at("schema", value="v1"),
                ),
            ),
        ),
        model="needed",
    ),
    Recipe(
        "gemini-cli",
        "Gemini CLI",
        files=(
            SettingsFile(
                "~/.gemini/.env",
                "dotenv",
                (
                    _at("GOOGLE_GEMINI_BASE_URL", value="{url}"),
                    _at("GEMINI_API_KEY", value="{token}"),
                ),
                moved_by=(("GEMINI_CLI_HOME", ".gemini/.env"),),
            ),
            SettingsFile(
                "~/.gemini/settings.json",
                "json",
                (
                    _at("security", "auth", "selectedType", value="gemini-api-key"),
                    _at("model", "name", value="{model}"),
                ),
                moved_by=(("GEMINI_CLI_HOME", ".gemini/settings.json"),),
            ),
        ),
    ),
    Recipe(
        "openai",
        "OpenAI SDKs",
        environment=(("OPENAI_BASE_URL", "{v1}"), ("OPENAI_API_KEY", "{token}")),
        model="none",
    ),
    Recipe(
        "anthropic",
        "Anthropic SDKs",
        environment=(("ANTHROPIC_BASE_URL", "{url}"), ("ANTHROPIC_API_KEY", "{token}")),
        model="none",
    ),
    Recipe(
        "google-genai",
        "Google Gen AI SDKs",
        environment=(
            ("GOOGLE_GEMINI_BASE_URL", "{url}"),
            ("GEMINI_API_KEY", "{token}"),
            # Left alone, newer ones ask for the version without a list of models that is theirs.
            ("GOOGLE_GENAI_API_VERSION", "beta"),
        ),
        model="none",
    ),
    Recipe(
        "curl",
        "curl",
        environment=(("OPENAI_BASE_URL", "{v1}"), ("OPENAI_API_KEY", "{token}")),
        command='curl -sS "$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" '
        f'-H "Content-Type: application/json" -d {_HELLO}',
        model="needed",
    ),
)

#: By the names that `connect` takes.
RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType({recipe.client: recipe for recipe in _ROWS})
