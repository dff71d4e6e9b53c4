"""Messages and parts as the Messages wire wants them, and what is listed where something cannot go along."""

import json
from typing import Any

import pytest

from lexigram.ai.anthropic import messages
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.jsonform import message_from_dict, message_to_dict
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.wire import Endpoint, HttpRequest

HERE = Endpoint("acme", "https://acme.example/v1")
HI = ChatMessage("user", "hi")


def encode(*talk: ChatMessage, where: Endpoint = HERE, **options: Any) -> HttpRequest:
    return messages.encode_request(build_request(talk, model="m", options=options), where, stream=False)


def body(*talk: ChatMessage, where: Endpoint = HERE, **options: Any) -> Any:
    return encode(*talk, where=where, **options).json


def user(*parts: Part) -> ChatMessage:
    return ChatMessage("user", parts)


def blocks(*parts: Part, role: Any = "user") -> Any:
    talk = (ChatMessage(role, parts),) if role == "user" else (HI, ChatMessage(role, parts))
    return body(*talk)["messages"][-1]["content"]


def losses(*talk: ChatMessage) -> list[str]:
    return [loss.path for loss in encode(*talk).losses]


def test_a_bare_request_says_what_the_wire_demands() -> None:
    sent = encode(HI)
    assert (sent.method, sent.url) == ("POST", "https://acme.example/v1/messages")
    assert sent.headers == {"anthropic-version": "2023-06-01"}
    assert sent.json == {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]}


def test_a_stream_is_asked_for() -> None:
    sent: Any = messages.encode_request(build_request([HI], model="m"), HERE, stream=True)
    assert sent.json["stream"] is True


# -- turns


def test_instructions_are_the_system_prompt_and_all_of_them_are_kept() -> None:
    assert body(ChatMessage("system", "a"), HI)["system"] == "a"
    two = body(ChatMessage("system", "a"), ChatMessage("developer", "b"), HI)
    assert two["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_a_later_instruction_moves_to_the_front_and_is_listed() -> None:
    sent: Any = encode(ChatMessage("system", "a"), HI, ChatMessage("system", "b"), HI)
    assert [b["text"] for b in sent.json["system"]] == ["a", "b"]
    assert sent.json["messages"][0]["role"] == "user"
    assert [loss.path for loss in sent.losses] == ["messages[2]"]


@pytest.mark.parametrize("params", [{"system_messages": "inline"}, {"api_version": "2026-10-21"}])
def test_a_later_instruction_stays_where_the_model_takes_it(params: dict[str, str]) -> None:
    where = Endpoint("acme", "https://acme.example/v1", params=params)
    sent: Any = encode(ChatMessage("system", "a"), HI, ChatMessage("system", "b"), HI, where=where)
    assert sent.json["system"] == "a"
    assert [m["role"] for m in sent.json["messages"]] == ["user", "system", "user"]
    assert sent.losses == ()


def test_messages_of_one_role_in_a_row_are_one_turn() -> None:
    talk = body(HI, HI, ChatMessage("assistant", "a"), ChatMessage("assistant", "b"), HI)["messages"]
    assert [(m["role"], len(m["content"])) for m in talk] == [("user", 2), ("assistant", 2), ("user", 2)]


def test_an_answer_that_said_nothing_is_no_turn() -> None:
    talk = body(HI, ChatMessage("assistant", ""), HI)["messages"]
    assert [m["role"] for m in talk] == ["user"]
    assert len(talk[0]["content"]) == 2


def test_empty_text_which_the_wire_refuses_goes_only_where_there_is_nothing_else() -> None:
    assert body(ChatMessage("user", ""), HI)["messages"][0]["content"] == [{"type": "text", "text": "hi"}]
    assert body(ChatMessage("user", ""))["messages"][0]["content"] == ""
    assert blocks(ToolResultPart("a", (TextPart(""), TextPart("x"))))[0]["content"] == [{"type": "text", "text": "x"}]


def test_results_of_tools_are_one_user_turn_and_come_first_in_it() -> None:
    calls = (ToolCall("a", "f"), ToolCall("b", "f"))
    results = [ChatMessage("tool", (ToolResultPart(i, f"r{i}"),)) for i in "ab"]
    talk = body(HI, ChatMessage("assistant", calls), *results, HI)["messages"]
    assert [b["type"] for b in talk[2]["content"]] == ["tool_result", "tool_result", "text"]
    mixed = body(HI, ChatMessage("assistant", calls[:1]), user(TextPart("see"), ToolResultPart("a", "r")))["messages"]
    assert [b["type"] for b in mixed[2]["content"]] == ["tool_result", "text"]


def test_instructions_alone_are_refused_for_the_wire_wants_a_turn() -> None:
    with pytest.raises(InvalidRequestError, match="instructions alone"):
        encode(ChatMessage("system", "a"))


def test_names_of_speakers_are_listed_as_lost() -> None:
    assert losses(ChatMessage("user", "hi", name="ann")) == ["messages[0].name"]


# -- parts


def test_images_go_by_url_by_data_and_by_data_url() -> None:
    data = {"type": "base64", "media_type": "image/png", "data": "eA=="}
    assert blocks(ImagePart(data=b"x", media_type="image/png"))[0]["source"] == data
    assert blocks(ImagePart(url="data:image/png;base64,eA=="))[0]["source"] == data
    by_url = blocks(ImagePart(url="https://a.example/i"))[0]
    assert by_url == {"type": "image", "source": {"type": "url", "url": "https://a.example/i"}}
    assert losses(user(ImagePart(url="https://a.example/i", detail="high"))) == ["messages[0].parts[0].detail"]


def test_documents_go_as_pdf_text_url_and_file_id() -> None:
    made = blocks(
        FilePart(b"x", "application/pdf", "a.pdf"),
        FilePart("ü".encode(), "text/markdown"),
        FilePart(url="https://a.example/a.pdf"),
        FilePart(b"x", "image/png"),
    )
    assert made == [
        {"type": "document", "title": "a.pdf",
         "source": {"type": "base64", "media_type": "application/pdf", "data": "eA=="}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}},
        {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}},
    ]  # fmt: skip


def test_a_file_id_asks_for_the_feature_that_it_needs_beside_the_callers_own() -> None:
    parts = user(FilePart(file_id="f"), FilePart(file_id="g", media_type="image/png"))
    sent: Any = encode(parts, extra_headers={"Anthropic-Beta": "of-tomorrow"})
    assert sent.headers["anthropic-beta"] == "of-tomorrow,files-api-2025-04-14"
    assert [b["type"] for b in sent.json["messages"][0]["content"]] == ["document", "image"]


@pytest.mark.parametrize(
    "part",
    [
        AudioPart(data=b"x"),
        FilePart(b"x", "application/zip"),
        FilePart(b"\xff", "text/plain"),
        ImagePart(url="data:image/png,x"),
        ThinkingPart("t"),
    ],
)
def test_a_user_part_that_the_wire_has_no_block_for_is_refused_by_its_place(part: Part) -> None:
    with pytest.raises(InvalidRequestError, match=r"messages\[0\]\.parts\[1\]"):
        encode(user(TextPart("x"), part))


def test_a_result_holds_parts_and_says_that_it_failed() -> None:
    (made,) = blocks(ToolResultPart("a", (TextPart("x"), ImagePart(url="https://a.example/i")), is_error=True))
    assert [b["type"] for b in made["content"]] == ["text", "image"]
    assert made["is_error"] is True
    assert blocks(ToolResultPart("a"))[0] == {"type": "tool_result", "tool_use_id": "a"}


def test_what_a_part_carries_for_this_provider_is_in_its_block() -> None:
    cached = Opaque("acme", {"cache_control": {"type": "ephemeral", "ttl": "1h"}})
    assert blocks(TextPart("x", opaque=cached))[0]["cache_control"]["ttl"] == "1h"
    cited = Opaque("acme", {"citations": {"enabled": True}, "context": "c"})
    made = blocks(FilePart(url="https://a.example/a.pdf", opaque=cited))[0]
    assert (made["citations"], made["context"]) == ({"enabled": True}, "c")


# -- history


def test_an_answer_goes_back_as_it_came_even_through_json() -> None:
    content = [
        {"type": "thinking", "thinking": "", "signature": "S=="},
        {"type": "redacted_thinking", "data": "D=="},
        {"type": "text", "text": "so", "citations": [{"type": "web_search_result_location", "encrypted_index": "E"}]},
        {"type": "server_tool_use", "id": "s", "name": "n", "input": {"q": 1}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"encrypted_content": "C"}]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}, "caller": {"type": "direct"}},
    ]
    answer: Any = {"content": content, "stop_reason": "tool_use"}
    stored = json.dumps(message_to_dict(messages.decode_response(answer, HERE).message))
    sent = encode(HI, message_from_dict(json.loads(stored)), ChatMessage("tool", (ToolResultPart("t", "1"),)))
    made: Any = sent.json
    assert made["messages"][1]["content"] == content
    assert sent.losses == ()


def test_a_paused_turn_goes_back_as_the_last_message() -> None:
    paused: Any = {"content": [{"type": "server_tool_use", "id": "s", "name": "n", "input": {}}]}
    made = body(HI, messages.decode_response(paused, HERE).message)["messages"]
    assert made[-1] == {"role": "assistant", "content": paused["content"]}


def test_what_another_provider_wrote_is_left_out_and_listed() -> None:
    foreign = Opaque("other", {"signature": "S"})
    sent: Any = encode(
        HI,
        ChatMessage(
            "assistant",
            (
                ThinkingPart("t", foreign),
                ThinkingPart("unsigned", Opaque("acme", {"x": 1})),
                OpaquePart(foreign, "search"),
                TextPart("a", ({"type": "url_citation"},), foreign),
                ToolCall("functions.f:0", "f", {}, "{", "not JSON", opaque=foreign),
                ToolCall("c", "sql", raw_arguments="SELECT 1", kind="custom"),
                AudioPart(id="au", transcript="spoken"),
                ImagePart(url="https://a.example/i"),
            ),
        ),
        ChatMessage("tool", (ToolResultPart("functions.f:0", "1"),)),
    )
    made = sent.json["messages"][1]["content"]
    assert [b["type"] for b in made] == ["text", "tool_use", "tool_use", "text"]
    assert made[0] == {"type": "text", "text": "a"}
    assert made[1]["input"] == {"INVALID_JSON": "{"}
    assert made[2]["input"] == {"input": "SELECT 1"}
    assert made[3]["text"] == "spoken"
    where = [loss.path for loss in sent.losses]
    assert [p.removeprefix("messages[1].parts") for p in where] == [
        "[0]", "[1]", "[2]", "[3]", "[3].annotations", "[4]", "[5]", "[6]", "[7]",
    ]  # fmt: skip
    assert sent.json["messages"][2]["content"][0]["tool_use_id"] == made[1]["id"]


def test_ids_that_the_wire_refuses_are_rewritten_and_stay_different() -> None:
    calls = tuple([ToolCall(i, "f") for i in ("f.g:0", "f:g.0", "", "toolu_1-x")])
    made = [b["id"] for b in blocks(*calls, role="assistant")]
    assert len(set(made)) == 4
    assert made[3] == "toolu_1-x"
    assert all(i and i.replace("_", "").replace("-", "").isalnum() for i in made)


def test_a_refusal_goes_back_in_the_models_words_and_not_in_the_providers() -> None:
    explained = RefusalPart("Not that.", Opaque("acme", {"stop_details": {"type": "refusal"}}))
    assert blocks(TextPart("Well"), explained, role="assistant") == "Well"
    assert blocks(RefusalPart("I will not"), role="assistant") == "I will not"


def test_a_cited_documents_file_id_does_not_go_back() -> None:
    cited = {"type": "char_location", "cited_text": "c", "file_id": None}
    made = blocks(TextPart("a", (cited,), Opaque("acme", {})), role="assistant")
    assert made[0]["citations"] == [{"type": "char_location", "cited_text": "c"}]


def test_an_answer_that_goes_on_keeps_its_container_and_a_later_turn_gets_a_fresh_one() -> None:
    reply: Any = {
        "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        "container": {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"},
    }
    answer = messages.decode_response(reply, HERE).message
    assert answer.parts[-1] == OpaquePart(Opaque("acme", {"container": reply["container"]}), "container")
    result = ChatMessage("tool", (ToolResultPart("t", "1"),))
    assert body(HI, answer)["container"] == "container_1"
    assert body(HI, answer, result)["container"] == "container_1"
    assert "container" not in body(HI, answer, result, ChatMessage("assistant", "done"), HI)
    assert "container" not in body(HI, answer, result, HI)
    assert len(body(HI, answer)["messages"][1]["content"]) == 1
    elsewhere = Endpoint("other", "https://other.example/v1")
    assert "container" not in body(HI, answer, where=elsewhere)
