"""The vendor's row."""


def vendors() -> tuple[()]:
    """Return the rows."""
    return ()
