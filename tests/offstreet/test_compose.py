"""Dockerfile and docker-compose.yml fit together, as far as that can be checked without an engine."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from offstreet.runtime import envfile
from tests.offstreet.test_settings import variables_of_settings
from tests.production import PRODUCTION_ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = ("migrate", "web", "worker", "sandbox")
SECRETS = (
    "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "PASSPORT_CLIENT_ID", "PASSPORT_CLIENT_SECRET", "POSTGRES_PASSWORD",
    "REDIS_PASSWORD", "FIRST_SUPPORT_PASSWORD",
)  # fmt: skip
SUBSTITUTION = re.compile(r"\$\{([A-Z_]+)(:\?|:-)?([^}]*)\}")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as pairs of instruction and arguments, without comments, continued lines joined."""
    text = re.sub(r"^\s*#.*$", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    pairs = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in pairs]


def test_the_services_are_those_that_a_deployment_needs() -> None:
    assert set(SERVICES) == {"migrate", "web", "worker", "postgres", "redis", "sandbox"}
    assert SERVICES["sandbox"]["profiles"] == ["sandbox"]
    assert all("profiles" not in service for name, service in SERVICES.items() if name != "sandbox")


@pytest.mark.parametrize("name", ["worker", "postgres", "redis", "sandbox"])
def test_each_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_the_web_takes_the_health_check_of_the_image() -> None:
    assert "healthcheck" not in SERVICES["web"]
    (check,) = (rest for name, rest in instructions() if name == "HEALTHCHECK")
    assert json.loads(check.partition("CMD ")[2]) == ["python", "-m", "offstreet.runtime.healthcheck"]


@pytest.mark.parametrize("name", ["web", "worker"])
def test_nothing_starts_before_the_database_is_migrated_and_the_broker_answers(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"},
        "redis": {"condition": "service_healthy"},
    }
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_write_nothing_and_gain_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_every_secret_comes_from_the_environment_and_must_be_there() -> None:
    required = {
        name
        for name, mark, _ in SUBSTITUTION.findall((ROOT / "docker-compose.yml").read_text())
        if mark == ":?"
    }
    assert set(SECRETS) <= required
    for service in SERVICES.values():
        for name, value in (service.get("environment") or {}).items():
            if name in SECRETS or "PASSWORD" in name:
                assert SUBSTITUTION.fullmatch(value), name


def test_a_missing_variable_is_asked_for_with_its_reason() -> None:
    for name, mark, reason in SUBSTITUTION.findall((ROOT / "docker-compose.yml").read_text()):
        if mark == ":?":
            assert reason.startswith(name), name
            assert len(reason) > len(name) + 10, name


def test_the_first_password_reaches_the_one_service_that_needs_it() -> None:
    having = {
        name
        for name, service in SERVICES.items()
        if "FIRST_SUPPORT_PASSWORD" in (service.get("environment") or {})
    }
    assert having == {"migrate"}


def test_only_known_variables_are_named_and_every_setting_can_be_given() -> None:
    known = set(envfile.names(ROOT / ".env.example"))
    used = {name for name, _, _ in SUBSTITUTION.findall((ROOT / "docker-compose.yml").read_text())}
    environment = set(SERVICES["web"]["environment"]) | set(SERVICES["worker"]["environment"])
    assert used <= known
    assert environment <= known
    # These are for development and the demo; the container decides where its own files are.
    assert variables_of_settings() - environment == {"DEBUG", "VAR_DIR", "DEMO_MAILBOX", "DEMO_OPERATOR_ID"}


def test_web_and_database_are_not_open_to_the_world() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            assert str(port).startswith("127.0.0.1:"), name
    assert "ports" not in SERVICES["postgres"]
    assert "ports" not in SERVICES["redis"]


def test_the_broker_asks_for_the_password_that_our_containers_bring() -> None:
    redis = SERVICES["redis"]
    substitution = SUBSTITUTION.fullmatch(redis["environment"]["REDISCLI_AUTH"])
    assert substitution is not None
    assert substitution[1] == "REDIS_PASSWORD"
    assert '--requirepass "$$REDISCLI_AUTH"' in redis["command"][-1]
    # redis-cli exits with 0 even if it was refused, so the check reads its output.
    assert "grep -q PONG" in redis["healthcheck"]["test"][-1]
    for name in ("migrate", "web", "worker"):
        url = SUBSTITUTION.sub(r"<\1>", SERVICES[name]["environment"]["REDIS_URL"])
        assert url == "redis://:<REDIS_PASSWORD>@redis:6379/0"


def test_database_and_broker_are_on_a_network_of_their_own() -> None:
    assert COMPOSE["networks"] == {"data": {"internal": True}}
    networks = {name: set(service.get("networks", ["default"])) for name, service in SERVICES.items()}
    assert networks["postgres"] == networks["redis"] == {"data"}
    assert networks["sandbox"] == {"default"}
    for name in ("migrate", "web", "worker"):
        assert networks[name] == {"default", "data"}, name


def test_each_command_of_image_and_compose_exists() -> None:
    for line in (
        SERVICES["migrate"]["command"][2],
        *(rest for name, rest in instructions() if name == "RUN"),
    ):
        for command in re.findall(r"manage\.py (\w+)", line):
            assert command in get_commands()
    for module in re.findall(r"-m\"?,? \"?((?:offstreet|passport)[\w.]*)", DOCKERFILE + json.dumps(SERVICES)):
        assert importlib.util.find_spec(module) is not None
    (command,) = (rest for name, rest in instructions() if name == "CMD")
    assert (ROOT / json.loads(command)[2]).is_file()


def test_the_image_runs_without_root_and_holds_no_secret() -> None:
    steps = instructions()
    last_user = [rest for name, rest in steps if name == "USER"][-1]
    assert last_user not in ("", "root", "0", "0:0")
    for name, rest in steps:
        if name in ("ENV", "ARG"):
            assert not re.search(r"SECRET|PASSWORD|TOKEN|KEY", rest)
    environment = next(rest for name, rest in steps if name == "ENV" and "ENVIRONMENT=" in rest)
    assert "ENVIRONMENT=production" in environment


def test_the_image_installs_the_hashed_lock_and_names_no_index() -> None:
    (install,) = (rest for name, rest in instructions() if name == "RUN" and "pip install" in rest)
    words = shlex.split(install)
    assert "--require-hashes" in words
    assert words[words.index("-r") + 1] == "requirements/base.txt"
    assert not {"-i", "--index-url", "--extra-index-url", "--find-links", "-f"} & set(words)


def test_what_the_image_copies_exists_and_is_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sources = [rest.split()[0] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    assert ignored.count("*") == 1
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    assert not any(line.startswith(("!.env", "!tests")) for line in ignored)


def test_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("there is no docker client with compose here")
    given = {
        **PRODUCTION_ENVIRONMENT,
        "POSTGRES_PASSWORD": "x",
        "REDIS_PASSWORD": "x",
        "FIRST_SUPPORT_EMAIL": "a@offstreet.example",
        "FIRST_SUPPORT_PASSWORD": "x",
    }
    command = [docker, "compose", "--profile", "sandbox", "config", "--quiet"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **given}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    del env["SECRET_KEY"]
    refused = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "SECRET_KEY signs sessions" in refused.stderr
