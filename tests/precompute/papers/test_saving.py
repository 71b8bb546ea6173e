import io
from xml.etree import ElementTree

import torch
from PIL import Image

from core.figures.pictures import Picture, picture_grid
from precompute.papers import PAPERS, Drawing, Panel, csv_text, png, svg

SVG = "{http://www.w3.org/2000/svg}"


def size(data):
    return Image.open(io.BytesIO(data)).size


def test_charts_side_by_side(results):
    drawing = PAPERS["qin2020"].figures[0].draw(results)
    alone = Drawing(drawing.panels[:1], drawing.rows)
    two = Drawing(drawing.panels[:2], drawing.rows)
    assert size(png(two))[0] > 1.8 * size(png(alone))[0]
    root = ElementTree.fromstring(svg(two))
    told = "".join(root.itertext())
    assert root.tag == f"{SVG}svg"
    assert "(a) CapsNet" in told
    assert "(b) CapsNet" in told


def test_charts_with_selections_can_be_saved_together():
    from core.figures.matrix import matrix_chart
    from core.figures.pairs import pair_table

    source, target = torch.tensor([0, 1]), torch.tensor([1, 0])
    cells = pair_table(source, target, torch.tensor([True, False]), ("a", "b"))
    panel = Panel(matrix_chart(cells, ("a", "b"), "CapsNet", "Success rate"), "words")
    assert size(png(Drawing((panel, panel), ())))[0] > 1000


def test_pictures_side_by_side():
    image = torch.zeros(1, 4, 4)
    grid = picture_grid([[Picture(image)]])
    drawing = Drawing((Panel(grid, "left <one>"), Panel(grid, "right")), ())
    assert size(png(drawing)) == (2 * grid.width + 24, grid.height)
    root = ElementTree.fromstring(svg(drawing))
    assert root.find(f"{SVG}title").text == "left <one> right"
    assert root.find(f"{SVG}image").get("href").startswith("data:image/png;base64,")


def test_rows_as_text():
    assert csv_text([{"a": 1, "b": "x,y"}, {"a": 2.5, "b": None}]) == 'a,b\n1,"x,y"\n2.5,\n'
    assert csv_text([]) == ""
