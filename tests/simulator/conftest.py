"""Puts this directory on the path, so that its modules can share their helpers under importlib mode."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
