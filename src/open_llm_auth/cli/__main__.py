"""`python -m open_llm_auth.cli`."""

from . import main

main()
