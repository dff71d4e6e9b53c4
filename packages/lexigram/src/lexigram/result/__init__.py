"""``Ok``, ``Err`` and ``Result``, where the framework's users look for them."""

from lexigram.contracts.result import (
    Err,
    Ok,
    Result,
    UnwrapError,
    collect,
    from_dict,
    gather,
    is_err,
    is_ok,
    partition,
    to_dict,
)

__all__ = [
    "Err",
    "Ok",
    "Result",
    "UnwrapError",
    "collect",
    "from_dict",
    "gather",
    "is_err",
    "is_ok",
    "partition",
    "to_dict",
]
