"""Finding a Java."""

from pathlib import Path

import pytest

from freshet.lab.java import installed, parse_version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', ("17.0.15", 17)),
        ('openjdk version "25" 2025-09-16', ("25", 25)),
        ('openjdk version "26-ea" 2026-03-17', ("26-ea", 26)),
        ('java version "1.8.0_392"', ("1.8.0_392", 8)),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_versions_are_read_as_java_prints_them(text: str, expected: tuple[str, int] | None) -> None:
    """Java 8 calls itself 1.8, early-access builds have a suffix, and macOS's stand-in is no Java."""
    assert parse_version(text) == expected


def test_a_java_that_does_not_start_is_none(tmp_path: Path) -> None:
    """A `java` on the path that fails, as a half-removed package leaves it, is passed over."""
    broken = tmp_path / "java"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)

    assert broken not in [java.executable for java in installed({"PATH": str(tmp_path)})]
