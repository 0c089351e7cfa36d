"""Which networks a study trains, and in which order."""

from __future__ import annotations

import pytest

from maury.errors import RecipeError
from maury.study.plan import ITEMS, MODELS, SWEEPS, model_runs, plan, sweep_runs
from maury.study.settings import SETTINGS
from maury.training.recipe import Recipe
from maury.training.recipe_file import read_recipe, recipe_names

SCALES = tuple(SETTINGS)


def entry(recipe: Recipe, name: str) -> object:
    found: object = recipe
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", ITEMS)
def test_everything_an_item_needs_comes_with_the_package(name: str) -> None:
    item = ITEMS[name]
    assert set(item.models) <= set(MODELS)
    assert set(item.sweeps) <= set(SWEEPS)
    assert {*item.models, *item.sweeps} <= set(recipe_names())
    assert item.title


def test_models_are_what_their_recipes_say() -> None:
    for name, model in MODELS.items():
        recipe = read_recipe(name)
        made = recipe.model.model
        assert recipe.name == name
        assert (model.kind == "encoder") == (made.decoder is None)
        assert (model.kind == "decoder") == (not made.encoder)
        assert ("VAE" in model.kind) == made.variational
        assert (model.paradigm == "unsupervised") == (not made.supervised)
        # The share of simulated exposures.
        assert recipe.data.rate == {"real": 0.0, "mixed": 0.5, "ETC": 1.0}[model.dataset]
        assert recipe.data.observed.known == (0.01 if "0.01" in model.legend else 1.0)
    assert len({model.legend for model in MODELS.values()}) == len(MODELS)


@pytest.mark.parametrize("scale", SCALES)
def test_runs_come_behind_the_decoder_that_they_start_from_and_each_once(scale: str) -> None:
    runs = plan([*ITEMS, "table5", "fig2"], scale)
    places = {run.path: place for place, run in enumerate(runs)}
    assert len(places) == len(runs)
    for place, run in enumerate(runs):
        start = run.recipe.decoder
        assert start is None or places[start.run] < place
    assert {"resnet-decoder", "film-decoder", "doppler-decoder"} <= {
        run.recipe.decoder.run for run in runs if run.recipe.decoder is not None
    }


def test_a_decoder_is_trained_first_though_nobody_asked_for_it() -> None:
    assert [run.path for run in plan(["fig8"], "tiny")][:2] == ["resnet-decoder", "ae-real"]
    assert plan(["table9", "fig1", "figB"], "small") == []


def test_the_order_of_items_is_that_of_the_runs_and_what_is_shared_is_trained_once() -> None:
    one, other = (
        [run.path for run in plan(items, "tiny")]
        for items in (["kiel", "table7"], ["table7", "kiel", "table7"])
    )
    assert one[0] == "cnn-mix" and other[-1] == "cnn-mix"
    assert sorted(one) == sorted(other)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_has_every_value_of_the_scale_and_differs_in_nothing_else(
    name: str, scale: str
) -> None:
    settings = SETTINGS[scale]
    runs = sweep_runs(name, scale)
    wanted = settings.label_weights if "label" in name else settings.bottlenecks
    assert tuple(runs) == tuple(wanted)
    rest = []
    for value, run in runs.items():
        assert entry(run.recipe, SWEEPS[name]) == value
        assert not run.recipe.sweep
        part, _, last = SWEEPS[name].partition(".")
        values = run.recipe.model_dump(exclude={"name", "description", "sweep"})
        del values[part][last]
        rest.append(values)
    assert all(values == rest[0] for values in rest)
    assert len({run.path for run in runs.values()}) == len(runs)
    free = name == "sweep-bottleneck-free"
    assert all(run.recipe.data.zero_unknown != free for run in runs.values())


def test_the_value_of_a_sweep_that_is_a_models_own_is_not_trained_twice() -> None:
    assert sweep_runs("sweep-bottleneck", "full")[9].path == "ae-mix"
    assert sweep_runs("sweep-label-weight", "full")[1].path == "ae-mix"
    # Free unknown factors are another model.
    free = sweep_runs("sweep-bottleneck-free", "full")
    assert all(run.path.startswith("sweep-bottleneck-free/") for run in free.values())
    # It depends on what is asked for.
    changed = sweep_runs("sweep-label-weight", "full", ["loss.label_weight=5"])
    assert [value for value, run in changed.items() if run.path == "ae-mix"] == [5]
    together = plan(["figD1", "table4", "fig2"], "full")
    assert [run.path for run in together].count("ae-mix") == 1


@pytest.mark.parametrize("scale", SCALES)
def test_all_models_of_a_scale_are_trained_alike(scale: str) -> None:
    recipes = [run.recipe for run in plan(ITEMS, scale)]
    alike = {
        (
            recipe.scale,
            recipe.number_of_epochs,
            recipe.steps,
            recipe.seed,
            recipe.training.model_dump_json(),
            recipe.optimizer.model_dump_json(exclude={"lr"}),
        )
        for recipe in recipes
    }
    assert len(alike) == 1
    # Without a CNN the paper learns faster: 1e-3 (Sect. 3.3).
    rates = {recipe.optimizer.lr for recipe in recipes if recipe.model.model.encoder}
    assert rates == {1e-4 if scale in ("full", "half") else 1e-3}


def test_overrides_go_before_what_the_scale_says() -> None:
    runs = plan(["kiel", "fig2"], "tiny", ["epochs=2", "optimizer.lr=3e-4"])
    assert {(run.recipe.number_of_epochs, run.recipe.optimizer.lr) for run in runs} == {(2, 3e-4)}


def test_a_card_is_where_training_leaves_it() -> None:
    (run,) = model_runs(["cnn-mix"], "tiny").values()
    assert run.card == "cnn-mix/cnn-mix.json"
    swept = sweep_runs("sweep-bottleneck", "tiny")[7]
    assert swept.card == "sweep-bottleneck/model.nodes=7/sweep-bottleneck.json"


@pytest.mark.parametrize(
    ("items", "overrides", "message"),
    [
        (["table4", "table10"], [], r"no 'table10'; there are table3, table4, .*kiel\.$"),
        (["all"], [], "no 'all'; there are"),
        (["kiel"], ["epochs"], "Override 'epochs' must look like"),
        (["kiel"], ["epochs=many"], "epochs.* is 'many'"),
        (["kiel"], ["epoch=3"], "epoch is not a known entry"),
        (["fig2"], ["training.batch=0"], "training.batch is 0"),
        (["kiel"], ["scale=small"], "scale cannot be set to small: the study sets it"),
        (["kiel"], ["name=other"], "name cannot be set to other: the study sets it"),
        (["kiel"], ["labels=[teff, rv]"], r"labels cannot be set to \[teff, rv\]"),
        (["kiel"], ["model.nodes=9"], "model.nodes cannot be set to 9"),
        (["kiel"], [" model.name=ae-cnn"], "model.name cannot be set to ae-cnn"),
        (["fig2"], ["sweep={}"], "sweep cannot be set to {}"),
    ],
)
def test_what_cannot_be_planned_is_told_in_a_sentence(
    items: list[str], overrides: list[str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        plan(items, "tiny", overrides)
    told = str(caught.value)
    assert "\n" not in told and told.endswith(".")
