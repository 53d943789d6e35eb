"""What programs print: `cmd:op read op://vault/item/field`, split into words and run without a shell (SPEC §3)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Final

from ..errors import SecretUnavailable
from ..values import Secret, SecretRef
from .slow_secrets import unavailable

__all__ = ["CommandSecrets", "RunProgram"]

#: Runs a program: its words, the variables it may see beside the usual ones, and the seconds it may take. Gives its
#: standard output, and raises SecretUnavailable, which names the program and none of its arguments.
RunProgram = Callable[[Sequence[str], Sequence[str], float], bytes]

_LATE: Final = "the program has not answered yet; run it by hand to see what it waits for"


class CommandSecrets:
    """Reads what programs print. `environment` and `seconds` may be set anew at any time."""

    late: Final = _LATE

    def __init__(self, run: RunProgram | None, seconds: float) -> None:
        self._run = run
        self.seconds = seconds
        self.environment: tuple[str, ...] = ()

    def read(self, ref: SecretRef) -> Secret:
        """The first line of what the program prints: password managers put notes below it.

        Raises:
            SecretUnavailable: it can't be run, fails, or prints nothing that is a secret.
        """
        if self._run is None:
            raise unavailable(ref, "no program is run here")
        output = self._run(_words(ref), self.environment, self.seconds)
        try:
            line = output.decode().split("\n", 1)[0].removesuffix("\r").strip()
        except UnicodeDecodeError:
            raise unavailable(ref, "the program printed something that is not UTF-8 text") from None
        if not line:
            raise unavailable(ref, "the program printed nothing on its first line")
        return Secret(line)


def _words(ref: SecretRef) -> list[str]:
    try:
        words = shlex.split(ref.place.reveal())
    except ValueError:
        # The fault's own text may quote an argument.
        raise SecretUnavailable("A cmd: reference has a quote or a backslash without its other half.") from None
    if not words:
        raise SecretUnavailable("A cmd: reference names no program: write it as cmd:program arguments")
    return words
