"""The contracts as the client library shows them: models, methods, services and reasons with their Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from client_fields import JSON, TIMESTAMP, Field, Message
from client_text import capitalized, paragraphs, plain, without_required, wrapped
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)
from google.rpc import code_pb2

from ridehail.common.v1 import options_pb2

# Methods that a subclass by hand completes: the generated class has them under a `_`.
BY_HAND: Final = {"TollRoadsService": {"SaveOffer", "RetrieveOrder"}, "TaxiOnTheWayService": {"TaxiOnTheWay"}}
# What an HTTP client expects of a code; servers state the status of an error only where it is another.
USUAL_HTTP_STATUS: Final = {
    **dict.fromkeys(("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"), 400),
    **dict.fromkeys(("ABORTED", "ALREADY_EXISTS"), 409),
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# Base classes of models, by hand.
MIXINS: Final = {"Upstream": "FromActiveOrders"}


@dataclass(eq=False)
class Model:
    """A class of the library, of one or several messages that hold the same."""

    name: str
    messages: list[Message]
    is_read: bool = False
    is_written: bool = False
    is_received: bool = False
    is_sent: bool = False

    @property
    def widest(self) -> Message:
        """The message with all of the fields."""
        return max(self.messages, key=lambda one: len(one.fields))

    @property
    def lacking(self) -> list[str]:
        """The fields that one of the messages lacks: its reader gives them."""
        names = [{field.name for field in one.fields} for one in self.messages]
        return [field.name for field in self.widest.fields if any(field.name not in one for one in names)]

    @property
    def mixin(self) -> str:
        """Its base class by hand."""
        return MIXINS.get(self.name, "")

    def type_of(self, name: str) -> str:
        """Returns the type of a field."""
        (field,) = (one for one in self.widest.fields if one.name == name)
        return field.type("tuple[{0}, ...]", is_taken=not self.is_received)

    @property
    def attributes(self) -> list[tuple[str, str, str]]:
        """Name, type and default of each field."""
        fields = self.widest.fields
        defaults = [one.default("field(default_factory=dict)", is_received_only=not self.is_sent) for one in fields]
        # Python takes defaults behind all that has none.
        first = max((i for i, one in enumerate(defaults) if not one), default=-1) + 1
        return [
            (f.name, self.type_of(f.name), d if i >= first else "")
            for i, (f, d) in enumerate(zip(fields, defaults, strict=True))
        ]

    @property
    def comment(self) -> str:
        """What it is: the comment of a message, unless that only names its method."""
        comments = [re.sub(r"^Response of [\w.]+[.;:]?\s*", "", one.comment) for one in self.messages]
        return capitalized(next((one for one in comments if one), f"What {self.name_of_call} returns."))

    @property
    def name_of_call(self) -> str:
        """The method whose response it is."""
        return self.messages[0].proto.name.removesuffix("Response")

    @property
    def docstring(self) -> str:
        """Google style."""
        entries = [(one.name, plain(one.comment)) for one in self.widest.fields]
        if self.widest.options.may_be_stale:
            entries.append(
                (
                    "stale",
                    "Whether this is what was last known, because the service is unavailable.",
                )
            )
        if self.widest.options.keeps_json:
            entries.append(("body", "The response as JSON. Not compared by `==`."))
        return wrapped(
            [*paragraphs(self.comment), "Attributes:", *(f"    {n}: {text}" for n, text in entries)], indent=4
        )


@dataclass(eq=False)
class Method:
    """An RPC."""

    contracts: Contracts
    proto: MethodDescriptorProto
    comment: str
    is_by_hand: bool

    def __post_init__(self) -> None:
        self.request = self.contracts.messages[self.proto.input_type]
        self.response = self.contracts.messages[self.proto.output_type]
        self.name = "_" * self.is_by_hand + re.sub(r"(?<!^)(?=[A-Z])", "_", self.proto.name).lower()
        self.flag = self.proto.options.Extensions[options_pb2.metadata_flag]
        self.batch: Batch | None = None

    @property
    def parameters(self) -> list[tuple[str, str, str]]:
        """Name, type and default of each."""
        fields = self.request.fields
        return [(f.name, f.type("Sequence[{0}]", is_taken=True), f.default("MappingProxyType({})")) for f in fields]

    @property
    def result(self) -> tuple[str, str, str]:
        """Type of what the call returns, the expression that reads it from `response`, and what it is."""
        if bare := self.response.bare:
            return bare.type("tuple[{0}, ...]", is_taken=False), bare.read("response"), plain(bare.comment)
        if not self.response.fields:
            return "None", "", ""
        model = self.contracts.models[self.response.model]
        own = {one.name for one in self.response.fields}
        lacking = "".join(f", {name}={'response.' * (name in own)}{name}" for name in model.lacking)
        return model.name, f"{model.name}.from_message(response{lacking})", plain(model.comment)

    @property
    def docstring(self) -> str:
        """Google style, of the comments and the options."""
        text, _, listed = f"{self.comment}\n".partition("\nErrors:\n")
        entries = [(one.name, plain(one.comment)) for one in self.request.fields]
        entries += [(self.flag.name, self.flag.description)] if self.flag.name else []
        entries += [("timeout", "Seconds for the whole call."), ("metadata", "Further metadata of the call.")]
        shared = [] if self.batch is None else [self.batch.sentence]
        sections = [
            *paragraphs(text),
            self._times,
            *shared,
            "Args:",
            *(f"    {name}: {text}" for name, text in entries),
        ]
        if self.result[2]:
            sections += ["Returns:", f"    {self.result[2]}"]
        if raised := [*self._errors(listed), *self._refusals()]:
            sections += ["Raises:", *(f"    {name}: {text}" for name, text in raised)]
        return wrapped(sections, indent=8)

    @property
    def _times(self) -> str:
        policy = self.proto.options.Extensions[options_pb2.call_policy]
        whole, one = (time.ToTimedelta().total_seconds() for time in (policy.deadline, policy.attempt_timeout))
        if self.proto.options.idempotency_level == MethodOptions.IDEMPOTENCY_UNKNOWN:
            return f"The client repeats it only where no server has seen it, for {whole:g} s by default."
        return f"The client repeats it after failures that pass, for {whole:g} s by default, {one:g} s an attempt."

    def _errors(self, listed: str) -> list[tuple[str, str]]:
        items = [re.match(r"- [A-Z_]+ `([A-Z_]+)`(?: \(HTTP \d+\))?[,:]? *(.+)", one) for one in paragraphs(listed)]
        return [(error_name(one[1]), capitalized(one[2])) for one in items if one]

    def _refusals(self) -> list[tuple[str, str]]:
        dates = [f"`{one.name}` is naive." for one in self.request.fields if one.kind_name == TIMESTAMP]
        parts = [part for message in self.contracts.reachable([self.request]) for part in message.parts]
        if not any(one.kind_name in JSON for one in parts):
            return [("ValueError", " ".join(dates))] if dates else []
        numbers = "A number in JSON is not finite, or whole and beyond 2^53 - 1."
        return [("ValueError", " ".join([*dates, numbers])), ("TypeError", "Something in JSON is no JSON value.")]


@dataclass(eq=False)
class Batch:
    """A method that does for many keys what another one does for one, see `batch_of` of the options.

    Keys are ids, or messages that have what the request of the other method has; then `element` is their type.
    """

    method: Method
    single: Method

    def __post_init__(self) -> None:
        (self.keys,) = self.method.request.fields
        (self.found,) = (one for one in self.method.response.fields if one.kind_name)
        self.attribute = f"_shared_{self.single.name.lstrip('_')}"
        messages = self.method.contracts.messages
        self.element = messages.get(self.keys.kind_name)
        if self.element is None:
            (self.key,) = self.single.request.fields
            (self.missing,) = (one for one in self.method.response.fields if one.name == f"missing_{self.keys.name}")
        else:
            for one, single in (
                (self.element, self.single.request),
                (messages[self.found.kind_name], self.single.response),
            ):
                names = [[field.name for field in message.fields] for message in (one, single)]
                assert names[0] == names[1], f"{one.python} does not have what {single.python} has"

    @property
    def key_of_call(self) -> str:
        """The expression for the key of a call of the other method."""
        if self.element is None:
            return self.key.name
        values = (f"tuple({one.write(one.name)})" if one.is_list else one.name for one in self.element.fields)
        given = ", ".join(f"{one.name}={value}" for one, value in zip(self.element.fields, values, strict=True))
        return f"{self.element.model}({given})"

    @property
    def types(self) -> str:
        """The types that `BatchMessages` is of, where they cannot be inferred."""
        if self.element is None:
            return ""
        found = self.method.contracts.messages[self.found.kind_name].python
        messages = (self.method.request.python, self.method.response.python, found)
        return f"[{', '.join((self.element.model, *messages, self.single.result[0]))}]"

    @property
    def error(self) -> str:
        """The class of the error for a key that was not found."""
        stated = re.search(r"^- NOT_FOUND `([A-Z_]+)`", self.single.comment, re.M)
        assert stated is not None, f"{self.single.proto.name} does not say what a key that is not found gets"
        return error_name(stated[1])

    @property
    def sentence(self) -> str:
        """What the docstring of the single method says of it."""
        return f"With `coalesce`, calls that are made at the same time share calls of {self.method.proto.name}."


@dataclass(eq=False)
class Service:
    """A service, and its client."""

    proto: ServiceDescriptorProto
    module: str
    full_name: str
    comment: str
    methods: list[Method]

    def __post_init__(self) -> None:
        self.destination = self.proto.options.Extensions[options_pb2.destination]
        self.is_passenger = self.proto.options.Extensions[options_pb2.audience] == options_pb2.AUDIENCE_PASSENGER
        stem, is_by_hand = self.proto.name.removesuffix("Service"), self.proto.name in BY_HAND
        self.client = f"Async{stem}Calls" if is_by_hand else f"Async{stem}Client"
        by_name = {one.proto.name: one for one in self.methods}
        self.batches: list[Batch] = []
        for one in self.methods:
            if single := one.proto.options.Extensions[options_pb2.batch_of]:
                by_name[single].batch = batch = Batch(one, by_name[single])
                self.batches.append(batch)
        assert not self.batches or (self.destination and not self.is_passenger), "only clients of services coalesce"
        own = "AsyncInternalClient" if self.destination else "AsyncNamedServiceClient"
        own = "AsyncCoalescingClient" if self.batches else own
        self.base = "AsyncPassengerClient" if self.is_passenger else own

    @property
    def docstring(self) -> str:
        """What its client is for."""
        by = ", by the gateway" if self.is_passenger else ""
        every = (
            "Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's "
            "deadline; never beyond the deadline of the incoming call, see `call_context`), and further `metadata`. "
            "Every method raises `ServiceError` subclasses."
        )
        return wrapped([*paragraphs(self.comment), f"The client of `{self.full_name}`{by}.", every], indent=4)


@dataclass(frozen=True)
class Reason:
    """A reason of the catalogue."""

    name: str
    comment: str
    contract: options_pb2.ErrorContract

    @property
    def error(self) -> str:
        """Its class."""
        return error_name(self.name)

    @property
    def code(self) -> str:
        """Its gRPC code."""
        return str(code_pb2.Code.Name(self.contract.code))

    @property
    def own_http_status(self) -> int | None:
        """Its HTTP status, where it is not the usual one of the code."""
        status = self.contract.http_status
        return None if USUAL_HTTP_STATUS[self.code] == status else status

    @property
    def keys(self) -> str:
        """The keys of its metadata."""
        return ", ".join(f"`{one}`" for one in self.contract.metadata_keys)

    @property
    def docstring(self) -> str:
        """What happened, the code and what the metadata has."""
        codes = f"{self.code}, HTTP {self.contract.http_status}." + (f" Metadata: {self.keys}." if self.keys else "")
        return wrapped([*paragraphs(self.comment.partition("\n    {")[0]), codes], indent=4)

    @property
    def row(self) -> str:
        """Its line in the table of errors."""
        cells = (f"`{self.name}`", self.code, self.contract.http_status, self.keys, self.contract.remedy)
        return "".join(f"| {one} " if one else "| " for one in cells) + "|"


class Contracts:
    """All of the contracts, with their comments."""

    def __init__(self, image: FileDescriptorSet) -> None:
        own = [one for one in image.file if one.package.startswith("ridehail.")]
        self.modules = [(one.package, f"{one.name.rpartition('/')[2].removesuffix('.proto')}_pb2") for one in own]
        self.messages: dict[str, Message] = {}
        self.entries: dict[str, DescriptorProto] = {}
        self.services: dict[str, list[Service]] = {}
        self.reasons: list[Reason] = []
        for file, (package, module) in zip(own, self.modules, strict=True):
            self._add(file, package, module, _comments(file))

    def _add(self, file: FileDescriptorProto, package: str, module: str, comments: dict[tuple[int, ...], str]) -> None:
        # Paths as in descriptor.proto: 4 messages, 5 enums, 6 services; 2 their fields, values and methods.
        for i, message in enumerate(file.message_type):
            of_fields = [comments.get((4, i, 2, j), "") for j in range(len(message.field))]
            name, is_resource = f".{package}.{message.name}", not file.service
            self.messages[name] = Message(self, message, module, comments.get((4, i), ""), of_fields, is_resource)
            self.entries |= {f"{name}.{one.name}": one for one in message.nested_type if one.options.map_entry}
        for i, enum in enumerate(file.enum_type):
            for j, value in enumerate(enum.value):
                if value.options.HasExtension(options_pb2.error):
                    contract = value.options.Extensions[options_pb2.error]
                    self.reasons.append(
                        Reason(value.name.removeprefix("ERROR_REASON_"), comments[5, i, 2, j], contract)
                    )
        for i, service in enumerate(file.service):
            by_hand, comment = BY_HAND.get(service.name, set()), comments.get((6, i), "")
            methods = [
                Method(self, one, comments.get((6, i, 2, j), ""), one.name in by_hand)
                for j, one in enumerate(service.method)
            ]
            own = self.services.setdefault(package.split(".")[1], [])
            own.append(Service(service, module, f"{package}.{service.name}", comment, methods))

    @property
    def methods(self) -> list[Method]:
        """Every RPC."""
        return [method for services in self.services.values() for one in services for method in one.methods]

    def reachable(self, roots: list[Message]) -> list[Message]:
        """Returns messages and all that they consist of."""
        found = list(roots)
        for message in found:
            for one in message.parts:
                names = (one.kind_name, f".{one.json_of.message}")
                found += [self.messages[n] for n in names if n in self.messages and self.messages[n] not in found]
        return found

    @cached_property
    def models(self) -> dict[str, Model]:
        """The classes that requests and responses consist of, by name."""
        requests = [one.request for one in self.methods]
        sent, received = self.reachable(requests), self.reachable([one.response for one in self.methods])
        models: dict[str, Model] = {}
        # The nouns of the contracts come first: their comments say what the others only repeat.
        for message in sorted(self.messages.values(), key=lambda one: not one.is_resource):
            if message in requests or message.bare or not message.fields or message not in [*sent, *received]:
                continue
            model = models.setdefault(message.model, Model(message.model, []))
            model.messages.append(message)
            model.is_received |= message in received
            model.is_sent |= message in sent
            model.is_read |= message in received or message.is_resource
            model.is_written |= message in sent or message.is_resource
        return models

    @property
    def enums(self) -> dict[str, tuple[str, list[str]]]:
        """Comment and values of each enum, by name."""
        enums: dict[str, tuple[str, list[str]]] = {}
        for one in (field for message in self.messages.values() for field in message.fields if field.enum):
            _, values = enums.setdefault(one.enum, (without_required(one.comment), []))
            values += [value for value in getattr(one.rules.string, "in") if value not in values]
        return enums

    @property
    def opened(self) -> dict[str, tuple[Field, bool]]:
        """The fields whose JSON objects have further members, and whether they are sent, by the name of their class."""
        sent = self.reachable([one.request for one in self.methods])
        fields = [(one, message in sent) for message in self.messages.values() for one in message.fields]
        return {one.json_of.with_others: (one, is_sent) for one, is_sent in fields if one.json_of.with_others}


def error_name(reason: str) -> str:
    """Returns the class of a reason."""
    return "InternalError" if reason == "INTERNAL" else "".join(word.title() for word in reason.split("_"))


def _comments(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    places = file.source_code_info.location
    return {tuple(one.path): re.sub(r"(?m)^ ", "", one.leading_comments).strip() for one in places}
