from __future__ import annotations

from ser.errors import DataError, printable


def test_what_is_shown_does_not_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\udcff\r\n\tc é") == "a\\x1b[31mb\\xff\\r\n\tc é"
    assert "\x1b" not in str(DataError("no \x1b[2J", where="\x1b]0;x\x07"))
