"""How the parameters of simulated exposures are distributed."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

__all__ = ["HalfNormal", "LogNormal", "LogUniform", "Prior", "Uniform"]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Interval(_Settings):
    """What all distributions share: a range from `low` to `high`, both included."""

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _rises(self) -> _Interval:
        if not self.low <= self.high:
            raise ValueError(f"low must not exceed high, but {self.low} > {self.high}")
        return self


class Uniform(_Interval):
    """Every value of the range is as likely as any other.

    Examples
    --------
    >>> Uniform(kind="uniform", low=2.0, high=2.0).sample(3, torch.Generator())
    tensor([2., 2., 2.])
    """

    kind: Literal["uniform"]

    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        """Independent values, float32[size]."""
        uniform = torch.rand(size, generator=generator, device=generator.device)
        return self.low + (self.high - self.low) * uniform


class LogUniform(_Interval):
    """The logarithm is uniform."""

    kind: Literal["log-uniform"]
    low: float = Field(gt=0, allow_inf_nan=False)

    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        """Independent values, float32[size]."""
        uniform = torch.rand(size, generator=generator, device=generator.device)
        return (math.log(self.low) + math.log(self.high / self.low) * uniform).exp()


class LogNormal(_Interval):
    """The logarithm is normal about that of `median`; values outside the range move to its ends."""

    kind: Literal["log-normal"]
    low: float = Field(gt=0, allow_inf_nan=False)
    median: float = Field(gt=0, allow_inf_nan=False)
    sigma: float = Field(ge=0, allow_inf_nan=False)

    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        """Independent values, float32[size]."""
        normal = torch.randn(size, generator=generator, device=generator.device)
        return (self.median * (self.sigma * normal).exp()).clamp(self.low, self.high)


class HalfNormal(_Interval):
    """Upwards from `low`, ever rarer with a scale of `sigma`; values beyond `high` move to it."""

    kind: Literal["half-normal"]
    sigma: float = Field(ge=0, allow_inf_nan=False)

    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        """Independent values, float32[size]."""
        normal = torch.randn(size, generator=generator, device=generator.device)
        return (self.low + self.sigma * normal.abs()).clamp(max=self.high)


Prior = Annotated[Uniform | LogUniform | LogNormal | HalfNormal, Field(discriminator="kind")]
"""Any of the distributions, told apart by `kind`."""
