"""Recipes read from YAML files, with every mistake told in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from maury.errors import RecipeError
from maury.training.recipe import Recipe

__all__ = ["read_recipe", "recipe_names", "sweep"]


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    folder = files("maury") / "recipes"
    names = (item.name for item in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def read_recipe(
    source: str | Path, overrides: Sequence[str] = (), *, scale: str | None = None
) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    source : str or Path
        A YAML file, or the name of a recipe that comes with the package, such as "ae-mix" or
        "recipes/ae-mix.yaml".
    overrides : sequence of str
        Changes of single entries, each like ``optimizer.lr=1e-3``; the value is YAML.
    scale : str, optional
        In place of the recipe's.

    Raises
    ------
    RecipeError
        In one sentence with the file, the entry, its value and what is allowed.

    Examples
    --------
    >>> recipe = read_recipe("ae-mix", ["optimizer.lr=1e-3", "seed=7"], scale="tiny")
    >>> recipe.model.name, recipe.optimizer.lr, recipe.settings.grid.name
    ('ae-resnet', 0.001, 'harps-tiny')
    >>> read_recipe("ae-mix", ["training.batch=many"])
    Traceback (most recent call last):
    maury.errors.RecipeError: Recipe ae-mix: training.batch is 'many', but it should be a valid
    integer, unable to parse string as an integer.
    """
    values = _read_mapping(source)
    if scale is not None:
        values["scale"] = scale
    for override in overrides:
        _override(values, override)
    return _checked(values, source)


def sweep(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Name and recipe of each run that a recipe asks for: one, or those of its sweep.

    Raises
    ------
    RecipeError
        If a value of the sweep is not allowed.

    Examples
    --------
    >>> recipe = read_recipe("sweep-label-weight")
    >>> [name for name, _ in sweep(recipe)][:2]
    ['loss.label_weight=0.01', 'loss.label_weight=0.1']
    """
    if not recipe.sweep:
        yield "", recipe
    for entry, choices in recipe.sweep.items():
        for choice in choices:
            values = recipe.model_dump(mode="json") | {"sweep": {}}
            _set(values, entry, choice)
            yield f"{entry}={choice}", _checked(values, recipe.name)


def _checked(values: dict[str, Any], source: str | Path) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"Recipe {source}: {_sentence(error, Recipe)}") from None


def _read_mapping(source: str | Path) -> dict[str, Any]:
    path = Path(source)
    # A name, or the place where the repository keeps it.
    name = path.stem if path.parent == Path("recipes") else str(source)
    resource = files("maury") / "recipes" / f"{name}.yaml"
    if not path.exists() and Path(name).name == name and resource.is_file():
        text = resource.read_text(encoding="utf-8")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise RecipeError(
                f"Recipe {source} cannot be read ({error.strerror or error}); "
                f"give a YAML file or one of {', '.join(recipe_names())}."
            ) from None
        except UnicodeDecodeError:
            raise RecipeError(f"Recipe {source} is not a text file in UTF-8.") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" in line {mark.line + 1}"
        problem = getattr(error, "problem", None) or "unreadable"
        raise RecipeError(f"Recipe {source} is not valid YAML{place}: {problem}.") from None
    if not isinstance(values, dict):
        raise RecipeError(
            f"Recipe {source} must be a mapping of entries to values, not {type(values).__name__}."
        )
    return values


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not all(key.strip().split(".")):
        raise RecipeError(f"Override {override!r} must look like optimizer.lr=1e-3.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"Override {override!r} has a value that is not valid YAML.") from None
    _set(values, key.strip(), value)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *parts, last = key.split(".")
    entry = values
    for part in parts:
        entry = entry.setdefault(part, {})
        if not isinstance(entry, dict):
            raise RecipeError(f"Entry {key} goes into {part!r}, which has no entries of its own.")
    entry[last] = value


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The first mistake of a recipe, as the end of a sentence."""
    first = error.errors()[0]
    # Tags of distributions ("uniform") and types appear in the location but not in the file.
    location = [part for part in first["loc"] if part not in _TAGS and "[" not in str(part)]
    field = ".".join(str(part) for part in location) or "it"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = message[0].lower() + message[1:]
    kind = first["type"]
    if kind == "missing":
        return f"{field} is missing."
    if kind == "extra_forbidden":
        known = ", ".join(_entries(model, first["loc"][:-1]))
        return f"{field} is not a known entry; allowed here are {known}."
    if field == "it" or isinstance(first["input"], Mapping | BaseModel):
        return f"{field}: {message}." if field != "it" else f"{message}."
    subject = "it " if message.startswith("should") else ""
    return f"{field} is {first['input']!r}, but {subject}{message}."


_TAGS = ("uniform", "log-uniform", "log-normal", "half-normal", "paper", "disturbed", "int")


def _entries(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Names of the entries of the settings at a place in a recipe."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            current = _settings(current)[0]
        elif part in _TAGS:
            kinds = {
                get_args(kind.model_fields["kind"].annotation): kind for kind in _settings(current)
            }
            current = kinds[(part,)]
        else:
            current = _settings(current)[0].model_fields[part].annotation
    return list(_settings(current)[0].model_fields)


def _settings(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes within a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _settings(argument)]
