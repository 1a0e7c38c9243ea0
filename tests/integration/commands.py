"""Running the `screening` command as a person does, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCREENING = str(Path(sys.executable).parent / "screening")


class Answer:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def screening(
    *arguments: object, environment: dict[str, str] | None = None, stdin: str = "", seconds: float = 180
) -> Answer:
    """Call the command; a traceback, which nobody should ever see, is a failure in every test."""
    answer = Answer(
        subprocess.run(
            [SCREENING, *map(str, arguments)],
            env={**os.environ, "COLUMNS": "200", **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    )
    assert "Traceback" not in answer.err, answer
    return answer
