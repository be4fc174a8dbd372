"""The `schemas/` folder as its maintainers see it: checked as a whole, and released version by version."""

from tools.schemas.folder import SchemaFolder
from tools.schemas.release import release
from tools.schemas.release_check import check_folder

__all__ = ["SchemaFolder", "check_folder", "release"]
