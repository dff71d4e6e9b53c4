"""Every check, of every client."""

from __future__ import annotations

import sdk_anthropic
import sdk_boto
import sdk_cohere
import sdk_google
import sdk_lexigram
import sdk_mistral
import sdk_ollama
import sdk_openai
from sdk_kit import CHECKS

__all__ = ["CHECKS"]

MODULES = (sdk_openai, sdk_anthropic, sdk_google, sdk_cohere, sdk_ollama, sdk_mistral, sdk_boto, sdk_lexigram)
