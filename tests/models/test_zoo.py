"""The named models against Table 9."""

import pytest
import torch

from maury.errors import MauryError
from maury.grid import HARPS
from maury.labels import HARPS_LABELS, LabelSet, Normalizer
from maury.models.zoo import ZOO, build

NORMALIZER = Normalizer((0.0,) * 6, (1.0,) * 6, HARPS_LABELS.names)


def make(name, **changes):
    with torch.device("meta"):
        return build(name, grid=HARPS, labels=HARPS_LABELS, normalizer=NORMALIZER, **changes)


# The bottleneck is the column of that name. The authors' autoencoder is a variational one whose
# divergence has no weight: its 13.3 million count 92,169 of log-variances. Ours has none.
TABLE_9 = [
    ("beta-vae-cnn-unsupervised", {}, 128, 7.0),
    ("info-vae", {}, 32, 14.0),
    ("ae-resnet", {"variational": True}, 9, 13.3),
    ("ae-resnet", {}, 9, 13.2),
    ("encoder", {}, 6, 1.5),
    ("cnn-decoder", {}, 6, 1.7),
    ("resnet-decoder", {}, 6, 11.6),
]


@pytest.mark.parametrize(("name", "changes", "bottleneck", "millions"), TABLE_9)
def test_parameter_counts_are_those_of_table_9(name, changes, bottleneck, millions):
    network = make(name, **changes)
    assert network.nodes == bottleneck
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("name", ZOO)
def test_every_model_serves_the_full_grid(name):
    network = make(name)
    if ZOO[name].decoder is not None:
        assert network.decoder.pixels == HARPS.size
    assert (network.unknown == network.nodes) == (not ZOO[name].supervised)


def test_entries_can_be_changed_and_decoders_set():
    network = make("ae-cnn", nodes=12, decoder="doppler-decoder", decoder_settings={"degree": 3})
    assert network.unknown == 6 and network.decoder.hyperparameters["degree"] == 3


def test_mistakes_are_told_in_a_sentence():
    with pytest.raises(MauryError, match=r"'transformer'; the models are encoder, .*\.$"):
        make("transformer")
    with pytest.raises(MauryError, match="'encoder' has no entry 'depth'"):
        make("encoder", depth=3)
    with pytest.raises(MauryError, match="No decoder is called 'gan'; there are cnn-decoder,"):
        make("ae-cnn", decoder="gan")
    with pytest.raises(MauryError, match=r"cannot be made with \{'width': 3\}"):
        make("cnn-decoder", decoder_settings={"width": 3})
    with pytest.raises(MauryError, match="needs the label 'rv'"):
        make("ae-doppler", supervised=False)
    with pytest.raises(MauryError, match="no room for 6 labels"):
        make("ae-cnn", nodes=5)
    with pytest.raises(MauryError, match="normalisation is of"):
        build("encoder", grid=HARPS, labels=LabelSet.from_names(["rv"]), normalizer=NORMALIZER)
