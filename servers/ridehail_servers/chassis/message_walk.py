"""What messages hold, and what their types can hold."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message


def messages_in(message: Message) -> Iterator[tuple[str, Message]]:
    """Yields the messages that the fields of a message hold, with their paths."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            for key, part in value.items():
                if isinstance(part, Message):
                    yield f'{field.name}["{key}"]' if isinstance(key, str) else f"{field.name}[{key}]", part
        elif field.is_repeated:
            for index, part in enumerate(value):
                yield f"{field.name}[{index}]", part
        else:
            yield field.name, value


def types_in(descriptor: Descriptor) -> Iterator[Descriptor]:
    """Yields a message's type and those of all that can be in it."""
    seen: set[str] = set()
    waiting = [descriptor]
    while waiting:
        kind = waiting.pop()
        if kind.full_name not in seen:
            seen.add(kind.full_name)
            yield kind
            waiting.extend(field.message_type for field in kind.fields if field.message_type is not None)
