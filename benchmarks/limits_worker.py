"""A client's process under limits: ``limits_worker.py '<json>'`` asks, and prints how it went as JSON.

The job says ``who`` (``lexigram`` or ``lm-deluge``), the ``base`` address, and either how many ``prompts`` to ask at
once or for how many ``seconds`` to keep asking, ``tasks`` at a time. ``resilience`` are the settings of ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from typing import Any

MODEL = "gpt-4.1-mini"


def prompt_of(number: int) -> tuple[str, int]:
    """Return a prompt, always the same for a number, and the most tokens of its answer."""
    out = random.Random(number).randint(20, 180)
    return f"{number:05} Count to something. out={out} " + "word " * 40, out


async def ours(job: dict[str, Any]) -> dict[str, Any]:
    """Ask through the container's client, under the policy."""
    from lexigram.ai.llm import ClientConfig, LLMModule
    from lexigram.app import Application
    from lexigram.contracts.ai import LLMClientProtocol
    from lexigram.resilience import ResilienceModule

    config = ClientConfig(provider="openai", model=MODEL, api_key="sk-test", api_base=job["base"], timeout=600)
    modules = [LLMModule.configure(config), ResilienceModule.configure(job.get("resilience", {}))]
    async with Application(modules=modules) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        lost: list[str] = []
        done = 0

        async def ask(number: int) -> None:
            nonlocal done
            text, out = prompt_of(number)
            answer = await llm.complete([{"role": "user", "content": text}], max_tokens=out)
            if answer.is_ok():
                done += 1
            else:
                lost.append(repr(answer.err())[:200])

        if "prompts" in job:
            await asyncio.gather(*[ask(n) for n in range(job["prompts"])])
        else:
            ends = time.monotonic() + job["seconds"]

            async def keep_asking(number: int) -> None:
                while time.monotonic() < ends:
                    await ask(number)
                    number += job["tasks"]

            tasks = [asyncio.create_task(keep_asking(n)) for n in range(job["tasks"])]
            await asyncio.wait(tasks, timeout=job["seconds"])
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {"done": done, "lost": len(lost), "why": lost[:3]}


async def lm_deluge(job: dict[str, Any]) -> dict[str, Any]:
    """Ask through lm-deluge, told the limits."""
    from lm_deluge import LLMClient
    from lm_deluge.models import register_model

    os.environ["OPENAI_API_KEY"] = "sk-test"
    register_model(
        id="limited", name=MODEL, api_base=job["base"], api_key_env_var="OPENAI_API_KEY", api_spec="openai",
        provider="openai",
    )  # fmt: skip
    client = LLMClient(
        "limited",
        max_requests_per_minute=job["requests"],
        max_tokens_per_minute=100_000_000,
        max_concurrent_requests=1_000,
        max_new_tokens=180,
    )
    prompts: Any = [prompt_of(n)[0] for n in range(job["prompts"])]
    answers: Any = await client.process_prompts_async(prompts, show_progress=False)
    done = sum(1 for a in answers if a is not None and not a.is_error)
    return {"done": done, "lost": len(prompts) - done}


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a client prints goes to the side
    told = json.loads(sys.argv[1])
    work = {"lexigram": ours, "lm-deluge": lm_deluge}[told["who"]](told)
    began, wall = time.process_time(), time.monotonic()
    answer = asyncio.run(work)
    print(json.dumps({**answer, "cpu": time.process_time() - began, "took": time.monotonic() - wall}), file=out)
