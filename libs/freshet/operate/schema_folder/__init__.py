"""The `schemas/` folder as its maintainers see it: checked as a whole, and released version by version."""

from freshet.operate.schema_folder.checks import check_folder
from freshet.operate.schema_folder.folder import SchemaFolder
from freshet.operate.schema_folder.release import release

__all__ = ["SchemaFolder", "check_folder", "release"]
