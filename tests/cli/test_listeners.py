"""Who holds a port is read from /proc: a real one here, and a made one for what a machine may show."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from open_llm_auth.cli.listeners import Holder, holder_of

needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="NO /proc: holders of ports stay unknown")


@needs_proc
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listener_of_this_process_is_found(family, host):
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        holder = holder_of(listener.getsockname()[1])
    assert holder is not None
    assert holder.pid == os.getpid()


@needs_proc
def test_another_process_is_named_by_its_command():
    program = (
        "import socket; s=socket.socket(); s.bind(('127.0.0.1',0)); s.listen(); print(s.getsockname()[1]); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-uc", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        holder = holder_of(int(other.stdout.readline()))
        other.communicate("\n", timeout=10)
    assert holder is not None
    assert holder.pid == other.pid
    assert "python" in holder.command
    assert not holder.is_gateway


@needs_proc
def test_a_free_port_has_no_holder(free_port):
    assert holder_of(free_port) is None


def test_without_proc_nobody_is_named(tmp_path):
    assert holder_of(80, tmp_path / "absent") is None


def test_a_listener_of_another_user_is_not_named(tmp_path):
    _table(tmp_path, "0100007F:1F90 00000000:0000 0A", inode="77")
    process = tmp_path / "4242"
    process.mkdir()
    (process / "cmdline").write_bytes(b"secret")
    assert holder_of(8080, tmp_path) is None


def test_connections_and_other_ports_do_not_count(tmp_path):
    _table(tmp_path, "0100007F:1F90 0100007F:9999 01", inode="77")
    _process(tmp_path, 1, "77", b"x\0")
    assert holder_of(8080, tmp_path) is None
    assert holder_of(1, tmp_path) is None


def test_a_command_is_cut_to_what_tells_it_apart(tmp_path):
    _table(tmp_path, "00000000:1F90 00000000:0000 0A", inode="77")
    _process(tmp_path, 12, "77", b"/usr/bin/python\0-m\0open_llm_auth.cli\0serve\0--token\0hunter2\0")
    holder = holder_of(8080, tmp_path)
    assert holder == Holder(12, "python -m open_llm_auth.cli serve")
    assert holder.is_gateway
    assert str(holder) == "process 12 (python -m open_llm_auth.cli serve)"


def _table(proc, row, *, inode):
    (proc / "net").mkdir()
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    line = f"   0: {row} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0000 100 0 0 10 0\n"
    (proc / "net" / "tcp").write_text(head + line)


def _process(proc, pid, inode, command):
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "fd" / "3").symlink_to(f"socket:[{inode}]")
    (folder / "cmdline").write_bytes(command)


#: A gateway as far as its command line goes, that lets nobody of its user look into it.
_HIDDEN = """
import ctypes, socket, sys
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@needs_proc
@pytest.mark.skipif(os.geteuid() != 0, reason="NO ROOT: it takes another user to be shut out")
@pytest.mark.parametrize(("word", "known"), [("serve", True), ("other", False)])
def test_a_gateway_that_lets_nobody_look_into_it_is_known_by_its_command(word: str, known: bool) -> None:
    nobody = 65534
    # not in tmp_path, which is root's alone
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        script = Path(folder) / "open_llm_auth.py"
        script.write_text(_HIDDEN)
        command = ["/usr/bin/env", "python3", str(script), word]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=nobody, cwd="/")
        assert process.stdout is not None
        port = int(process.stdout.readline())
    with process:
        os.seteuid(nobody)
        try:
            found = holder_of(port)
        finally:
            os.seteuid(0)
        assert process.stdin is not None
        process.stdin.close()
    assert (found is not None and found.is_gateway) is known
