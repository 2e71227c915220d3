"""Makes `.venv` from a hashed lock; runs on a bare Python 3.11 with the standard library alone.

    python3 -m offstreet.runtime.install base|dev    install requirements/base.txt or requirements/dev.txt
    python3 -m offstreet.runtime.install lock        recompile both locks from pyproject.toml

What it decides: pip brings uv (itself locked with hashes in requirements/bootstrap.txt), uv installs the rest; where
uv can't be had or fails, pip installs the same lock alone, only slower. A lock whose checksum is the one that was
installed last is not touched, so that a second start costs nothing. `dev` holds all of `base` in the same versions
(a test compares the two), so installing one never breaks the other.

Nothing here names a package index. pip's own configuration decides where packages come from, and since uv doesn't
read it, it is handed on. The hashes make the choice of index a question of speed, not of trust.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
BOOTSTRAP = REQUIREMENTS / "bootstrap.txt"
MIN_PYTHON = (3, 11)
LOCKS = ("base", "dev")
# A lock that holds all of another: installing the first is installing the second.
SATISFIED_BY = {"base": ("base", "dev"), "dev": ("dev",)}
# pip's name of a setting → uv's environment variable and the separator of its values.
PIP_TO_UV = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
}


class InstallFailed(Exception):
    """The environment could not be made; the message is one sentence for the person at the terminal."""


def checksum(*paths: Path) -> str:
    """Return one checksum over the contents of `paths` and this interpreter's version."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamp_path(lock: str) -> Path:
    """Return the file that remembers which state of `lock` is installed."""
    return VENV / f".installed-{lock}"


def is_installed(lock: str) -> bool:
    """Tell whether the environment holds everything of `lock` as it is now."""
    if not (VENV / "bin" / "python").exists():
        return False
    for name in SATISFIED_BY[lock]:
        stamp = stamp_path(name)
        if stamp.is_file() and stamp.read_text() == checksum(REQUIREMENTS / f"{name}.txt"):
            return True
    return False


def uv_environment(pip_config: str) -> dict[str, str]:
    """Return the variables that give uv the sources that pip uses; `pip_config` is what `pip config list` printed.

    A variable of uv's that is already set wins. Later lines win, as in pip: files first, then the environment.
    """
    found: dict[str, str] = {}
    for line in pip_config.splitlines():
        key, separator, value = line.partition("=")
        name = key.rsplit(".", 1)[-1].replace("_", "-")
        if not separator or name not in PIP_TO_UV:
            continue
        variable, joiner = PIP_TO_UV[name]
        words = value.strip().strip("'\"").replace("\\n", " ").split()
        found[variable] = joiner.join(words)
    # Every file is held to its hash, so the best version may come from whichever index has it, as with pip.
    found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    found["UV_NO_PROGRESS"] = "1"
    return {name: value for name, value in found.items() if value and name not in os.environ}


def run(command: Sequence[str | Path], *, env: dict[str, str] | None = None) -> bool:
    """Run a command with its output shown; return whether it succeeded."""
    return subprocess.run([str(word) for word in command], env=env, check=False).returncode == 0


def make_venv() -> None:
    """Make `.venv`, or keep the one that works.

    A Python without ensurepip (Debian packs it apart) still makes one if it has a pip of its own to fill it with.
    Raises `InstallFailed` with what to install.
    """
    python = VENV / "bin" / "python"
    if python.exists() and run([python, "-c", ""]):
        return
    print(f"Making {VENV.name} with Python {sys.version.split()[0]} …", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    complete = importlib.util.find_spec("ensurepip") is not None
    try:
        venv.EnvBuilder(with_pip=complete, symlinks=True).create(VENV)
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(VENV, ignore_errors=True)
        raise InstallFailed(f"{VENV.name} could not be made: {error}") from error
    if not complete and importlib.util.find_spec("pip") is None:
        shutil.rmtree(VENV, ignore_errors=True)
        raise InstallFailed(
            "This Python has neither ensurepip nor pip: on Debian and Ubuntu, install python3-venv."
        )


def pip_command() -> list[str | Path]:
    """Return the start of a pip command that works on `.venv`: its own pip's, else this Python's."""
    python = VENV / "bin" / "python"
    quiet = ["--disable-pip-version-check"]
    if (VENV / "bin" / "pip").exists():
        return [python, "-m", "pip", *quiet]
    return [sys.executable, "-m", "pip", "--python", python, *quiet]


def bring_uv() -> Path | None:
    """Return uv's path in `.venv`, letting pip install it first; None where that is not possible here."""
    uv = VENV / "bin" / "uv"
    stamp = stamp_path("bootstrap")
    if uv.exists() and stamp.is_file() and stamp.read_text() == checksum(BOOTSTRAP):
        return uv
    if not pip_install(BOOTSTRAP):
        print("uv could not be installed; going on with pip alone.", flush=True)
        return None
    stamp.write_text(checksum(BOOTSTRAP))
    return uv


def pip_install(lock: Path) -> bool:
    """Install a lock with pip; return whether it succeeded."""
    return run([*pip_command(), "install", "--quiet", "--require-hashes", "--no-deps", "-r", lock])


def pip_config() -> str:
    """Return what `pip config list` prints, empty if it fails."""
    result = subprocess.run([*pip_command(), "config", "list"], capture_output=True, text=True, check=False)
    return result.stdout


def install(lock: str) -> None:
    """Bring `.venv` in line with `requirements/<lock>.txt`; do nothing if it is already.

    Raises `InstallFailed` with one sentence.
    """
    if is_installed(lock):
        return
    make_venv()
    path = REQUIREMENTS / f"{lock}.txt"
    print(f"Installing requirements/{lock}.txt …", flush=True)
    uv = bring_uv()
    installed = uv is not None and run(
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--require-hashes", "--no-deps", "-r", path],
        env={**os.environ, "VIRTUAL_ENV": str(VENV), **uv_environment(pip_config())},
    )
    if not installed:
        if uv is not None:
            print("uv could not install the lock; trying pip alone.", flush=True)
        if not pip_install(path):
            raise InstallFailed(f"requirements/{lock}.txt could not be installed; the lines above say why.")
    stamp_path(lock).write_text(checksum(path))


def compile_locks() -> None:
    """Compile the three locks from pyproject.toml, keeping the pins they have where those still fit.

    `make lock UPGRADE=1` passes `--upgrade` on. Raises `InstallFailed`.
    """
    make_venv()
    uv = bring_uv()
    if uv is None:
        raise InstallFailed(
            "Locks are compiled by uv, which could not be installed; the lines above say why."
        )
    # A side index may hold one wheel of a package; the lock needs the hashes of all, which the main index has.
    sources = uv_environment(pip_config())
    env = {
        **os.environ,
        **{name: sources[name] for name in sources if name not in ("UV_INDEX", "UV_FIND_LINKS")},
    }
    common: list[str | Path] = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--generate-hashes",
        "--no-annotate",
    ]
    common += [f"--python-version={MIN_PYTHON[0]}.{MIN_PYTHON[1]}", "--custom-compile-command=make lock"]
    common += ["--no-emit-index-url", "--no-emit-find-links"]
    if os.environ.get("UPGRADE"):
        common.append("--upgrade")
    project = ROOT / "pyproject.toml"
    base, dev = REQUIREMENTS / "base.txt", REQUIREMENTS / "dev.txt"
    targets: tuple[list[str | Path], ...] = (
        [project, "-o", base],
        [project, "--group", f"{project}:dev", "-c", base, "-o", dev],
        [REQUIREMENTS / "bootstrap.in", "-o", BOOTSTRAP],
    )
    for arguments in targets:
        if not run([*common, *arguments], env=env):
            raise InstallFailed("uv could not compile a lock; the lines above say why.")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold a lock on the project while the block runs, so that two `make`s at once don't share half an environment."""
    with (ROOT / "requirements" / "base.txt").open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> int:
    """Run one of the commands of the module's docstring; return the exit status."""
    if sys.version_info < MIN_PYTHON:
        print(f"Python {MIN_PYTHON[0]}.{MIN_PYTHON[1]} or newer is needed; this is {sys.version.split()[0]}.")
        return 1
    if len(arguments) != 1 or arguments[0] not in (*LOCKS, "lock"):
        print(__doc__)
        return 2
    try:
        with alone():
            if arguments[0] == "lock":
                compile_locks()
            else:
                install(arguments[0])
    except InstallFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
