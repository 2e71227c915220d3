"""What processes cost, read from /proc (Linux): CPU seconds and memory."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def family(pid: int) -> list[int]:
    """Return a process and all its descendants that are alive."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except OSError:
                continue  # ended in the meantime
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds that processes and their descendants have used so far, ended children included."""
    total = 0
    for pid in pids:
        for member in family(pid):
            try:
                fields = _stat(member)
            except OSError:
                continue  # what it used is in its parent's count of ended children
            total += sum(int(field) for field in fields[11:15])
    return total / TICKS_PER_S


def peak_mb(pids: Iterable[int]) -> float:
    """Return the largest resident set that any of these processes or their descendants has ever had, in MB."""
    return max((_status_mb(member, "VmHWM") for pid in pids for member in family(pid)), default=0.0)


def memory_mb(pids: Iterable[int]) -> float:
    """Return the largest resident set among these processes and their descendants now, in MB."""
    return max((_status_mb(member, "VmRSS") for pid in pids for member in family(pid)), default=0.0)


def _status_mb(pid: int, name: str) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def load() -> float:
    """Return the machine's load over the last minute: what else runs beside the benchmark."""
    return os.getloadavg()[0]


def description() -> dict[str, str]:
    """Return what this machine is."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": f"{os.cpu_count()} × {model}",
        "memory": f"{pages / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
