"""Open LLM Auth: a local gateway between programs that speak an LLM API and everything that can answer them."""

__version__ = "0.1.0"
