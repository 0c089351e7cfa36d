"""Figures of a study, drawn from arrays at the width of a column or of a page."""

from maury.evaluation.figures.architecture import Layer, network_diagram
from maury.evaluation.figures.boxes import score_boxes
from maury.evaluation.figures.curves import Curve, label_weight_curves, score_curves
from maury.evaluation.figures.densities import label_error_densities, reconstruction_densities
from maury.evaluation.figures.kiel import kiel_diagram
from maury.evaluation.figures.residuals import residual_grid
from maury.evaluation.figures.spectra import LINES, compare_spectra, latent_traversal
from maury.evaluation.figures.style import COLUMN, PAGE, label_title, save

__all__ = [
    "COLUMN",
    "LINES",
    "PAGE",
    "Curve",
    "Layer",
    "compare_spectra",
    "kiel_diagram",
    "label_error_densities",
    "label_title",
    "label_weight_curves",
    "latent_traversal",
    "network_diagram",
    "reconstruction_densities",
    "residual_grid",
    "save",
    "score_boxes",
    "score_curves",
]
