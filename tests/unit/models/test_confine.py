"""The locked-down process cannot do harm, or says that it could."""

import json
import subprocess
import sys

_SCRIPT = """
import json, os, signal, socket, sys, tempfile, threading
from freshet.models.confine import confine
tempfile.gettempdir(), "x".encode("idna")
inner = os.memfd_create("inner")
os.write(inner, b"model")
def connect():
    with socket.socket() as s:
        s.connect(("127.0.0.1", 9))
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", ("192.0.2.1", 9))
deeds = {
    "reach the network": [connect, datagram],
    "open files": [lambda: open("/etc/hostname"), lambda: os.listdir("/"), lambda: open("/proc/self/environ")],
    "write files": [lambda: os.write(inner, b"x" * 10)],
    "start processes": [os.fork, threading.Thread(target=int).start],
    "act as root": [lambda: os.setuid(0)],
    "take more memory": [lambda: bytearray(1 << 31)],
    "outlive its parent": [],
    "gain privileges": [],
}
unguarded = confine(1 << 30, 5)
done = []
for what, ways in deeds.items():
    for way in ways:
        try:
            way()
        except (OSError, MemoryError, RuntimeError):
            continue
        done.append(what)
with open(f"/proc/self/fd/{inner}", "rb") as model:
    content = model.read().decode()
print(json.dumps({"unguarded": unguarded, "done": done, "content": content}))
"""

_NEEDS_NO_RIGHTS = ("open files", "write files", "take more memory", "outlive its parent", "gain privileges")
"""What every Linux denies to a process that asks for it; the rest depends on what a container permits."""


def test_whatever_is_still_possible_is_reported() -> None:
    """Network, files, processes, root and memory are out of reach, or named; the model that was open stays readable."""
    told = subprocess.run(
        [sys.executable, "-I", "-c", _SCRIPT], env={"OPENBLAS_NUM_THREADS": "1"}, capture_output=True, check=False
    )
    assert told.returncode == 0, told.stderr.decode()
    report = json.loads(told.stdout)
    reported = " ".join(report["unguarded"])
    assert [deed for deed in report["done"] if deed not in reported] == []
    assert report["content"] == "model"
    if sys.platform == "linux":
        assert [deed for deed in _NEEDS_NO_RIGHTS if deed in reported] == []


_WITH_PROGRAMS = """
import json, os, socket, subprocess
from freshet.models.confine import confine
"x".encode("idna")
unguarded = confine(1 << 30, 5, file_bytes=1 << 20, programs=True)
said = subprocess.run(["/bin/echo", "done"], capture_output=True, text=True).stdout.strip()
inner = os.memfd_create("inner")
written = os.write(inner, b"x" * 10)
done = []
for what, way in {
    "reach the network": lambda: socket.create_connection(("192.0.2.1", 9), 1),
    "act as root": lambda: os.setuid(0),
    "write files": lambda: os.pwrite(inner, b"x", 1 << 21),
}.items():
    try:
        way()
    except OSError:
        continue
    done.append(what)
print(json.dumps({"unguarded": unguarded, "done": done, "said": said, "written": written}))
"""


def test_who_may_start_programs_gives_up_all_else() -> None:
    """Network, root, and files that are too large."""
    told = subprocess.run(
        [sys.executable, "-I", "-c", _WITH_PROGRAMS],
        env={"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr.decode()
    report = json.loads(told.stdout)
    reported = " ".join(report["unguarded"])
    assert (report["said"], report["written"]) == ("done", 10)
    assert [deed for deed in report["done"] if deed not in reported] == []
    assert not [what for what in ("open files", "start processes") if what in reported], "nobody asked for that"
