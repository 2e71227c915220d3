"""What docker-compose.yml does, without an engine: the same commands with the same variables, on real servers."""

import sys
from pathlib import Path

import pytest

from offstreet.runtime import commands, processes
from offstreet.runtime.healthcheck import host_header
from tests.production import PRODUCTION_ENVIRONMENT
from tests.servers import (
    Server,
    eventually,
    make_redis,
    make_web,
    make_worker,
    postgres_server,
    run_command,
)

HEALTH = [sys.executable, "-m", "offstreet.runtime.healthcheck"]


def test_a_deployment_comes_up_from_an_empty_database_with_nothing_done_by_hand(tmp_path: Path) -> None:
    port = processes.free_port()
    broker = make_redis(tmp_path, embedded=False, password="letters-and-digits-1")
    with postgres_server() as database:
        env = {
            "PATH": "/usr/bin:/bin",
            **PRODUCTION_ENVIRONMENT,
            "DATABASE_URL": database.url,
            "REDIS_URL": broker.url,
            "FIRST_SUPPORT_EMAIL": "support@offstreet.example",
            "FIRST_SUPPORT_PASSWORD": "a-long-first-password",
        }
        for _again in range(2):
            for arguments in (("migrate", "--noinput"), ("first_support_user",)):
                done = run_command(commands.manage_command(*arguments), env=env)
                assert done.returncode == 0, done.stdout + done.stderr
        assert "exists already; its password was kept" in done.stdout

        web = make_web(tmp_path, env, port=port)
        # The health check below uses a host name that the site answers to; this one, unknown, is refused.
        web.ready = lambda: not processes.port_is_free(port)
        worker = make_worker(tmp_path, env)
        servers: list[Server] = [broker, worker, web]
        try:
            for server in servers:
                server.start()
            assert web.env is not None
            web_env = dict(web.env)
            eventually(lambda: run_command(HEALTH, env=web_env).returncode == 0, what="a healthy web server")
            assert worker.env is not None
            assert run_command([*HEALTH, "worker"], env=worker.env).returncode == 0

            worker.kill()
            web.stop()
            down = run_command(HEALTH, env=web_env)
            assert down.returncode == 1
            assert "The web server does not answer" in down.stderr
        finally:
            for server in reversed(servers):
                server.stop()


@pytest.mark.parametrize(
    ("hosts", "header"),
    [
        ("a.example,b.example", "a.example"),
        (".example.org", "example.org"),
        ("*", "localhost"),
        ("", "localhost"),
    ],
)
def test_the_health_check_asks_with_a_name_that_the_site_answers_to(hosts: str, header: str) -> None:
    assert host_header(hosts) == header
