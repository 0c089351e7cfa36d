"""A network with all it needs to go from fluxes on a grid to labels in physical units, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from maury.errors import MauryError
from maury.grid import WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.downstream import LinearReadout
from maury.models.encoder import Encoder
from maury.models.latent import Output, Posterior
from maury.models.preprocessing import Preprocessing

__all__ = ["Encoding", "Network"]


class Encoding(NamedTuple):
    """What a network says about spectra.

    Attributes
    ----------
    labels : Tensor, float32[batch, label], or None
        Labels in physical units; None where an unsupervised network has no readout.
    unknown : Tensor, float32[batch, unknown]
        The unknown factors u: all nodes without supervision.
    nodes : Tensor, float32[batch, node]
        All nodes, the mean where they have a distribution; labels among them are normalised.
    log_variance : Tensor, float32[batch, node], or None
        Logarithm of the variance of the nodes of a variational network.
    """

    labels: Float[Tensor, "batch label"] | None
    unknown: Float[Tensor, "batch unknown"]
    nodes: Float[Tensor, "batch node"]
    log_variance: Float[Tensor, "batch node"] | None


class Network(nn.Module):
    r"""An encoder, a decoder, or both around a bottleneck (Sect. 2.5 of Cvrcek et al. 2024).

    An encoder alone predicts labels, a decoder alone makes spectra of them. Both together are an
    autoencoder, whose bottleneck :math:`b = (\hat l_\mathrm{LIF}, u)` has the normalised labels on
    its first nodes and unknown factors u behind them; without supervision all nodes are unknown.
    The encoder of a variational autoencoder gives a distribution for each node, from which
    `forward` draws in training. Everything that is used after training takes its mean.

    Parameters
    ----------
    grid : WavelengthGrid
        The grid of the fluxes.
    labels : LabelSet
        The labels, in the order of the nodes.
    normalizer : Normalizer
        Centre and scale of the labels.
    preprocessing : Preprocessing
        What is done to fluxes before they enter the encoder.
    encoder : Encoder, optional
        Gives the nodes of spectra; if variational their means, and log-variances behind.
    decoder : nn.Module, optional
        Gives normalised spectra of nodes.
    readout : LinearReadout, optional
        Gives labels of nodes that are unsupervised.
    variational : bool
        Whether the encoder gives a distribution.
    supervised : bool
        Whether the first nodes are the labels.

    Raises
    ------
    MauryError
        If the parts do not fit each other, the grid or the labels.

    Examples
    --------
    >>> from maury.models.decoder import CNNDecoder
    >>> grid = WavelengthGrid(start=5000.0, step=0.02, size=2**14)
    >>> labels = LabelSet.from_names(("teff", "rv"))
    >>> network = Network(
    ...     grid, labels, Normalizer((5500.0, 0.0), (1000.0, 50.0), labels.names),
    ...     Preprocessing(grid),
    ...     Encoder(pixels=grid.size, outputs=4), CNNDecoder(pixels=grid.size, inputs=4),
    ... )
    >>> flux, valid = torch.rand(3, grid.size), torch.ones(3, grid.size, dtype=torch.bool)
    >>> encoding = network.encode(flux, valid)
    >>> encoding.labels.shape, encoding.unknown.shape, network.decode(encoding.nodes).shape
    (torch.Size([3, 2]), torch.Size([3, 2]), torch.Size([3, 16384]))
    """

    def __init__(
        self,
        grid: WavelengthGrid,
        labels: LabelSet,
        normalizer: Normalizer,
        preprocessing: Preprocessing,
        encoder: Encoder | None = None,
        decoder: nn.Module | None = None,
        readout: LinearReadout | None = None,
        *,
        variational: bool = False,
        supervised: bool = True,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.labels = labels
        self.normalizer = normalizer
        self.preprocessing = preprocessing
        self.variational = variational
        self.supervised = supervised
        self.parts = nn.ModuleDict()
        counts: dict[str, float] = {}
        if encoder is not None:
            self.parts["encoder"] = encoder
            counts["encoder"] = encoder.outputs / (2 if variational else 1)
        if decoder is not None:
            self.parts["decoder"] = decoder
            counts["decoder"] = float(cast(int, decoder.inputs))
        if not counts:
            raise MauryError("A network needs an encoder or a decoder.")
        self.nodes = int(min(counts.values()))
        """Number of nodes of the bottleneck."""
        if readout is not None:
            self.parts["readout"] = readout
            counts["readout"] = float(readout.inputs)
        self._check(counts)

    def _check(self, counts: Mapping[str, float]) -> None:
        if len(set(counts.values())) > 1:
            described = ", ".join(f"{count:g} of the {name}" for name, count in counts.items())
            raise MauryError(f"The parts of a network differ in their nodes: {described}.")
        if self.normalizer.names != self.labels.names:
            raise MauryError(
                f"The normalisation is of {', '.join(self.normalizer.names)}, "
                f"but the labels are {', '.join(self.labels.names)}."
            )
        if self.supervised and self.nodes < len(self.labels):
            raise MauryError(
                f"A bottleneck of {self.nodes} nodes has no room for {len(self.labels)} labels."
            )
        if "readout" in self.parts and self.parts["readout"].outputs != len(self.labels):
            raise MauryError(
                f"The readout gives {self.parts['readout'].outputs} numbers, "
                f"but there are {len(self.labels)} labels."
            )
        for name in counts.keys() & {"encoder", "decoder"}:
            if self.parts[name].pixels != self.grid.size:
                raise MauryError(
                    f"The {name} is for {self.parts[name].pixels} pixels, "
                    f"but the grid has {self.grid.size}."
                )

    @property
    def encoder(self) -> Encoder:
        """The encoder; raises MauryError if there is none."""
        return self._part("encoder")

    @property
    def decoder(self) -> nn.Module:
        """The decoder; raises MauryError if there is none."""
        return self._part("decoder")

    def _part(self, name: str) -> Any:
        if name not in self.parts:
            raise MauryError(f"This network has no {name}, but {' and '.join(self.parts)} alone.")
        return self.parts[name]

    @property
    def unknown(self) -> int:
        """Number of nodes that are not labels."""
        return self.nodes - (len(self.labels) if self.supervised else 0)

    def forward(
        self, inputs: Float[Tensor, "batch input"], generator: torch.Generator | None = None
    ) -> Output:
        """What a loss needs, of spectra that are prepared; of normalised nodes without an encoder.

        Parameters
        ----------
        inputs : Tensor, float[batch, pixel] or float[batch, node]
            What `preprocessing` gives, or nodes of the bottleneck.
        generator : torch.Generator, optional
            Where samples of a variational network come from.
        """
        posterior, nodes = None, inputs
        if "encoder" in self.parts:
            posterior = self.posterior(inputs)
            nodes = posterior.sample(generator) if self.training else posterior.mean
        spectra = None
        if "decoder" in self.parts:
            spectra = self.decoder(nodes) - self.preprocessing.offset
        return Output(posterior, nodes, spectra)

    def posterior(self, prepared: Float[Tensor, "batch pixel"]) -> Posterior:
        """Distribution of the nodes of spectra that are prepared."""
        return Posterior.from_outputs(self.encoder(prepared), variational=self.variational)

    def encode(
        self, flux: Float[Tensor, "batch pixel"], valid: Bool[Tensor, "batch pixel"]
    ) -> Encoding:
        """Labels and unknown factors of spectra; never a sample. Differentiable.

        Parameters
        ----------
        flux : Tensor, float[batch, pixel]
            Fluxes on the grid, in any unit.
        valid : Tensor, bool[batch, pixel]
            False where there is no signal.
        """
        nodes, log_variance = self.posterior(self.preprocessing(flux.float(), valid))
        known = self.normalized_labels(nodes)
        labels = None if known is None else self.normalizer.denormalize(known)
        return Encoding(labels, nodes[:, self.nodes - self.unknown :], nodes, log_variance)

    def normalized_labels(
        self, nodes: Float[Tensor, "batch node"]
    ) -> Float[Tensor, "batch label"] | None:
        """Labels of nodes; None where an unsupervised network has no readout."""
        if self.supervised:
            return nodes[:, : len(self.labels)]
        return self.parts["readout"](nodes) if "readout" in self.parts else None

    def decode(self, nodes: Float[Tensor, "batch node"]) -> Float[Tensor, "batch pixel"]:
        """Spectra of nodes as `encode` or `intervene` give them; differentiable.

        They are normalised as `preprocessing` does it, so that the continuum is near one.
        """
        return self.decoder(nodes)

    def intervene(
        self, nodes: Float[Tensor, "batch node"], labels: Float[Tensor, "batch label"]
    ) -> Float[Tensor, "batch node"]:
        """The same nodes, but with other labels (Sect. 2.3 of Cvrcek et al. 2024).

        Without supervision they become the nearest nodes at which the readout gives these labels.

        Parameters
        ----------
        nodes : Tensor, float[batch, node]
            Nodes of the bottleneck; zeros are what describes a simulated spectrum.
        labels : Tensor, float[batch, label]
            Labels in physical units; NaN leaves a label as it is.
        """
        wanted = self.normalizer.normalize(labels).to(nodes)
        if not self.supervised:
            return self._part("readout").intervene(nodes, wanted)
        present = nodes[:, : len(self.labels)]
        wanted = torch.where(torch.isnan(wanted), present, wanted)
        return torch.cat([wanted, nodes[:, len(self.labels) :]], dim=1)

    def normalize(
        self, flux: Float[Tensor, "batch pixel"], valid: Bool[Tensor, "batch pixel"]
    ) -> Float[Tensor, "batch pixel"]:
        """Fluxes as `decode` should give them back: prepared, but with the continuum near one."""
        return self.preprocessing(flux.float(), valid) + self.preprocessing.offset

    @torch.inference_mode()
    def predict(
        self, flux: Float[Tensor, "batch pixel"], valid: Bool[Tensor, "batch pixel"]
    ) -> Float[Tensor, "batch label"]:
        """Labels in physical units.

        Parameters
        ----------
        flux : Tensor, float[batch, pixel]
            Fluxes on the grid, in any unit.
        valid : Tensor, bool[batch, pixel]
            False where there is no signal.

        Returns
        -------
        Tensor, float32[batch, label]

        Raises
        ------
        MauryError
            If the network has no encoder, or neither supervision nor a readout.
        """
        labels = self.encode(flux, valid).labels
        if labels is None:
            raise MauryError("An unsupervised network without a readout has no labels.")
        return labels

    def fit_readout(
        self,
        nodes: Float[Tensor, "spectrum node"],
        labels: Float[Tensor, "spectrum label"],
        *,
        ridge: float = 0.0,
    ) -> None:
        """Give an unsupervised network its labels by regression, see `LinearReadout.fit`.

        Parameters
        ----------
        nodes : Tensor, float[spectrum, node]
            Nodes of the training spectra.
        labels : Tensor, float[spectrum, label]
            Their labels in physical units, NaN where missing.
        ridge : float
            Penalty of the weights.
        """
        normalized = self.normalizer.normalize(labels)
        self.parts["readout"] = LinearReadout.fit(nodes, normalized, ridge=ridge)

    @torch.no_grad()
    def adopt_decoder(self, other: Network) -> None:
        """Start from the decoder of another network, as the paper's autoencoders do (Sect. 3.3).

        The other one has the same labels and may have fewer unknown factors, or none; those that it
        lacks make no difference at first.

        Raises
        ------
        MauryError
            If the decoders differ in anything but the number of unknown factors, or the networks in
            labels or normalisation.
        """
        if (self.supervised, self.normalizer) != (other.supervised, other.normalizer):
            raise MauryError("A decoder can only be adopted with its labels and normalisation.")
        theirs = other.decoder.state_dict()
        adopted = {}
        for name, tensor in self.decoder.state_dict().items():
            start = theirs.get(name, tensor.new_empty(0))
            # Layers that see the nodes have a column for each, unknown factors last.
            columns = start.ndim == tensor.ndim == 2 and start.shape[1] < tensor.shape[1]
            if start.shape != tensor.shape and not (columns and len(start) == len(tensor)):
                raise MauryError("A decoder can only be adopted by one of the same kind.")
            adopted[name] = torch.zeros_like(tensor)
            adopted[name][tuple(slice(length) for length in start.shape)] = start
        self.decoder.load_state_dict(adopted)
