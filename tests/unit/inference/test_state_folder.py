"""A row that kills is found by what outlives the process: a container's own layer does not."""

from pathlib import Path

import pytest

from freshet.inference.state_folder import check_outlives_us
from freshet.runtime.settings import SettingsError

CONTAINER = "overlay / overlay rw 0 0\nproc /proc proc rw 0 0\n"
MOUNTED = CONTAINER + "/dev/sda1 /var/lib/freshet ext4 rw 0 0\n"
STATE = Path("/var/lib/freshet/state")


@pytest.mark.parametrize("parent", [0, 1])
@pytest.mark.parametrize("mounts", [CONTAINER, MOUNTED + "overlay /var/lib/freshet overlay rw 0 0\n"])
def test_the_main_process_of_a_container_needs_a_folder_that_outlives_it(parent: int, mounts: str) -> None:
    """It says which folder, why, and what to do; of two mounts at one place the last one counts."""
    with pytest.raises(SettingsError, match=r"(?s)FRESHET_STATE_DIR: /var/lib/freshet/state .*Mount a folder"):
        check_outlives_us(STATE, mounts=mounts, parent=parent)


@pytest.mark.parametrize(
    ("mounts", "parent"),
    [(MOUNTED, 1), ("/dev/vda / ext4 rw 0 0\n", 1), (CONTAINER, 4711), ("", 1)],
)
def test_a_mount_a_machine_and_a_supervisor_in_the_container_are_well(mounts: str, parent: int) -> None:
    """A volume; no container (systemd's child has the parent 1 too); restarted inside; no mount table to look at."""
    check_outlives_us(STATE, mounts=mounts, parent=parent)
