"""`python -m open_llm_auth`."""

from .cli import main

main()
