"""The process manager of `make demo`: brings the whole product up on one machine and takes all of it down again.

Order: broker → sandbox → static files → migrations and seed → web and worker → the addresses on the screen. No page is
served before the seed is in. A child that dies later is started again, with a pause that grows while it keeps dying
(`offstreet.runtime.manager`).

Invariants:
- One demo per state directory: a lock on `var/demo.lock` is held for life.
- While it runs, `var/demo.env` tells commands beside it where everything is; afterwards the file is gone.
- It imports neither Django nor Celery: the manager should cost a few megabytes.
"""

import argparse
import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from offstreet.runtime import broker, commands, envfile, private, processes, static
from offstreet.runtime.commands import ROOT
from offstreet.runtime.manager import Ending, Manager

DEFAULT_PORT = 8000
# Every account of the seed, company by company (`offstreet.seeding`, which this module doesn't import: it loads Django).
LOGINS = (
    ("operator@university.example", "University (live): maps locations, registers vehicles"),
    ("manager@university.example", "University: also manages members and pauses the integration"),
    ("viewer@university.example", "University: reads only"),
    ("operator@lakeshore-city.example", "Lakeshore City (being tested)"),
    ("operator@harbor-properties.example", "Harbor Properties (being set up)"),
    ("support@offstreet.example", "Offstreet's support: all companies, and the admin"),
)
LOGIN_PASSWORD = "demo-passport"
# An operator of the sandbox that no company of the seed uses, for whoever tries the set-up of a company.
PRACTICE_OPERATOR_ID = "658940b4-52b1-5d67-94a1-1bdee1137d99"


class CannotStart(Exception):
    """The demo can't run; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class Plan:
    """What to start and where, decided before anything runs.

    `environment` is what every child gets; `announced` is the part of it that commands beside the demo need.
    """

    var_dir: Path
    port: int
    sandbox_port: int | None
    own_broker: bool
    environment: Mapping[str, str]
    announced: Mapping[str, str]

    @property
    def site_url(self) -> str:
        """The address that people open."""
        return f"http://127.0.0.1:{self.port}"


def make_plan(environment: Mapping[str, str], *, root: Path = ROOT) -> Plan:
    """Read the environment (and `.env`, which it overrules) into a plan.

    Raises `CannotStart` where a value makes no sense.
    """
    given = {**envfile.read(root / ".env"), **environment}
    text = given.get("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65534:
        raise CannotStart(f"PORT must be a number from 1 to 65534, not {text!r}.")
    port = int(text)
    var_dir = Path(given.get("VAR_DIR") or root / "var")
    own_broker = not given.get("REDIS_URL")
    sandbox_port = None if given.get("PASSPORT_BASE_URL") else port + 1
    decided = {
        "VAR_DIR": str(var_dir),
        "SITE_URL": given.get("SITE_URL") or f"http://127.0.0.1:{port}",
        "REDIS_URL": given.get("REDIS_URL") or broker.embedded_url(var_dir),
        "PASSPORT_BASE_URL": given.get("PASSPORT_BASE_URL") or f"http://127.0.0.1:{sandbox_port}",
    }
    if not given.get("EMAIL_URL"):
        decided["DEMO_MAILBOX"] = given.get("DEMO_MAILBOX") or str(var_dir.resolve() / "mail")
    if sandbox_port is not None:
        decided["DEMO_OPERATOR_ID"] = PRACTICE_OPERATOR_ID
    known = envfile.names(root / ".env.example")
    announced = {name: environment[name] for name in known if name in environment} | decided
    runtime = {
        "WEB_BIND": f"127.0.0.1:{port}",
        "WORKER_HEARTBEAT_FILE": str(var_dir / "worker.alive"),
        "PYTHONUNBUFFERED": "1",
        # A demo in a container runs as root, and need not be told so each time.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }
    return Plan(
        var_dir=var_dir,
        port=port,
        sandbox_port=sandbox_port,
        own_broker=own_broker,
        environment={**environment, **decided, **runtime},
        announced=announced,
    )


def check_ports(plan: Plan) -> None:
    """Raise `CannotStart` if something else listens on a port that the demo needs."""
    for port, user in ((plan.port, "the web pages"), (plan.sandbox_port, "the sandbox")):
        if port is not None and not processes.port_is_free(port):
            raise CannotStart(
                f"Port {port} is taken, and {user} need it: stop what listens there, "
                f"or choose another with `make demo PORT={plan.port + 100}`."
            )


@contextlib.contextmanager
def only_one(var_dir: Path) -> Iterator[None]:
    """Hold the state directory's lock while the block runs. Raises `CannotStart` if another demo has it."""
    with private.file(private.directory(var_dir) / "demo.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise CannotStart(
                f"A demo is running here already (process {handle.read().strip() or 'unknown'}): end it first."
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def start_broker(manager: Manager, plan: Plan) -> None:
    """Start the embedded broker and wait for it. Raises `CannotStart`.

    A file that it can't read (another server's version, a disk that filled up) is put aside: it holds only hints.
    """
    try:
        binary = broker.find_server()
    except broker.NoBroker as error:
        raise CannotStart(str(error)) from None
    data_dir = plan.var_dir / "broker"
    socket_path = broker.embedded_socket(plan.var_dir)
    for attempt in (1, 2):
        private.directory(data_dir)
        socket_path.unlink(missing_ok=True)
        log = data_dir / broker.LOG_NAME
        log.unlink(missing_ok=True)
        command = broker.server_command(binary, data_dir=data_dir, socket_path=socket_path)
        child = manager.start("broker", [*command, "--logfile", str(log)])
        if manager.wait_ready(child, lambda: processes.answers_ping(socket_path)):
            return
        manager.children.remove(child)
        assert child.process is not None
        processes.stop(child.process, timeout_s=1)
        for line in broker.last_lines(log):
            manager.say(line, name="broker")
        if attempt == 1:
            aside = data_dir.with_name(f"broker.unreadable-{int(time.time())}")
            data_dir.rename(aside)
            manager.say(f"The broker did not start; its old data is put aside in {aside.name}, trying again.")
    raise CannotStart(f"The broker ({binary}) does not start; its lines above say why.")


def bring_up(manager: Manager, plan: Plan) -> None:
    """Start everything in order and return once all of it answers. Raises `CannotStart`."""
    if plan.own_broker:
        start_broker(manager, plan)
    sandbox = None
    if plan.sandbox_port is not None:
        state = plan.var_dir / "sandbox.json"
        sandbox = manager.start("sandbox", commands.sandbox_command(port=plan.sandbox_port, state=state))
    collect = commands.manage_command("collectstatic", "--noinput", "--verbosity", "0")
    # Not in `var/`, and nothing in them is secret.
    if not static.collect_if_changed(lambda: manager.run("static", collect, umask=processes.OWN_UMASK)):
        raise CannotStart("The static files could not be collected; the lines above say why.")
    address = f"http://127.0.0.1:{plan.sandbox_port}/sandbox/health"
    if sandbox is not None and not manager.wait_ready(sandbox, lambda: processes.answers_http(address)):
        raise CannotStart("The sandbox did not start; its lines above say why.")
    if not manager.run("seed", [sys.executable, "-m", "offstreet.runtime.prepare"]):
        raise CannotStart("The database could not be migrated and filled; the lines above say why.")
    web = manager.start("web", commands.web_command())
    heartbeat = Path(plan.environment["WORKER_HEARTBEAT_FILE"])
    heartbeat.unlink(missing_ok=True)
    worker = manager.start("worker", commands.worker_command())
    health = f"{plan.site_url}/healthz"
    if not manager.wait_ready(web, lambda: processes.answers_http(health)):
        raise CannotStart("The web server did not start; its lines above say why.")
    if not manager.wait_ready(worker, heartbeat.exists):
        raise CannotStart("The worker did not start; its lines above say why.")


def banner(plan: Plan) -> str:
    """Return what the screen shows once everything answers."""
    width = max(len(email) for email, _what in LOGINS)
    lines = ["", f"  Offstreet is ready:  {plan.announced['SITE_URL']}"]
    if plan.sandbox_port is None:
        lines.append(f"  Passport:            {plan.announced['PASSPORT_BASE_URL']} (no sandbox was started)")
    else:
        lines.append(f"  The officer's page:  {plan.announced['PASSPORT_BASE_URL']}/")
        lines.append(f"  For practice:        operator ID {PRACTICE_OPERATOR_ID}, for a company of your own")
    if "DEMO_MAILBOX" in plan.announced:
        lines.append(f"  Emails:              {plan.announced['SITE_URL']}/demo/mail/")
    lines += ["", "  Ctrl-C ends all of it.", ""]
    # Last, so that they stay on the screen.
    lines.append(f"  Accounts (the password of each is {LOGIN_PASSWORD}):")
    return "\n".join([*lines, *(f"    {email:<{width}}  {what}" for email, what in LOGINS)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo until it is ended; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m offstreet.runtime.demo", description="Run the whole product here."
    )
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end when the process that started it ends"
    )
    options = parser.parse_args(arguments)
    if options.end_with_parent:
        processes.die_with_parent(os.getppid(), signum=signal.SIGTERM)
    try:
        plan = make_plan(os.environ)
        with only_one(plan.var_dir):
            check_ports(plan)
            return run(plan)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1


def run(plan: Plan) -> int:
    """Bring the demo up, keep it running, and take it down; return the exit status."""
    manager = Manager(environment=plan.environment)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, manager.ask_to_end)
    announcement = plan.var_dir / "demo.env"
    # One that a killed demo left behind must not reach this one's children.
    announcement.unlink(missing_ok=True)
    try:
        bring_up(manager, plan)
        envfile.write(announcement, plan.announced)
        print(banner(plan), flush=True)
        manager.watch()
    except Ending:
        manager.say("Ending …")
    finally:
        announcement.unlink(missing_ok=True)
        manager.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
