"""The small stack of tests/unit/configure serves the roles' tests as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "configure"))
