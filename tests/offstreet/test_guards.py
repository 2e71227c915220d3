"""Production starts only in a valid environment; real processes, since settings are read once per process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from offstreet.guards import CONSOLE_MAILS, DEVELOPMENT_SECRET_KEY, known_environment, production_faults
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from tests import run_function
from tests.offstreet import settings_read
from tests.production import PRODUCTION_ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "SECRET_KEY": PRODUCTION_ENVIRONMENT["SECRET_KEY"],
    "DEBUG": False,
    "ALLOWED_HOSTS": ["passport.offstreet.example"],
    "SITE_URL": PRODUCTION_ENVIRONMENT["SITE_URL"],
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "DEMO_MAILBOX": "",
    "FIELD_ENCRYPTION_KEYS": [PRODUCTION_ENVIRONMENT["FIELD_ENCRYPTION_KEYS"]],
    "REDIS_URL": PRODUCTION_ENVIRONMENT["REDIS_URL"],
    "REDIS_NETWORK_IS_TRUSTED": False,
    "INTEGRATION_VENDORS": {"passport": "passport.vendor.Passport"},
    "PASSPORT_BASE_URL": PRODUCTION_ENVIRONMENT["PASSPORT_BASE_URL"],
    "PASSPORT_CLIENT_ID": PRODUCTION_ENVIRONMENT["PASSPORT_CLIENT_ID"],
    "PASSPORT_CLIENT_SECRET": PRODUCTION_ENVIRONMENT["PASSPORT_CLIENT_SECRET"],
}


def start(tmp_path: Path, *command: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run a management command in production, with `changes` to a valid environment."""
    return run([sys.executable, str(ROOT / "manage.py"), *command], tmp_path, **changes)


def run(command: Sequence[str], tmp_path: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in production, with `changes` to a valid environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, **PRODUCTION_ENVIRONMENT, "VAR_DIR": str(tmp_path), **changes}
    return subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_nothing_is_wrong_with_a_good_configuration() -> None:
    assert production_faults(GOOD) == []


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("SECRET_KEY", "", "SECRET_KEY is empty"),
        ("SECRET_KEY", DEVELOPMENT_SECRET_KEY, "development secret, which is public"),
        ("SECRET_KEY", "short", "SECRET_KEY is shorter than 50 characters"),
        ("DEBUG", True, "DEBUG is on: error pages would show settings and plates to anybody."),
        ("ALLOWED_HOSTS", [], "ALLOWED_HOSTS must list the names"),
        ("ALLOWED_HOSTS", ["*"], "ALLOWED_HOSTS must list the names"),
        ("SITE_URL", "http://127.0.0.1:8000", "SITE_URL must be the site's https:// address"),
        ("EMAIL_BACKEND", CONSOLE_MAILS, "EMAIL_URL is missing"),
        ("DEMO_MAILBOX", "/var/mail", "DEMO_MAILBOX is set: mails would be kept in a folder and never sent."),
        ("FIELD_ENCRYPTION_KEYS", [], "FIELD_ENCRYPTION_KEYS is empty"),
        ("FIELD_ENCRYPTION_KEYS", ["not a key"], "FIELD_ENCRYPTION_KEYS holds something that is no key"),
        ("REDIS_URL", "redis://broker.example:6379/0", "REDIS_URL holds no password"),
        ("REDIS_URL", "rediss://user@broker.example:6379/0", "REDIS_URL holds no password"),
        ("REDIS_URL", "redis://:@broker.example:6379/0", "REDIS_URL holds no password"),
        ("REDIS_URL", "redis://[broker", "REDIS_URL holds no password"),
        ("PASSPORT_BASE_URL", "http://127.0.0.1:8001", "PASSPORT_BASE_URL must be an https:// address"),
        ("PASSPORT_CLIENT_ID", "", "PASSPORT_CLIENT_ID is empty"),
        ("PASSPORT_CLIENT_ID", SANDBOX_CLIENT_ID, "PASSPORT_CLIENT_ID is the sandbox's"),
        ("PASSPORT_CLIENT_SECRET", SANDBOX_CLIENT_SECRET, "PASSPORT_CLIENT_SECRET is the sandbox's"),
    ],
)
def test_each_unfit_setting_is_named_with_its_reason(setting: str, value: object, reason: str) -> None:
    faults = production_faults({**GOOD, setting: value})
    assert len(faults) == 1
    assert reason in faults[0]


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@broker.example/0",
        "rediss://broker.example/0?password=secret",
        "unix:///run/redis.sock",
    ],
)
def test_a_redis_with_a_password_or_on_a_socket_is_fit_for_production(url: str) -> None:
    assert production_faults({**GOOD, "REDIS_URL": url}) == []


def test_a_redis_without_a_password_is_taken_where_its_network_is_said_to_be_trusted() -> None:
    open_redis = {**GOOD, "REDIS_URL": "redis://broker.example:6379/0"}
    assert production_faults({**open_redis, "REDIS_NETWORK_IS_TRUSTED": True}) == []


def test_a_misspelt_environment_does_not_run_as_development() -> None:
    with pytest.raises(ImproperlyConfigured, match="ENVIRONMENT is 'prod'; it must be one of"):
        known_environment("prod")


def test_a_good_environment_passes_djangos_deployment_check(tmp_path: Path) -> None:
    done = start(tmp_path, "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_production_reports_every_fault_at_once_and_does_not_start(tmp_path: Path) -> None:
    done = start(
        tmp_path,
        "check",
        SECRET_KEY=DEVELOPMENT_SECRET_KEY,
        DEBUG="True",
        PASSPORT_CLIENT_ID=SANDBOX_CLIENT_ID,
        PASSPORT_CLIENT_SECRET=SANDBOX_CLIENT_SECRET,
    )
    assert done.returncode != 0
    assert "This configuration is not fit for production:" in done.stderr
    for reason in ("development secret", "DEBUG is on", "PASSPORT_CLIENT_ID is the sandbox's"):
        assert reason in done.stderr


def test_production_does_not_read_what_a_demo_wrote(tmp_path: Path) -> None:
    (tmp_path / "demo.env").write_text('DATABASE_URL="sqlite:////nowhere/else"\nDEBUG="True"\n')
    done = run(run_function.command(settings_read.as_texts, "DEBUG", "DATABASES.default.ENGINE"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["False", "django.db.backends.postgresql"]


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "True"), ({"MFA_REQUIRED_FOR_SUPPORT": "False"}, "False")]
)
def test_production_requires_two_steps_of_support_by_default(
    tmp_path: Path, given: dict[str, str], expected: str
) -> None:
    command = run_function.command(settings_read.as_texts, "MFA_REQUIRED_FOR_SUPPORT")
    done = run(command, tmp_path, **given)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [expected]
