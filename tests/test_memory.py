from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
from ser.memory import keep_freed

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def asked_for():
    before = pages()
    for _ in range(20):
        [bytearray(1 << 22) for _ in range(8)]
    return pages() - before

returned = asked_for()
keep_freed()
asked_for()
print(returned, asked_for())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_is_asked_for_once() -> None:
    out = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    returned, kept = map(int, out.split())
    assert 10 * kept < returned
