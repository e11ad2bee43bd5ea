"""What all sections of a configuration share, and the kinds of values in them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dnw_graph.config.yaml_text import spell
from dnw_graph.registry import Registry

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction01 = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of all sections: frozen, strict about types, closed to unknown keys.

    A key that has no meaning beside the others (`meaningless`) may not be given, and is not written out.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    def meaningless(self) -> dict[str, str]:
        """Keys without effect in this combination, each with the reason and the fix."""
        return {}

    @model_validator(mode="after")
    def _refuse_meaningless(self) -> Section:
        for key, reason in self.meaningless().items():
            value = getattr(self, key)
            if key in self.model_fields_set and value is not None and value != []:
                raise ValueError(f"{type(self).__name__.lower()}.{key} {spell(value)} {reason}")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_meaningless(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unused = self.meaningless()
        return {key: value for key, value in handler(self).items() if key not in unused}


def name_in(registry: Registry[Any]) -> Any:
    """The type of a key that names an entry of a registry."""

    def check(name: str) -> str:
        if name not in registry.entries:
            raise PydanticCustomError("unknown_name", "{told}", {"told": registry.unknown(name)})
        return name

    return Annotated[str, AfterValidator(check)]
