"""Children are started so that none outlives its parent, and ended so that nothing is left behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from offstreet.runtime import processes
from tests.offstreet import children

ROOT = Path(__file__).resolve().parents[2]
linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ties a child's life to its parent's"
)


def runs(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@linux_only
def test_a_child_dies_when_its_parent_is_killed_with_9() -> None:
    parent = subprocess.Popen(
        children.command(children.parent), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert runs(child)
        parent.kill()
        parent.wait()
    assert processes.wait_until(lambda: not runs(child), timeout_s=5)


@linux_only
def test_a_child_whose_parent_is_gone_before_it_could_ask_ends_at_once() -> None:
    done = subprocess.run(children.command(children.orphan), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


@linux_only
def test_stopping_a_stubborn_child_takes_its_own_children_with_it() -> None:
    reader, writer = os.pipe()
    child = processes.spawn(children.command(children.stubborn), cwd=ROOT, output=writer)
    os.close(writer)
    with os.fdopen(reader) as output:
        grandchild = int(output.readline())
    began = time.monotonic()
    processes.stop(child, timeout_s=0.2)
    assert time.monotonic() - began < 5
    assert child.returncode == -signal.SIGKILL
    assert processes.wait_until(lambda: not runs(grandchild), timeout_s=5)


def test_a_child_that_listens_to_requests_is_not_killed() -> None:
    reader, writer = os.pipe()
    child = processes.spawn(children.command(children.polite), cwd=ROOT, output=writer)
    os.close(writer)
    with os.fdopen(reader) as output:
        assert output.readline() == "up\n"
    processes.stop(child)
    assert child.returncode == 7


def test_a_child_from_another_thread_outlives_that_thread() -> None:
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: started.append(processes.spawn(children.SLEEP)))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert started[0].poll() is None
    processes.stop(started[0], timeout_s=1)


def test_waiting_ends_early_when_the_process_has_ended() -> None:
    child = processes.spawn(["true"])
    began = time.monotonic()
    assert not processes.wait_until(lambda: False, timeout_s=30, process=child)
    assert time.monotonic() - began < 10
    processes.stop(child)


@pytest.mark.enable_socket
def test_a_taken_port_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not processes.port_is_free(port)
        assert processes.free_port() != port
    assert processes.port_is_free(port)


@pytest.mark.enable_socket
def test_nothing_answers_where_nothing_listens(tmp_path: Path) -> None:
    port = processes.free_port()
    assert not processes.answers_http(f"http://127.0.0.1:{port}/")
    assert not processes.answers_ping(port=port)
    assert not processes.answers_ping(tmp_path / "no.sock")
