"""The `schemas/` folder as its maintainers see it: checked as a whole, and released version by version."""

from tools.schemas.checks import check_folder
from tools.schemas.folder import SchemaFolder
from tools.schemas.release import release

__all__ = ["SchemaFolder", "check_folder", "release"]
