"""The contracts: values, protocols and errors that every package meets in.

Nothing here does I/O, reads the environment, logs, or knows a provider. The one
dependency is PyPI ``result`` (in :mod:`lexigram.contracts.result` only).

==============================  =====================================================
module                          holds
==============================  =====================================================
``lexigram.contracts.result``   ``Ok``, ``Err``, ``Result`` and helpers
``lexigram.contracts.ai``       messages, requests, completions, streams, protocols
``lexigram.contracts.ai.llm``   the same, and the tree of errors
``lexigram.contracts.wire``     what a provider package implements: dialect and vendor
``lexigram.contracts.cache``    the cache backend protocol
``lexigram.contracts.limits``   the limiter protocol and its values
``lexigram.contracts.health``   health check values and protocol
``lexigram.contracts.errors``   the root of every Lexigram error
==============================  =====================================================
"""
