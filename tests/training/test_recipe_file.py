"""Recipes: what is accepted, and the sentence with which everything else is refused."""

import pytest
import yaml

from maury.errors import RecipeError
from maury.models.zoo import ZOO
from maury.training.recipe_file import read_recipe, recipe_names, sweep
from maury.training.scale import SCALES

MINIMAL = {
    "name": "mine",
    "epochs": 10,
    "model": {"name": "encoder"},
    "labels": ["teff", "rv"],
    "data": {"rate": 1},
}

# Model, nodes, labels, share of simulated exposures and of labels; Tables 4 to 7 of the paper.
TABLES = {
    "cnn-etc": ("encoder", None, 7, 1.0, 1.0),
    "cnn-mix": ("encoder", None, 6, 0.5, 1.0),
    "cnn-real": ("encoder", None, 6, 0.0, 1.0),
    "cnn-mix-1percent": ("encoder", None, 6, 0.5, 0.01),
    "cnn-real-1percent": ("encoder", None, 6, 0.0, 0.01),
    "ae-real": ("ae-resnet", 9, 7, 0.0, 1.0),
    "ae-mix": ("ae-resnet", 9, 7, 0.5, 1.0),
    "ae-real-1percent": ("ae-resnet", 9, 7, 0.0, 0.01),
    "ae-mix-1percent": ("ae-resnet", 9, 7, 0.5, 0.01),
    "info-vae-mix": ("info-vae", 32, 7, 0.5, 1.0),
    "beta-vae-cnn-unsupervised-real": ("beta-vae-cnn-unsupervised", 128, 6, 0.0, 1.0),
    "beta-vae-unsupervised-real": ("beta-vae-unsupervised", 128, 6, 0.0, 1.0),
    "info-vae-unsupervised-real": ("info-vae-unsupervised", 128, 6, 0.0, 1.0),
    "beta-vae-unsupervised-mix": ("beta-vae-unsupervised", 128, 6, 0.5, 1.0),
    "info-vae-unsupervised-mix": ("info-vae-unsupervised", 128, 6, 0.5, 1.0),
    "cnn-decoder": ("cnn-decoder", None, 7, 1.0, 1.0),
    "resnet-decoder": ("resnet-decoder", None, 7, 1.0, 1.0),
}


DRAWN = "data.simulated.distributions."


def write(tmp_path, values):
    path = tmp_path / "recipe.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("scale", SCALES)
def test_recipes_of_the_package_are_valid_at_every_scale(name, scale):
    if name == "harps-small" and scale != "small":
        pytest.skip("made for one scale")
    recipe = read_recipe(name, scale=scale)
    assert recipe.name == name
    assert recipe.settings.grid is SCALES[scale].grid
    # Pretrained decoders come from recipes of the same decoder and the same labels.
    if recipe.decoder is not None:
        first = read_recipe(recipe.decoder.run, scale=scale)
        assert first.model.model.decoder == recipe.model.model.decoder
        assert first.labels == recipe.labels
    for part, one in sweep(recipe):
        assert one.sweep == {} and (part == "") == (recipe.sweep == {})


@pytest.mark.parametrize("name", TABLES)
def test_recipes_are_the_rows_of_the_papers_tables(name):
    model, nodes, labels, rate, known = TABLES[name]
    recipe = read_recipe(f"recipes/{name}.yaml")
    assert recipe.model.name == model
    assert (recipe.model.nodes or ZOO[model].nodes) == nodes
    assert len(recipe.labels) == labels and ("pwv" in recipe.labels) == (labels == 7)
    assert (recipe.data.rate, recipe.data.observed.known) == (rate, known)
    assert recipe.optimizer.lr == (1e-3 if name == "resnet-decoder" else 1e-4)
    assert recipe.number_of_epochs == 1000
    assert recipe.training.batch == 32 and recipe.training.early_stop is None


def test_sweeps_are_those_of_the_figures():
    sizes = [7, 8, 9, 10, 11, 12, 15, 20]
    for name, zero in (("sweep-bottleneck", True), ("sweep-bottleneck-free", False)):
        runs = [one for _, one in sweep(read_recipe(name))]
        assert [one.model.nodes for one in runs] == sizes
        assert {one.data.zero_unknown for one in runs} == {zero}
    weights = [one.loss.label_weight for _, one in sweep(read_recipe("sweep-label-weight"))]
    assert (min(weights), max(weights)) == (0.01, 100)


def test_defaults_are_the_papers(tmp_path):
    recipe = read_recipe(write(tmp_path, MINIMAL))
    assert (recipe.training.batch, recipe.optimizer.lr) == (32, 1e-4)
    assert recipe.optimizer.betas == (0.9, 0.999) and recipe.optimizer.schedule == "constant"
    assert recipe.normalization == "mean-std"
    assert recipe.preprocessing.continuum is None
    assert recipe.loss.mmd_weight == 100 and recipe.loss.kl_weight == pytest.approx(32 * 1e-5)
    assert recipe.scale == "full" and recipe.settings.grid.size == 327_680
    assert recipe.steps == 10 * 1313


def test_overrides_reach_any_depth(tmp_path):
    path = write(tmp_path, MINIMAL)
    recipe = read_recipe(
        path,
        [
            "seed=7",
            "data.simulated.kind=disturbed",
            "data.simulated.distributions.teff={kind: uniform, low: 5000, high: 6000}",
            "data.simulated.distributions.snr.kind=log-uniform",
            "data.simulated.distributions.snr.low=50",
            "data.simulated.distributions.snr.high=1e2",
            "labels=[teff]",
            "optimizer.lr=1e-3",
        ],
        scale="tiny",
    )
    assert recipe.seed == 7 and recipe.labels == ("teff",) and recipe.optimizer.lr == 1e-3
    found = recipe.data.simulated.distributions
    assert found.teff.high == 6000
    assert (found.snr.low, found.snr.high) == (50, 100)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("epochs=0", "epochs is 0, but must be at least 1"),
        ("epochs={tiny: 3}", "no epochs for scale full, only for tiny"),
        ("optimizer.rate=5", "optimizer.rate is not a known entry; allowed here are lr,"),
        ("optimizer.schedule=linear", "schedule is 'linear', but it should be 'constant' or"),
        ("optimizer.warmup=1", "optimizer.warmup is 1, but it should be less than 1"),
        ("scale=huge", "scale is 'huge', but it should be 'full', 'half', 'small' or 'tiny'"),
        ("model.name=transformer", "model.name is 'transformer', but the models are encoder, cnn"),
        ("model={name: encoder, depth: 3}", "model.depth is not a known entry; allowed here are"),
        ("data.rate=1.5", "data.rate is 1.5, but"),
        ("data.observed.known=0", "data.observed.known is 0, but"),
        ("data.simulated={store: x}", "store and validation must be given together"),
        ("data.simulated.stars=3", "data.simulated.stars is not a known entry; allowed here are"),
        ("training={batch: 3, devices: 2}", "a batch of 3 cannot be shared by 2 devices"),
        ("decoder.run=resnet-decoder", "decoder is given, but encoder is no autoencoder"),
        ("training={batch: 4, devices: 2}; sweep={seed: [1]}", "a sweep runs on one device"),
        ("sweep={seed: [1], epochs: [2]}", "sweep has 2 entries, but may have one"),
        ("labels=[teff, colour]", "labels is .*, but the labels are teff, mh, logg"),
        ("labels=[teff, teff]", "each at most once"),
        (DRAWN + "teff={kind: uniform, low: 5, high: 4}", "distributions.teff: low must not"),
        (DRAWN + "teff={kind: uniform, low: 5}", "distributions.teff.high is missing"),
        (DRAWN + "teff={kind: gauss, low: 5}", "distributions.teff: .*'gauss'"),
        (
            DRAWN + "teff={kind: uniform, low: 5, high: 6, x: 1}",
            "distributions.teff.x is not a known entry; allowed here are low, high, kind",
        ),
        (
            DRAWN + "line_strengths.fields=[{sigma: 0.1, correlation: 20, dof: 3}]",
            "fields.0.dof is not a known entry; allowed here are sigma",
        ),
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
    overrides = override.split("; ")
    if override.startswith(DRAWN):
        overrides.insert(0, "data.simulated.kind=disturbed")
    with pytest.raises(RecipeError, match=sentence) as caught:
        read_recipe(path, overrides)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1", "not valid YAML in line 1"),
        ("- 1\n- 2", "must be a mapping"),
        ("", "must be a mapping"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("name: x", "epochs is missing"),
    ],
)
def test_files_that_are_no_recipe(tmp_path, text, sentence):
    with pytest.raises(RecipeError, match=sentence):
        read_recipe(write(tmp_path, text))


def test_a_decoder_alone_learns_from_simulated_exposures(tmp_path):
    with pytest.raises(RecipeError, match=r"data\.rate is 0\.5, but a decoder alone"):
        read_recipe("cnn-decoder", ["data.rate=0.5"])


def test_a_value_of_a_sweep_that_is_not_allowed_is_told(tmp_path):
    recipe = read_recipe(write(tmp_path, MINIMAL), ["sweep={optimizer.lr: [1e-3, -1]}"])
    runs = sweep(recipe)
    assert next(runs)[0] == "optimizer.lr=1e-3"
    with pytest.raises(RecipeError, match=r"optimizer\.lr is -1"):
        next(runs)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot be read .* or one of .*harps-small"):
        read_recipe(tmp_path / "absent.yaml")


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not a text file"):
        read_recipe(path)
