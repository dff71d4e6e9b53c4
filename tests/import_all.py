"""Import every module that a distribution installed; what an optional extra brings may be missing."""

from __future__ import annotations

import importlib
import sys
from importlib import metadata


def main(distribution: str) -> int:
    dist = metadata.distribution(distribution)
    extras = {
        requirement.split(";")[0].split(">")[0].split("=")[0].strip().replace("-", "_")
        for requirement in dist.requires or []
        if "extra ==" in requirement
    }
    modules = sorted(
        str(f).removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
        for f in dist.files or []
        if str(f).endswith(".py") and "__main__" not in str(f) and "_child" not in str(f)
    )
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in extras and missing not in ("pytest",):
                raise
    print(f"{distribution}: {len(modules)} modules import")
    return 0 if modules else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
