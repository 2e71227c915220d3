"""A function is run in a separate process: its result comes back unchanged, and errors are reported."""

import json
from pathlib import Path

import pytest

from tests import run_function
from tests.servers import ServerFailed, product_environment, run_checked


def echo(*, value: object) -> object:
    print("on the way")
    return value


def fail() -> None:
    raise ValueError("for this reason")


def pair() -> tuple[int, int]:
    return 1, 2


def run(command: list[str], home: Path) -> object:
    return json.loads(run_checked(command, env=product_environment(home)))


def test_what_a_function_returns_is_all_that_is_printed(tmp_path: Path) -> None:
    value = {"texts": ["é", ""], "none": None, "number": 1.5}
    assert run(run_function.command(echo, value=value), tmp_path) == value


def test_what_json_would_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="returned \\(1, 2\\), which is \\[1, 2\\] in JSON"):
        run(run_function.command(pair), tmp_path)


def test_a_function_that_raises_is_reported_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=r"Traceback(?s:.*)in fail(?s:.*)ValueError: for this reason"):
        run(run_function.command(fail), tmp_path)
