"""Real servers for tests and benchmarks: PostgreSQL, Redis, the sandbox, workers and the web, on free ports.

A whole product, ready to use:

    def test_a_saved_permit_reaches_passport(stack):            # runs once per back end, see `tests/conftest.py`
        stack.manage("passport", "connect", "--company", "university", "--operator-id", OPERATOR, "--confirmed", "A test")
        permit = stack.manage("permit", "add", …).strip()
        eventually(lambda: stack.sandbox.rights(OPERATOR))

    with running_stack("postgres+redis", workers=2, env={"PASSPORT_EVENT_BATCH_SIZE": "10"}) as stack:
        stack.workers[0].kill()                                  # SIGKILL, the whole process group
        stack.broker.freeze()                                    # SIGSTOP; .thaw() ends it
        stack.database.restart()                                 # PostgreSQL only
        stack.query("SELECT state, count(*) FROM …")             # rows as dictionaries, without the ORM
        stack.run(permits.register_many, location="Lot B", count=9)  # a function, in a process with the product's settings

Parts: `stack.database` (None on SQLite), `stack.broker`, `stack.sandbox`, `stack.workers`, `stack.web`. Each is a
`Server`: `start`, `stop` (asks), `kill` (-9), `restart`, `freeze`, `thaw`, `alive`, `log()`.

Every process that it starts is ended again, by its id, even if a test fails, and by the kernel if the test process is
killed (except for a server started from another thread than the main one). Waits have a deadline, and say what they waited
for, with the end of the log. A failing test shows the end of every log
(`tests/conftest.py`); whole logs are kept in `build/logs`.

The migrated database is made once per test process and copied, since migrating takes longer than most stories.
Where a server isn't installed the test is skipped by name (`tests.provision` installs what it may).
"""

from tests.servers.postgres import Postgres, make_postgres, postgres_server
from tests.servers.process import (
    READY_TIMEOUT_S,
    Server,
    ServerFailed,
    eventually,
    run_checked,
    run_command,
    scratch_directory,
)
from tests.servers.redis import Redis, make_redis, redis_server
from tests.servers.sandbox import Refused, Sandbox, make_sandbox, sandbox_server
from tests.servers.stack import (
    BACKENDS,
    POSTGRES,
    RUNNING,
    SQLITE,
    Stack,
    make_web,
    make_worker,
    migrated_postgres,
    migrated_postgres_server,
    product_environment,
    running_stack,
)

__all__ = [
    "BACKENDS",
    "POSTGRES",
    "READY_TIMEOUT_S",
    "RUNNING",
    "SQLITE",
    "Postgres",
    "Redis",
    "Refused",
    "Sandbox",
    "Server",
    "ServerFailed",
    "Stack",
    "eventually",
    "make_postgres",
    "make_redis",
    "make_sandbox",
    "make_web",
    "make_worker",
    "migrated_postgres",
    "migrated_postgres_server",
    "postgres_server",
    "product_environment",
    "redis_server",
    "run_checked",
    "run_command",
    "running_stack",
    "sandbox_server",
    "scratch_directory",
]
