"""Write docs/providers.md from the table of vendors: ``python scripts/providers_page.py [--check]``."""

from __future__ import annotations

import sys
from pathlib import Path

from lexigram.ai.llm import ProviderRegistry
from lexigram.contracts.wire import HttpRequest, Vendor

PAGE = Path(__file__).parents[1] / "docs" / "providers.md"

HEAD = """# Providers

Every provider is one row of a table; this page is written from it. `lex providers` lists the same rows with the
keys that were found. Anything else that speaks OpenAI's chat wire is reached with `openai_compatible` and
`api_base`, or [by a row of your own](#add-one).

| provider | install | APIs | key | base URL | differs in |
|---|---|---|---|---|---|
"""

MIDDLE = """
The first API is the default; another one is chosen with `api="responses"`, in the settings or a call.

Settings in braces are given as `extra={"name": …}` or `LEX_AI_LLM__EXTRA__NAME`. A provider marked *no key* takes
one if you set it.

An option that a provider has no parameter for is refused with an error that names it, never lost in silence. What a
whole wire has no parameter for stands on its page ([Anthropic](anthropic.md#what-the-wire-has-no-parameter-for));
what single providers lack:

"""

TAIL = """
## The embedded llama.cpp

`ClientConfig(provider="llamacpp")` without `api_base` starts llama.cpp's own server (package `xllamacpp`, extra
`local`) in a child process: on a free loopback port, behind a random key, ended with the application. `model` is a
GGUF file; without one, a tiny synthetic model is generated into the cache folder, whose words are random. Settings
in `extra`: `context` (tokens a call may use), `slots` (calls at once), `embeddings`, `startup_timeout`, `alias`,
`cache_dir`.

## Add one

A vendor that speaks a known dialect is one row. Register it before the application boots:

```python
import httpx

from lexigram.ai.llm import LLMModule, ProviderRegistry
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.wire import Quirks, Vendor

registry = ProviderRegistry()
registry.register(
    Vendor(
        name="acme",
        dialects=registry.get("openai").dialects,
        base_url="https://api.acme.example/v1",
        key_env=("ACME_API_KEY",),
        default_model="acme-large",
        quirks=Quirks(max_tokens_field="max_tokens"),
        docs_url="https://docs.acme.example",
    )
)

answer = {"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
acme = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))  # in place of the real one
module = LLMModule.configure({"provider": "acme", "api_key": "sk-..."}, registry=registry, transport=acme)
async with Application(modules=[module]) as app:
    llm = await app.container.resolve(LLMClientProtocol)
    completion = (await llm.complete([{"role": "user", "content": "Hi"}], max_tokens=5)).unwrap()
    assert (completion.content, completion.provider) == ("Hello", "acme")
```

`registry.register("proxy", like="openai", base_url="https://…")` copies a row and changes fields in it;
`registry.register("mine", client=lambda config: …)` brings a client of your own. A package brings its rows by an
entry point of the group `lexigram.llm_providers` that names a function returning them.
"""


def row(vendor: Vendor) -> str:
    name = f"[`{vendor.name}`]({vendor.docs_url})" if vendor.docs_url else f"`{vendor.name}`"
    also = "".join(f", `{alias}`" for alias in vendor.aliases)
    key = " or ".join(f"`{env}`" for env in vendor.key_env) or "—"
    if not vendor.key_required:
        key = "*no key*" if not vendor.key_env else f"{key}, *no key*"
    headers = [h for h in vendor.auth.apply(HttpRequest("GET", ""), "KEY").headers if h != "Authorization"]
    if headers:
        key += f" (header `{headers[0]}`)"
    if vendor.signer is not None:
        key += ", or credentials of its own"
    url = f"`{vendor.base_url}`" if vendor.base_url else "`api_base`"
    apis = ", ".join([*vendor.dialects, *(["embeddings"] if vendor.embeddings is not None else [])])
    return f"| {name}{also} | `[{vendor.extra}]` | {apis} | {key} | {url} | {quirks(vendor)} |"


def quirks(vendor: Vendor) -> str:
    said: list[str] = []
    own = [d.NAME for d in vendor.dialects.values() if not d.NAME.startswith("openai.")]
    if own:
        page = own[0].partition(".")[0]
        said.append(f"[its own wire]({page}.md)" if (PAGE.parent / f"{page}.md").is_file() else "its own wire")
    if vendor.quirks.thinking != "none":
        said.append(f"thinking: `{vendor.quirks.thinking}`")
    if not vendor.quirks.json_schema:
        said.append("no JSON schema")
    if vendor.settings:
        said.append("settings: " + ", ".join(f"`{name}`" for name in vendor.settings))
    return "; ".join(said)


def refusals(vendors: list[Vendor]) -> str:
    options = sorted({option for v in vendors for option in v.quirks.refuses})
    lines = [
        f"| `{option}` | {', '.join(v.name for v in vendors if option in v.quirks.refuses)} |" for option in options
    ]
    return "| option | refused by |\n|---|---|\n" + "\n".join(lines) + "\n"


def page() -> str:
    vendors = list(ProviderRegistry())
    return HEAD + "\n".join(map(row, vendors)) + "\n" + MIDDLE + refusals(vendors) + TAIL


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
