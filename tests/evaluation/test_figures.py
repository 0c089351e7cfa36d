"""Figures show what they were given, at the width that was asked for, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.text import Text
from PIL import Image

from maury.errors import MauryError, TargetError
from maury.evaluation import figures
from maury.evaluation.figures import Curve, Layer
from maury.evaluation.figures.style import STYLE, line_styles
from maury.figures import Region

RNG = np.random.default_rng(6)
WAVELENGTH = np.arange(5100.0, 6000.0, 0.2)


def flux(depth: float = 0.5) -> np.ndarray:
    """A spectrum with the lines of Mg b and Na D."""
    lines = [line for region in figures.LINES for line in region.lines]
    depths = [depth * np.exp(-((WAVELENGTH - line) ** 2)) for line in lines]
    return 1 - np.sum(depths, axis=0)


def kiel() -> Figure:
    teff = RNG.normal(5500, 400, 60)
    mh = np.where(np.arange(60) < 10, np.nan, RNG.normal(0, 0.2, 60))
    return figures.kiel_diagram(teff, RNG.normal(4.4, 0.1, 60), mh)


def residuals(count: int, models: tuple[str, ...] = ("good", "fair", "bad")) -> Figure:
    true = {"teff": RNG.normal(5500, 300, count), "mh": RNG.normal(0, 0.2, count)}
    width = {"good": 0.01, "fair": 0.02, "bad": 1.0}
    found = {
        model: {
            label: values + width[model] * np.std(values) * RNG.normal(size=count)
            for label, values in true.items()
        }
        for model in models
    }
    true["mh"][:5] = np.nan
    return figures.residual_grid(true, found)


FIGURES: dict[str, Callable[[], Figure]] = {
    "kiel": kiel,
    "errors": lambda: figures.kiel_diagram(
        RNG.normal(5500, 400, 60),
        RNG.normal(4.4, 0.1, 60),
        RNG.exponential(50, 60),
        figures.label_title("teff", r"$|\Delta$", "$|$"),
        marginals=False,
        logarithmic=True,
    ),
    "curves": lambda: figures.score_curves(
        {"AE": Curve([9, 7, 12], [1.0, 2.0, 3.0], [0.1, 0.1, 0.1]), "empty": Curve([7], [np.nan])}
    ),
    "weights": lambda: figures.label_weight_curves(
        *[Curve([0.1, 1, 10], RNG.random(3)) for _ in range(3)]
    ),
    "densities": lambda: figures.label_error_densities(
        {"teff": {"a": RNG.random(50), "b": RNG.random(50)}, "airmass": {"a": [np.nan]}}
    ),
    "reconstruction": lambda: figures.reconstruction_densities({"a": RNG.random(50)}),
    "points": lambda: residuals(50),
    "cells": lambda: residuals(1500),
    "boxes": lambda: figures.score_boxes(
        {
            "mh": {"a": {"GIS": RNG.gamma(2, 0.004, 20), "true GIS": RNG.gamma(2, 0.004, 20)}},
            "teff": {"a": {}, "b": {"GIS": RNG.gamma(2, 0.004, 20)}},
            "logg": {"a": {"GIS": RNG.gamma(2, 0.004, 20)}, "b": {}},
        },
        "difference of flux",
        logarithmic=True,
    ),
    "spectra": lambda: figures.compare_spectra(WAVELENGTH, {"observed": flux(), "AE": flux(0.4)}),
    "traversal": lambda: figures.latent_traversal(
        WAVELENGTH, [flux(d) for d in (0.2, 0.3, 0.4)], [4000, 5000, 6000], "teff"
    ),
    "network": lambda: figures.network_diagram(
        [Layer(f"layer {i}", 2**i, 1 << (20 - i), 10**i // 2) for i in range(8)] * 3, "net"
    ),
}


@pytest.fixture(scope="module", params=FIGURES)
def drawn(request: pytest.FixtureRequest) -> Figure:
    """Each figure, drawn."""
    figure = FIGURES[request.param]()
    with mpl.rc_context(STYLE):
        figure.canvas.draw()
    return figure


def test_every_figure_is_as_wide_as_a_column_or_a_page_and_has_no_text_below_7_points(
    drawn: Figure,
) -> None:
    assert drawn.get_figwidth() in (figures.COLUMN, figures.PAGE)
    ink = np.asarray(drawn.canvas.buffer_rgba())[..., :3].mean(axis=-1) < 250
    assert 0.005 < ink.mean() < 0.8
    assert not ink[[0, -1]].any()
    assert not ink[:, [0, -1]].any()
    sizes = [text.get_fontsize() for text in drawn.findobj(Text) if text.get_text()]
    assert min(sizes) >= 7


def test_no_two_numbers_on_an_axis_overlap(drawn: Figure) -> None:
    for axes in drawn.axes:
        for axis, along in ((axes.xaxis, "x"), (axes.yaxis, "y")):
            texts = [t for t in axis.get_ticklabels(which="both") if t.get_text()]
            boxes = sorted(
                (getattr(t.get_window_extent(), f"interval{along}") for t in texts), key=min
            )
            for first, second in pairwise(boxes):
                assert max(first) <= min(second) + 1


def test_a_figure_is_written_with_200_dots_an_inch_and_as_pdf_into_a_new_folder(
    tmp_path: Path,
) -> None:
    png, pdf = figures.save(FIGURES["network"](), tmp_path / "new", "network")
    assert sorted(png.parent.iterdir()) == [pdf, png]
    assert (png.name, pdf.name) == ("network.png", "network.pdf")
    with Image.open(png) as image:
        assert image.width == round(200 * figures.PAGE)
    assert pdf.read_bytes().startswith(b"%PDF")


def test_the_same_figure_gives_the_same_bytes_without_a_date(tmp_path: Path) -> None:
    def draw(folder: str) -> list[bytes]:
        curves = {"AE": Curve([7, 8, 9], [3.0, 2.0, 2.5])}
        paths = figures.save(figures.score_curves(curves), tmp_path / folder, "figure")
        return [path.read_bytes() for path in paths]

    first, second = draw("a"), draw("b")
    assert first == second
    assert b"CreationDate" not in first[1]


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    figures.save(kiel(), tmp_path, "kiel")
    assert dict(mpl.rcParams) == before


def test_a_figure_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    figure = figures.network_diagram([Layer("linear", 1, 9, 10)])
    with pytest.raises(TargetError, match=r"cannot be written"):
        figures.save(figure, tmp_path / "file", "net")
    with pytest.raises(MauryError, match=r"cannot be called '\.\./net'"):
        figures.save(figure, tmp_path, "../net")


def test_stars_without_metallicity_are_black_and_counted() -> None:
    axes = kiel().axes[0]
    black, coloured = axes.collections
    assert len(black.get_offsets()) == 10
    assert np.all(black.get_facecolor()[:, :3] == 0)
    assert len(coloured.get_offsets()) == 50
    assert "unknown (10 of 60)" in axes.texts[0].get_text()
    assert axes.xaxis_inverted()
    assert axes.yaxis_inverted()


def test_stars_without_gravity_are_left_out_of_a_kiel_diagram() -> None:
    figure = figures.kiel_diagram([5000, 6000, 5500], [4.5, np.nan, 4.4], [0.1, 0.2, 0.3])
    assert len(figure.axes[0].collections[0].get_offsets()) == 2
    with pytest.raises(MauryError, match="nothing to draw"):
        figures.kiel_diagram([5000], [np.nan], [0.1])


def test_curves_run_from_left_to_right_and_their_minimum_is_ringed() -> None:
    axes = FIGURES["curves"]().axes[0]
    rings = [line for line in axes.lines if line.get_fillstyle() == "none"]
    assert [(ring.get_xdata()[0], ring.get_ydata()[0]) for ring in rings] == [(9.0, 1.0)]
    assert list(axes.containers[0].lines[0].get_xdata()) == [7, 9, 12]
    assert list(axes.get_xticks()) == [7, 9, 12]


def test_where_several_trials_were_made_the_line_goes_through_the_best() -> None:
    curve = Curve([8, 7, 8, 7], [2.0, 5.0, 1.0, 4.0])
    others, line = figures.score_curves({"trials": curve}).axes[0].lines[:2]
    np.testing.assert_equal(others.get_xydata(), [[7, 5], [8, 2]])
    np.testing.assert_equal(line.get_xydata(), [[7, 4], [8, 1]])


@pytest.mark.parametrize("length", [3, 20, 45])
def test_legends_fit_into_the_figure_however_long_the_names_are(length: int) -> None:
    errors = {f"{i} {'x' * length}": RNG.random(9) for i in range(9)}
    figure = figures.reconstruction_densities(errors)
    figure.canvas.draw()
    (legend,) = figure.legends
    extent = legend.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.x1


def test_curves_tell_which_point_a_logarithmic_axis_cannot_show() -> None:
    with pytest.raises(MauryError, match="'AE' has a point at 0"):
        figures.score_curves({"AE": Curve([0, 1], [1, 1])}, logarithmic=True)
    with pytest.raises(MauryError, match="No curve has a finite point"):
        figures.score_curves({"AE": Curve([1], [np.nan])})


def test_reconstruction_has_its_own_axis_beside_that_of_label_errors() -> None:
    left, right = FIGURES["weights"]().axes
    assert len(left.containers) == 2
    assert len(right.containers) == 1
    assert left.get_xscale() == "log"
    assert left.get_ylabel() != right.get_ylabel()


def test_densities_hold_all_the_probability_between_their_ends() -> None:
    values = np.abs(RNG.normal(size=5000))
    axes = figures.reconstruction_densities({"a": values}).axes[0]
    x, y = axes.lines[0].get_data()
    assert np.trapezoid(y, x) == pytest.approx(0.98, abs=0.06)
    assert x[0] == pytest.approx(np.percentile(values, 1))


def test_a_model_that_is_far_worse_does_not_squeeze_the_others() -> None:
    errors = {name: RNG.random(100) for name in "abc"} | {"bad": 100 * RNG.random(100)}
    axes = figures.label_error_densities({"teff": errors}).axes[0]
    assert axes.get_xlim()[1] < 3
    assert len(axes.lines) == 4


def test_residuals_outside_of_a_panel_are_counted() -> None:
    true = {"teff": np.linspace(5000, 6000, 100)}
    off = {name: {"teff": true["teff"] + RNG.normal(0, 10, 100)} for name in "ab"}
    off["far"] = {"teff": true["teff"] + 1e5}
    panels = figures.residual_grid(true, off).axes
    assert len(panels) == 3
    assert panels[2].texts[0].get_text() == "100 outside"
    assert panels[0].get_ylim() == panels[2].get_ylim()
    shown = np.asarray(panels[0].collections[0].get_offsets())
    np.testing.assert_allclose(shown[:, 1], off["a"]["teff"] - true["teff"])


def test_many_spectra_are_counted_in_cells_that_hold_them_all() -> None:
    figure = residuals(1500, ("good",))
    mesh = figure.axes[0].collections[0]
    inside = 1500 - sum(int(re.findall(r"\d+", t.get_text())[0]) for t in figure.axes[0].texts)
    assert mesh.get_array().sum() == inside


def test_residuals_of_another_number_of_spectra_are_refused() -> None:
    with pytest.raises(MauryError, match=r"'AE' has 2 predictions of label 'rv' for 3 spectra"):
        figures.residual_grid({"rv": [1, 2, 3]}, {"AE": {"rv": [1, 2]}})
    with pytest.raises(MauryError, match=r"'AE' has no predictions of label 'rv'"):
        figures.residual_grid({"rv": [1, 2, 3]}, {"AE": {}})


def test_boxes_span_the_quartiles_of_the_scores() -> None:
    scores = RNG.random(101)
    axes = figures.score_boxes({"rv": {"AE": {"RVIS": scores}}}, "RVIS").axes[0]
    (box,) = axes.findobj(PathPatch)
    x = box.get_path().vertices[:, 0]
    assert [x.min(), x.max()] == pytest.approx(list(np.percentile(scores, (25, 75))))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["AE"]


def test_windows_that_the_grid_lacks_are_left_out_and_named() -> None:
    figure = FIGURES["spectra"]()
    assert [axes.get_title() for axes in figure.axes[:2]] == ["Mg b", "Na D"]
    assert figure.get_supxlabel().endswith(r"not covered: Ca II H and K, H$\alpha$")
    spectra = {"observed": flux(), "AE": flux()}
    with pytest.raises(MauryError, match=r"none of the windows far \(9000-9100 Å\)"):
        figures.compare_spectra(WAVELENGTH, spectra, [Region("far", 9000, 9100, ())])


def test_below_spectra_stands_their_difference_from_the_first() -> None:
    figure = FIGURES["spectra"]()
    below = figure.axes[2].lines[0]
    inside = (WAVELENGTH >= 5155) & (WAVELENGTH <= 5195)
    np.testing.assert_allclose(below.get_ydata(), (flux(0.4) - flux())[inside], atol=1e-12)


def test_no_line_is_drawn_over_a_gap_of_the_grid() -> None:
    kept = (WAVELENGTH < 5170) | (WAVELENGTH > 5175)
    spectra = {"observed": flux()[kept], "AE": flux(0.4)[kept]}
    figure = figures.compare_spectra(WAVELENGTH[kept], spectra)
    x = figure.axes[0].lines[0].get_xdata()
    (gap,) = np.flatnonzero(np.isnan(x))
    assert x[gap - 1] < 5170 < 5175 < x[gap + 1]


def test_a_traversal_colours_each_spectrum_by_its_value() -> None:
    figure = FIGURES["traversal"]()
    colours = [line.get_color() for line in figure.axes[0].lines[:3]]
    np.testing.assert_allclose(colours, mpl.colormaps["viridis"]([0.0, 0.5, 1.0]), atol=0.01)
    assert figure.axes[-1].get_ylabel() == r"$T_\mathrm{eff}$ (K)"
    with pytest.raises(MauryError, match=r"shape \(2, 4500\), not \(3, 4500\)"):
        figures.latent_traversal(WAVELENGTH, [flux()] * 3, [1, 2], "teff")


def test_boxes_of_a_network_fall_with_the_length_of_the_output() -> None:
    figure = FIGURES["network"]()
    boxes = figure.axes[0].findobj(lambda a: isinstance(a, Rectangle) and a.get_width() != 1)
    heights = [box.get_height() for box in boxes[:8]]
    widths = [box.get_width() for box in boxes[:8]]
    assert heights == sorted(heights, reverse=True)
    assert widths == sorted(widths)
    assert figure.get_suptitle() == f"net: {3 * sum(10**i // 2 for i in range(8)):,} trained values"
    assert len(figure.axes) == 2


def test_a_network_with_an_empty_output_is_refused() -> None:
    with pytest.raises(MauryError, match="'conv' has an output without any value"):
        figures.network_diagram([Layer("conv", 0, 10, 1)])


def test_forty_nine_names_can_be_told_apart() -> None:
    styles = line_styles([str(i) for i in range(49)])
    assert len({(s["color"], str(s["linestyle"])) for s in styles.values()}) == 49
