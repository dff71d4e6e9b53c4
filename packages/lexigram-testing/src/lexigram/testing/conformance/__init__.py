"""Behaviours written once: subclass a kind, list what your subject claims, and pytest runs each as a test of its own.

==================================  ==========================================================================
module                              certifies
==================================  ==========================================================================
``lexigram.testing.conformance.``
``client``                          an ``LLMClientProtocol``
``dialect``                         a wire dialect and a vendor's row
``transport``                       an ``httpx.AsyncBaseTransport``
``cache``                           a ``CacheBackendProtocol``
``limiter``                         a ``LimiterProtocol``
``provider``                        an installed provider package, with ``pytest --pyargs`` and no file of its own
==================================  ==========================================================================

Needs the extra ``lexigram-testing[conformance]``.
"""

from lexigram.testing.conformance.suite import Conformance, UnknownClaimError

__all__ = ["Conformance", "UnknownClaimError"]
