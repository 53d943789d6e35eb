"""The benchmark's own folder, and what has to be built or fetched into it before anything can be measured."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "WORKSHOP", "build_native", "find_nginx", "free_port", "install_litellm", "install_py_spy"]

ROOT = Path(__file__).resolve().parent.parent
WORKSHOP = ROOT / ".bench"

NATIVE = ("upstream", "load", "awake")


def build_native() -> Path:
    """Compile the C programs that are older than their sources; gives the folder they are in."""
    out = WORKSHOP / "bin"
    out.mkdir(parents=True, exist_ok=True)
    for name in NATIVE:
        source, program = ROOT / "benchmarks" / "native" / f"{name}.c", out / name
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["gcc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", program, source], check=True)
    return out


def free_port() -> int:
    """A port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_nginx() -> str | None:
    """The machine's nginx, else Debian's, unpacked into the workshop without being installed; None where neither is.

    Unpacking needs no root, and leaves no service behind.
    """
    unpacked = WORKSHOP / "nginx" / "package"
    local = unpacked / "usr/sbin/nginx"
    for candidate in (shutil.which("nginx"), "/usr/sbin/nginx", str(local)):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return None
    unpacked.mkdir(parents=True, exist_ok=True)
    fetch = ["apt-get", "-qq", "download", "nginx"]
    if subprocess.run(fetch, cwd=unpacked, stderr=subprocess.DEVNULL).returncode != 0:
        if os.geteuid() == 0:
            subprocess.run(["apt-get", "-qq", "update"], check=False)
        subprocess.run(fetch, cwd=unpacked, check=False)
    for package in unpacked.glob("nginx_*.deb"):
        subprocess.run(["dpkg", "-x", package, unpacked], check=True)
    return str(local) if local.exists() else None


def _install(venv: Path, requirement: str) -> None:
    """Put a package into a virtual environment of its own, with uv where there is one."""
    print(f"Installing {requirement} into {venv.relative_to(ROOT)} …", file=sys.stderr, flush=True)
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", venv / "bin/python", requirement], check=True)
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "--quiet", requirement], check=True)


def install_litellm() -> tuple[str, str] | None:
    """LiteLLM's proxy command and its version, installed on the first call; None where it can't be had."""
    venv = WORKSHOP / "litellm"
    command = venv / "bin/litellm"
    if not command.exists():
        try:
            _install(venv, "litellm[proxy]")
        except subprocess.CalledProcessError:
            return None
    ask = "import importlib.metadata as m; print(m.version('litellm'))"
    told = subprocess.run([venv / "bin/python", "-c", ask], capture_output=True, text=True, check=True)
    return str(command), told.stdout.strip()


def install_py_spy() -> str | None:
    """The sampling profiler, installed on the first call; None where it can't be had."""
    venv = WORKSHOP / "py-spy"
    command = venv / "bin/py-spy"
    if not command.exists():
        try:
            _install(venv, "py-spy")
        except subprocess.CalledProcessError:
            return None
    return str(command)
