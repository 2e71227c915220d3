"""`.env.example`, docker-compose.yml and the settings name the same variables."""

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from offstreet.runtime import envfile
from tests import run_function
from tests.offstreet import settings_read

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / ".env.example"
# Read by what runs beside or around Django.
OUTSIDE_SETTINGS = {
    "PORT": "offstreet/runtime/demo.py",
    "WEB_BIND": "offstreet/runtime/gunicorn_conf.py",
    "WEB_CONCURRENCY": "offstreet/runtime/gunicorn_conf.py",
    "WEB_THREADS": "offstreet/runtime/gunicorn_conf.py",
    "WEB_LOG_LEVEL": "offstreet/runtime/gunicorn_conf.py",
    "FIRST_SUPPORT_EMAIL": "offstreet/management/commands/first_support_user.py",
    "FIRST_SUPPORT_PASSWORD": "offstreet/management/commands/first_support_user.py",
    "POSTGRES_PASSWORD": "docker-compose.yml",
    "REDIS_PASSWORD": "docker-compose.yml",
    "WEB_PORT": "docker-compose.yml",
}


def variables_of_settings() -> set[str]:
    """The names of all variables that `offstreet/settings.py` reads."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / "offstreet/settings.py").read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            names.add(node.args[0].value)
    return names


def test_the_example_lists_every_variable_and_no_other() -> None:
    assert set(envfile.names(EXAMPLE)) == variables_of_settings() | set(OUTSIDE_SETTINGS)


def test_the_example_names_no_variable_twice() -> None:
    names = envfile.names(EXAMPLE)
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("name", "path"), OUTSIDE_SETTINGS.items())
def test_a_variable_outside_of_the_settings_is_read_where_the_test_says(name: str, path: str) -> None:
    assert re.search(rf"\b{name}\b", (ROOT / path).read_text())


def test_each_variable_of_the_example_has_a_comment_before_it() -> None:
    described = False
    for line in EXAMPLE.read_text().splitlines():
        is_variable = re.match(r"^#?\s?[A-Z][A-Z0-9_]*=", line)
        if is_variable:
            assert described, line
        described = bool(is_variable) or (line.startswith("# ") and not line.startswith("# ---")) or described
        if not line:
            described = False


def value_of(setting: str, env: dict[str, str]) -> str:
    """Return what a process with these variables has as a setting."""
    done = subprocess.run(
        run_function.command(settings_read.as_texts, setting),
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (value,) = json.loads(done.stdout)
    return str(value)


@pytest.mark.parametrize(
    ("variable", "in_file", "in_shell", "expected"),
    [
        ("SITE_URL", "http://from-demo:1", None, "http://from-demo:1"),
        ("SITE_URL", "http://from-demo:1", "http://from-shell:2", "http://from-shell:2"),
        ("SITE_URL", None, None, "http://127.0.0.1:8000"),
    ],
)
def test_commands_beside_a_demo_take_its_addresses_unless_the_shell_knows_better(
    tmp_path: Path, variable: str, in_file: str | None, in_shell: str | None, expected: str
) -> None:
    if in_file:
        envfile.write(tmp_path / "demo.env", {variable: in_file})
    env = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)}
    if in_shell:
        env[variable] = in_shell
    assert value_of(variable, env) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "0"),
        ({"BEHIND_TLS_PROXY": "True"}, "1"),
        ({"BEHIND_TLS_PROXY": "True", "TRUSTED_PROXIES": "2"}, "2"),
        ({"TRUSTED_PROXIES": "1"}, "1"),
    ],
)
def test_a_proxy_that_ends_tls_is_believed_about_the_visitors_address(
    tmp_path: Path, given: dict[str, str], expected: str
) -> None:
    env = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), **given}
    assert value_of("ALLAUTH_TRUSTED_PROXY_COUNT", env) == expected
