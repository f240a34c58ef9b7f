"""Whether fields are those of a record, without making one: half of what the model's own validation takes.

What is found right here is right for the model too, which a test holds; of what is not, the model says why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache, lru_cache
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator
from typing_extensions import TypedDict

from bridge.canonical.base import REF_MAX_CHARACTERS, CanonicalRecord

Check = Callable[[str, Mapping[str, Any]], bool]
"""Whether a key and fields are right; False where it is not sure."""
CHECKS_KEPT_MAX = 500


def quick_check(model: type[CanonicalRecord], names: Collection[str]) -> Check | None:
    """The check of those fields that a mapping sets; None where only the model can tell."""
    return _check(model, frozenset(names))


# Making one is a third of compiling a mapping, and most mappings of a site set what others set too.
@lru_cache(maxsize=CHECKS_KEPT_MAX)
def _check(model: type[CanonicalRecord], names: frozenset[str]) -> Check | None:
    named = {info.alias or name: info for name, info in model.model_fields.items() if name != "key"}
    needed = {name for name, info in named.items() if info.is_required()}
    promise = model.quick_promise
    if not needed <= names or (promise is None and _promises(model)):
        return None
    kept: dict[str, Any] = {}
    for name in names:
        info = named[name]
        field: Any = Annotated[(info.annotation, *info.metadata)]
        kept[name] = field if name in needed else NotRequired[field]
    make: Any = TypedDict
    fields = make(f"{model.__name__}Fields", kept)
    fields.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    validator = TypeAdapter(fields).validator
    assert isinstance(validator, SchemaValidator), "the adapter has built it"
    validate = validator.validate_python

    def check(key: str, values: Mapping[str, Any]) -> bool:
        try:
            validate(values)
        except ValidationError:
            return False
        return 0 < len(key) <= REF_MAX_CHARACTERS and (promise is None or promise(values))

    return check


@cache
def _of_field(model: type[BaseModel], name: str) -> SchemaValidator:
    info = next(info for own, info in model.model_fields.items() if (info.alias or own) == name)
    field: Any = Annotated[(info.annotation, *info.metadata)]
    validator = TypeAdapter(field, config=ConfigDict(strict=True)).validator
    assert isinstance(validator, SchemaValidator), "the adapter has built it"
    return validator


def fits(model: type[BaseModel], name: str, value: object) -> bool:
    """Whether one field of a model takes a value, whatever the others are.

    >>> from bridge.canonical.records import RECORDS
    >>> fits(RECORDS["charge"], "amount", "12.50"), fits(RECORDS["charge"], "amount", "0.00001")
    (True, False)
    """
    try:
        _of_field(model, name).validate_python(value)
    except ValidationError:
        return False
    return True


def _promises(model: type[BaseModel]) -> bool:
    """Whether a model promises more than each of its fields does."""
    return bool(model.__pydantic_decorators__.model_validators)
