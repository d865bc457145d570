"""A PostgreSQL server of our own, in a temporary folder, on a socket that nobody else uses."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


class NoServer(Exception):
    """There is no PostgreSQL server to be started here; the message says why."""


def binary(name: str) -> str:
    """The path of one of PostgreSQL's programs; Debian has them outside of PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)])
    found = shutil.which(name, path=path)
    if found is None:
        raise NoServer(f"PostgreSQL's `{name}` is not installed")
    return found


class Server:
    """A running server; use it as a context manager.

    Args:
        durable: Whether what is committed survives a power failure. Without it, it is faster.
    """

    def __init__(self, durable: bool = False) -> None:
        self.settings = [] if durable else ["-c", "fsync=off"]
        initdb, self.postgres, self.ready = map(binary, ("initdb", "postgres", "pg_isready"))
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path is limited
        self.data, self.log = self.folder / "data", self.folder / "log"
        self.user: int | None = None
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            self.user = _other_user()
            os.chown(self.folder, self.user, -1)
        made = subprocess.run(
            [
                initdb,
                "-D",
                self.data,
                "-U",
                "nas_gym",
                "--auth=trust",
                "--no-sync",
                "--locale=C",
                "-E",
                "UTF8",
            ],
            user=self.user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            shutil.rmtree(self.folder)
            raise NoServer(f"initdb failed: {made.stderr.strip()}")
        self.start()

    @property
    def url(self) -> str:
        """Of its one database."""
        return f"postgresql://nas_gym@/postgres?host={self.folder}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.postgres, "-D", self.data, "-k", self.folder, "-h", "", *self.settings],
                user=self.user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            if self.process.poll() is not None:
                break
            if subprocess.run([self.ready, "-q", "-h", self.folder], check=False).returncode == 0:
                return
            time.sleep(0.05)
        self.stop()
        raise NoServer(f"postgres did not start: {self.log.read_text(errors='replace')[-500:]}")

    def stop(self) -> None:
        """Ends it, and every connection with it."""
        self.process.send_signal(signal.SIGINT)  # fast shutdown
        self.process.wait(30)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _other_user() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise NoServer("there is no user but root, as which PostgreSQL does not run")
