"""A product with two workers, three live companies and a saver, shared by the tests of one module."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from offstreet.runtime.commands import ROOT
from tests.faults import companies
from tests.faults.injector import OPERATORS
from tests.servers import POSTGRES, Stack, eventually, running_stack


class Saver:
    """The saving process (`tests/faults/saver.py`)."""

    def __init__(self, stack: Stack) -> None:
        with (stack.home / "saver.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.saver"],
                env=stack.env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self._read() == {"ready": True}

    def __call__(self, do: str, **order: Any) -> Any:
        """Send one command and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self.process.stdin.flush()
        return self._read()

    def add(self, plate: str, company: str = "university", **more: Any) -> int:
        """Save one permit and return its id."""
        number: int = self("add", plate=plate, company=company, **more)["id"]
        return number

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            assert line, "the saver has ended"
            if line.startswith("{"):
                with contextlib.suppress(json.JSONDecodeError):
                    return json.loads(line)


class Product:
    """What a test of the promises works with."""

    def __init__(self, stack: Stack, save: Saver) -> None:
        self.stack, self.save = stack, save
        self.sandbox, self.broker, self.workers = stack.sandbox, stack.broker, stack.workers

    def plates(self, company: str) -> set[str]:
        """What enforcement sees of a company."""
        return {right["vehicle"]["vehicle_plate"] for right in self.sandbox.rights(OPERATORS[company])}

    def until_seen(self, plate: str, company: str = "university", *, timeout_s: float = 20) -> None:
        """Wait until enforcement sees a plate."""
        eventually(lambda: plate in self.plates(company), timeout_s=timeout_s, what=f"{plate} to be seen")

    def until_gone(self, plate: str, company: str = "university", *, timeout_s: float = 20) -> None:
        """Wait until enforcement does not see a plate any more."""
        eventually(lambda: plate not in self.plates(company), timeout_s=timeout_s, what=f"{plate} to be gone")

    def count(self, condition: str) -> int:
        """Return how many permit syncs meet a condition."""
        number: int = self.stack.query(
            f"SELECT count(*) AS n FROM integrations_registration WHERE {condition}"
        )[0]["n"]
        return number

    def heal(self) -> None:
        """End all faults and let everything that was begun finish."""
        self.sandbox.clear_faults()
        for server in self.stack.servers:
            server.thaw()
            if server is not self.stack.web and not server.alive:
                server.start(wait=False)
        for server in self.stack.servers:
            if server is not self.stack.web:
                server.wait_ready()
        eventually(lambda: not self.count("state = 'due' OR lease IS NOT NULL"), timeout_s=90, what="rest")


@contextlib.contextmanager
def running_product(backend: str = POSTGRES, **options: Any) -> Iterator[Product]:
    """Run a product with three live companies and a saver."""
    with running_stack(backend, **{"workers": 2, "web": False, **options}) as stack:
        stack.run(companies.make_live, operators=OPERATORS)
        save = Saver(stack)
        try:
            yield Product(stack, save)
        finally:
            save.close()


@pytest.fixture(scope="module")
def _shared() -> Iterator[Product]:
    with running_product() as product:
        yield product


@pytest.fixture
def product(_shared: Product) -> Iterator[Product]:
    """The module's product, healed before and after the test."""
    _shared.heal()
    yield _shared
    _shared.heal()
