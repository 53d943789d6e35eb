"""One flag writes the golden files anew; the change is then reviewed as a diff."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden", action="store_true", help="write tests/golden/cases anew from what is made now"
    )


@pytest.fixture(scope="session")
def rewrites(request: pytest.FixtureRequest) -> bool:
    # The option is not known where the whole suite is run: pytest reads the options of the folders it is given.
    return bool(request.config.getoption("--rewrite-golden", default=False))
