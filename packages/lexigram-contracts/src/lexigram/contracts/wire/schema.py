"""From a JSON schema to what one vendor takes of JSON Schema, and a list of what it does not take.

The compiled schema accepts whatever the given one accepts, but for what is listed: a keyword that the vendor does
not know is left out (the answer is then checked against the given schema on this side), an optional property that
must be required becomes nullable (:func:`without_added_nulls` takes such nulls out again). An object that says
nothing of further properties is closed without a word where the vendor wants it closed: the model then writes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lexigram.contracts.values import JSONObject
from lexigram.contracts.wire._schema_merge import merged, resolve
from lexigram.contracts.wire._schema_rules import RULES, SILENT, Rules, SchemaTarget
from lexigram.contracts.wire.http import Loss

__all__ = ["CompiledSchema", "SchemaTarget", "compile_schema", "without_added_nulls"]

_DEEPEST: Final = 60
_MOST_NODES: Final = 5000
_DEFINITIONS: Final = ("$defs", "definitions")
_KINDS: Final[dict[str, Any]] = {
    "$ref": str,
    "type": (str, list),
    "properties": Mapping,
    "required": list,
    "enum": list,
    "items": (Mapping, bool),
    "prefixItems": list,
    "anyOf": list,
    "oneOf": list,
    "allOf": list,
}
_PLAIN: Final = ("string", "number", "boolean", "null")


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """The schema to send, and what of the given one it does not say."""

    schema: dict[str, Any]
    losses: tuple[Loss, ...] = ()


def compile_schema(schema: JSONObject, target: SchemaTarget, *, path: str = "schema") -> CompiledSchema:
    """Return the schema in the vendor's dialect. A schema that already is in it comes back unchanged.

    Args:
        schema: any JSON schema (draft 2020-12 or 7); it is not changed.
        target: whose dialect. ``llamacpp`` takes every schema as it is.
        path: how losses name the schema, e.g. ``response_format.schema``.
    """
    rules = RULES.get(target)
    if rules is None:
        return CompiledSchema(dict(schema))
    compiler = _Compiler(schema, rules)
    made = compiler.root(path)
    return CompiledSchema(made, tuple(compiler.losses))


class _Compiler:
    def __init__(self, root: Mapping[str, Any], rules: Rules) -> None:
        self.given = root
        self.rules = rules
        self.losses: list[Loss] = []
        self.nodes = 0
        self.wanted: list[str] = []  # definitions that the compiled schema refers to, in order

    def lose(self, path: str, reason: str) -> None:
        loss = Loss(path, reason)
        if loss not in self.losses:
            self.losses.append(loss)

    def root(self, path: str) -> dict[str, Any]:
        given = {k: v for k, v in self.given.items() if k not in _DEFINITIONS}
        ref = given.get("$ref")
        if isinstance(ref, str) and ref != "#":
            # Vendors want the root itself to be an object, and pydantic writes a recursive model as a reference.
            found = resolve(self.given, ref)
            if isinstance(found, Mapping):
                given = {**found, **{k: v for k, v in given.items() if k != "$ref"}}
        made = self.node(given, path, ())
        if self.rules.all_required and made.get("type") != "object":
            self.lose(path, "the vendor takes objects only at the root, and may refuse this")
        done: dict[str, dict[str, Any]] = {}
        while self.wanted:
            ref = self.wanted.pop(0)
            group, _, name = ref.removeprefix("#/").partition("/")
            if name not in done.setdefault(group, {}):
                done[group][name] = {}
                done[group][name] = self.node(resolve(self.given, ref), f"{path}.{group}.{name}", (ref,))
        return {**made, **{group: defs for group, defs in done.items() if defs}}

    # -- one node

    def node(self, given: object, path: str, through: tuple[str, ...]) -> dict[str, Any]:
        self.nodes += 1
        if self.nodes > _MOST_NODES or path.count(".") + path.count("[") > _DEEPEST:
            return self.anything(path, "the schema is too large: any value is accepted here")
        if given is True or given == {}:
            return self.anything(path, None)
        if not isinstance(given, Mapping):
            return self.anything(path, "this schema, which nothing fits, is left out")
        schema = {k: v for k, v in cast("Mapping[str, Any]", given).items() if k not in SILENT | {*_DEFINITIONS}}
        if isinstance(schema.get("items"), list):  # draft 7's prefixItems
            schema["prefixItems"] = schema.pop("items")
        for keyword, kinds in _KINDS.items():
            if keyword in schema and (not isinstance(schema[keyword], kinds) or schema[keyword] in ([], "")):
                if keyword != "required":
                    self.lose(f"{path}.{keyword}", "is no JSON Schema and is left out")
                del schema[keyword]
        if "$ref" in schema:
            return self.reference(schema, path, through)
        if isinstance(schema.get("allOf"), list):
            return self.node(merged(self.given, schema, path, self.lose), path, through)
        return self.keywords(schema, path, through)

    def anything(self, path: str, reason: str | None) -> dict[str, Any]:
        if reason is not None:
            self.lose(path, reason)
        if self.rules.any_value:
            return {}
        self.lose(path, "any value: only text, numbers, booleans and null can be asked for")
        return {"anyOf": [{"type": kind} for kind in _PLAIN]}

    def reference(self, schema: dict[str, Any], path: str, through: tuple[str, ...]) -> dict[str, Any]:
        ref: str = schema.pop("$ref")
        found = resolve(self.given, ref)
        if found is None:
            return self.anything(f"{path}.$ref", f"{ref} is not in the schema: any value is accepted")
        named = ref == "#" or ref.startswith(tuple([f"#/{group}/" for group in _DEFINITIONS]))
        simple = named and ref.count("/") <= 2
        if self.rules.refs and simple and (self.rules.recursion or not self.recursive(ref)):
            for keyword in schema:
                self.lose(f"{path}.{keyword}", "left out: a reference stands alone at this vendor")
            if ref != "#":
                self.wanted.append(ref)
            return {"$ref": ref}
        if ref in through:
            kind = cast("Mapping[str, Any]", found).get("type") if isinstance(found, Mapping) else None
            self.lose(path, f"{ref} refers to itself: below here any value of its type is accepted")
            if isinstance(kind, str) and not self.rules.closed:
                return {"type": kind}
            return self.anything(path, None)
        whole = {**cast("Mapping[str, Any]", found), **schema} if isinstance(found, Mapping) else found
        return self.node(whole, path, (*through, ref))

    def recursive(self, ref: str) -> bool:
        """Whether following references from here comes back here."""
        seen: set[str] = set()
        waiting = [resolve(self.given, ref)]
        while waiting:
            value = waiting.pop()
            if isinstance(value, Mapping):
                fields = cast("Mapping[str, Any]", value)
                inner = fields.get("$ref")
                if inner == ref or inner == "#":
                    return True
                if isinstance(inner, str) and inner not in seen:
                    seen.add(inner)
                    waiting.append(resolve(self.given, inner))
                waiting += [v for k, v in fields.items() if k not in _DEFINITIONS]
            elif isinstance(value, list):
                waiting += cast("Sequence[Any]", value)
        return False

    def keywords(self, schema: dict[str, Any], path: str, through: tuple[str, ...]) -> dict[str, Any]:
        rules = self.rules
        if "oneOf" in schema and "anyOf" not in schema:
            schema = {("anyOf" if k == "oneOf" else k): v for k, v in schema.items()}
            self.lose(f"{path}.oneOf", "sent as anyOf: that exactly one fits is not asked for")
        if "const" in schema and "const" not in rules.keeps:
            schema = {("enum" if k == "const" else k): ([v] if k == "const" else v) for k, v in schema.items()}
        if isinstance(schema.get("prefixItems"), list):
            return self.keywords(self.as_list(schema, path), path, through)
        self.add_type(schema)
        if rules.nullable:
            self.say_nullable(schema, path)
        made: dict[str, Any] = {}
        for keyword, value in schema.items():
            where = f"{path}.{keyword}"
            match keyword:
                case "properties" if isinstance(value, Mapping):
                    fields = cast("Mapping[str, Any]", value)
                    made[keyword] = {n: self.node(s, f"{where}.{n}", through) for n, s in fields.items()}
                case "items" if not isinstance(value, list):
                    made[keyword] = self.node(value, where, through)
                case "anyOf" if isinstance(value, list) and keyword in rules.keeps:
                    branches = cast("Sequence[Any]", value)
                    made[keyword] = [self.node(s, f"{where}[{i}]", through) for i, s in enumerate(branches)]
                case "additionalProperties" if rules.closed:
                    if value is not False:
                        self.lose(where, "further properties cannot be allowed: the object holds the named ones only")
                case "additionalProperties" if keyword not in rules.keeps:
                    # A vendor that knows no such keyword writes the named properties only.
                    if value is not False and value is not True:
                        self.lose(where, "the form of further properties is not asked for")
                case "format" if not isinstance(value, str) or value not in rules.formats:
                    self.lose(where, f"the vendor does not know the format {value!r}")
                case "minItems" if rules.most_min_items is not None and value not in range(rules.most_min_items + 1):
                    self.lose(where, f"the vendor takes at most {rules.most_min_items}")
                    made[keyword] = rules.most_min_items
                case _ if keyword in rules.keeps:
                    made[keyword] = value
                case _:
                    self.lose(where, "the vendor does not know this keyword")
        if made.get("type") == "object" or "properties" in made:
            self.close(made, path)
        return made if made else self.anything(path, None)

    def as_list(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        self.lose(f"{path}.prefixItems", "the position of the items is not asked for, only that each fits one of them")
        rest = schema.get("items", True)
        kinds = [*schema["prefixItems"], *([rest] if isinstance(rest, Mapping) else [])]
        out = {k: v for k, v in schema.items() if k not in ("prefixItems", "items")}
        closed = rest is False or (isinstance(rest, Mapping) and rest)
        return {**out, "items": {"anyOf": kinds} if closed and "anyOf" in self.rules.keeps else {}}

    def add_type(self, schema: dict[str, Any]) -> None:
        """Write down the type that the other keywords imply for what a model writes."""
        if "type" in schema or "anyOf" in schema:
            return
        values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
        if "properties" in schema:
            schema["type"] = "object"
        elif "items" in schema:
            schema["type"] = "array"
        elif all(isinstance(v, str) for v in values):
            schema["type"] = "string"

    def say_nullable(self, schema: dict[str, Any], path: str) -> None:
        kinds, options = schema.get("type"), schema.get("anyOf")
        if isinstance(kinds, list):
            named = [k for k in cast("Sequence[Any]", kinds) if k != "null"]
            if len(named) < len(cast("Sequence[Any]", kinds)):
                schema["nullable"] = True
            if len(named) == 1:
                schema["type"] = named[0]
            else:
                del schema["type"]
                schema["anyOf"] = [{"type": k} for k in named]
        elif isinstance(options, list):
            listed = cast("Sequence[Any]", options)
            rest = [o for o in listed if o != {"type": "null"}]
            if len(rest) < len(listed):
                schema["nullable"] = True
                schema["anyOf"] = rest
        only: object = schema["anyOf"][0] if isinstance(schema.get("anyOf"), list) and len(schema["anyOf"]) == 1 else {}
        if isinstance(only, Mapping) and only and "$ref" not in only:
            del schema["anyOf"]
            schema.update({k: v for k, v in cast("Mapping[str, Any]", only).items() if k not in schema})
            self.say_nullable(schema, path)
        values = schema.get("enum")
        if isinstance(values, list):
            if None in cast("Sequence[Any]", values):
                schema["nullable"] = True
                schema["enum"] = [v for v in cast("Sequence[Any]", values) if v is not None]
            if self.rules.string_enum and not all(isinstance(v, str) for v in schema["enum"]):
                del schema["enum"]
                self.lose(f"{path}.enum", "the vendor enumerates strings only")

    def close(self, made: dict[str, Any], path: str) -> None:
        rules = self.rules
        properties: dict[str, Any] = made.get("properties", {})
        required = [n for n in made.get("required", ()) if isinstance(n, str)]
        if rules.closed:
            made["additionalProperties"] = False
            for name in required:
                if name not in properties:
                    properties[name] = self.anything(f"{path}.properties.{name}", None)
                    made["properties"] = properties
        if not rules.all_required or not properties:
            return
        for name in properties:
            if name not in required:
                properties[name] = _or_null(properties[name])
                self.lose(f"{path}.properties.{name}", "optional: sent as required and nullable, null means left out")
        if sorted(required) != sorted(properties):
            made["required"] = list(properties)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind, options = schema.get("type"), schema.get("anyOf")
    described = {k: v for k, v in schema.items() if k in ("description", "title")}
    if isinstance(options, list):
        listed = cast("Sequence[Any]", options)
        return schema if {"type": "null"} in listed else {**schema, "anyOf": [*listed, {"type": "null"}]}
    if isinstance(kind, str | list) and "const" not in schema:
        kinds = [kind] if isinstance(kind, str) else list(cast("Sequence[Any]", kind))
        out = {**schema, "type": kinds if "null" in kinds else [*kinds, "null"]}
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            out["enum"] = [*schema["enum"], None]
        return out if len(out["type"]) > 1 else schema
    bare = {k: v for k, v in schema.items() if k not in described}
    return {**described, "anyOf": [bare, {"type": "null"}]}


def without_added_nulls(value: Any, schema: JSONObject) -> Any:
    """Return an answer to a compiled schema as an answer to the given one.

    Where a property is optional and its own schema does not take null, a null means that it is left out.
    """
    return _strip(value, schema, schema, 0)


def _strip(value: Any, schema: object, root: JSONObject, depth: int) -> Any:
    if depth > _DEEPEST or not isinstance(schema, Mapping):
        return value
    node = _seen_through(cast("Mapping[str, Any]", schema), root)
    if isinstance(value, list):
        return [_strip(item, node.get("items"), root, depth + 1) for item in cast("Sequence[Any]", value)]
    properties = node.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, Mapping):
        branch = _branch_of(value, node, root, depth) if isinstance(value, dict) else None
        return _strip(value, branch, root, depth + 1) if branch is not None else value
    required = _branches(node, "required")
    out: dict[str, Any] = {}
    for name, item in cast("dict[str, Any]", value).items():
        own = cast("Mapping[str, Any]", properties).get(name)
        if item is None and name not in required and own is not None and not _takes_null(own, root, 0):
            continue
        out[name] = _strip(item, own, root, depth + 1)
    return out


def _branch_of(value: Any, node: Mapping[str, Any], root: JSONObject, depth: int) -> Mapping[str, Any] | None:
    """Return the first alternative, however deep, that declares all of the object's properties."""
    if depth > _DEEPEST:
        return None
    for branch in [b for word in ("anyOf", "oneOf", "allOf") for b in _branches(node, word)]:
        if not isinstance(branch, Mapping):
            continue
        inner = _seen_through(cast("Mapping[str, Any]", branch), root)
        declared = inner.get("properties")
        if isinstance(declared, Mapping) and set(value) <= set(cast("Mapping[str, Any]", declared)):
            return inner
        found = _branch_of(value, inner, root, depth + 1)
        if found is not None:
            return found
    return None


def _branches(node: Mapping[str, Any], word: str) -> Sequence[Any]:
    found = node.get(word)
    return cast("Sequence[Any]", found) if isinstance(found, list) else ()


def _seen_through(schema: Mapping[str, Any], root: JSONObject) -> Mapping[str, Any]:
    for _ in range(_DEEPEST):
        ref = schema.get("$ref")
        found = resolve(root, ref) if isinstance(ref, str) else None
        if not isinstance(found, Mapping):
            break
        schema = cast("Mapping[str, Any]", found)
    return schema


def _takes_null(schema: object, root: JSONObject, depth: int) -> bool:
    if not isinstance(schema, Mapping):
        return schema is True
    if depth > _DEEPEST:
        return False
    node = _seen_through(cast("Mapping[str, Any]", schema), root)
    for word in ("anyOf", "oneOf"):
        if _branches(node, word):
            return any(_takes_null(b, root, depth + 1) for b in _branches(node, word))
    if "const" in node or "enum" in node:
        return None in (node.get("enum") or [node.get("const")])
    kind: Any = node.get("type")
    if kind is None:
        return "properties" not in node and "items" not in node and "allOf" not in node
    return kind == "null" or (isinstance(kind, list) and "null" in kind)
