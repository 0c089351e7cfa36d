"""Recipes: what is accepted, and the sentence with which everything else is refused."""

from importlib.resources import files

import pytest
import yaml

from maury.errors import RecipeError
from maury.labels import HARPS_LABELS
from maury.training.recipe import read_recipe

MINIMAL = {
    "name": "tiny",
    "grid": "harps-small",
    "optimization": {"steps": 10},
}


def write(tmp_path, values):
    path = tmp_path / "recipe.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    "path", [item for item in (files("maury") / "recipes").iterdir() if item.name[-5:] == ".yaml"]
)
def test_recipes_of_the_package_are_valid_and_named_after_their_file(path):
    name = path.name.removesuffix(".yaml")
    assert read_recipe(name).name == name


def test_defaults_are_the_papers(tmp_path):
    recipe = read_recipe(write(tmp_path, MINIMAL))
    optimization = recipe.optimization
    assert (optimization.batch, optimization.learning_rate) == (32, 1e-4)
    assert optimization.schedule == "constant"
    assert recipe.label_set == HARPS_LABELS
    assert recipe.normalization == "mean-std"
    assert recipe.preprocessing.continuum is None


def test_overrides_reach_any_depth(tmp_path):
    path = write(tmp_path, MINIMAL)
    recipe = read_recipe(
        path,
        [
            "seed=7",
            "simulation.teff={kind: uniform, low: 5000, high: 6000}",
            "simulation.snr.kind=log-uniform",
            "simulation.snr.low=50",
            "simulation.snr.high=1e2",
            "labels=[teff]",
        ],
    )
    assert recipe.seed == 7 and recipe.labels == ("teff",)
    assert recipe.simulation.teff.high == 6000
    assert (recipe.simulation.snr.low, recipe.simulation.snr.high) == (50, 100)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimization.steps=0", "optimization.steps is 0, but it should be greater than or"),
        ("optimization.step=5", "optimization.step is not a known entry; allowed here are steps,"),
        ("optimization.schedule=linear", "schedule is 'linear', but it should be 'cosine' or"),
        ("grid=harps-tiny", "grid is 'harps-tiny', but the grids are harps, harps-small"),
        ("labels=[teff, colour]", "labels is .*, but the labels are teff, mh, logg"),
        ("labels=[teff, teff]", "each at most once"),
        ("simulation.teff={kind: uniform, low: 5, high: 4}", "simulation.teff: low must not"),
        ("simulation.teff={kind: uniform, low: 5}", "simulation.teff.high is missing"),
        ("simulation.teff={kind: gauss, low: 5}", "simulation.teff: .*'gauss'"),
        (
            "simulation.teff={kind: uniform, low: 5, high: 6, x: 1}",
            "simulation.teff.x is not a known entry; allowed here are low, high, kind",
        ),
        (
            "simulation.line_strengths.fields=[{sigma: 0.1, correlation: 20, dof: 3}]",
            "simulation.line_strengths.fields.0.dof is not a known entry; allowed here are sigma",
        ),
        ("optimization.warmup=10", "optimization.warmup must be smaller"),
        ("name=Two Words", "name is 'Two Words', but"),
        ("seed=-1", "seed is -1"),
        ("seed", "must look like"),
        ("=3", "must look like"),
        ("seed=[1", "not valid YAML"),
        ("seed.x=1", "not a known entry|valid integer"),
        ("name.x=1", "goes into 'name', which has no entries"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, override, sentence):
    path = write(tmp_path, MINIMAL)
    with pytest.raises(RecipeError, match=sentence) as caught:
        read_recipe(path, [override])
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1", "not valid YAML in line 1"),
        ("- 1\n- 2", "must be a mapping"),
        ("", "must be a mapping"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("name: x", "grid is missing"),
    ],
)
def test_files_that_are_no_recipe(tmp_path, text, sentence):
    with pytest.raises(RecipeError, match=sentence):
        read_recipe(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot be read .* or one of .*harps-small"):
        read_recipe(tmp_path / "absent.yaml")


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not a text file"):
        read_recipe(path)
