from core.figures.transfer import Transfer, transfer_chart
from core.metrics import Rate

NAMES = {"a": "Michels ConvNet", "b": "Michels CapsNet", "c": "CNN+R"}
CELLS = [
    Transfer(source, model, NAMES[source], NAMES[model], Rate(k, 10))
    for k, (source, model) in enumerate([(s, m) for s in "ab" for m in "abc"])
]


def test_every_cell_says_its_rate_with_its_interval(layers):
    boxes, values, intervals = layers(transfer_chart(CELLS, "CW-L2"))
    assert (
        boxes["rows"][4]["words"] == "Made on Michels CapsNet, read by Michels CapsNet: 40 % (4 of 10) fooled"
    )
    assert values["rows"][4]["value_text"] == "40 %"
    assert intervals["rows"][4]["interval_text"] == "17–69 %"
    assert boxes["encoding"]["color"]["scale"]["domain"] == [0, 1]
    assert boxes["encoding"]["x"]["sort"] == list(NAMES.values())
    assert boxes["encoding"]["y"]["sort"] == [NAMES["a"], NAMES["b"]]


def test_ink_is_told_from_the_colour_below_it(layers):
    ink = layers(transfer_chart(CELLS, "CW-L2"))[1]["encoding"]["color"]
    (bright,) = ink["condition"]
    assert "value > 0.5" in str(bright["test"])
    assert bright["value"] != ink["value"]


def test_a_click_gives_source_and_model_and_the_chosen_cell_is_framed(layers):
    chart = transfer_chart(CELLS, "CW-L2", chosen=("b", "c"))
    (param,) = chart.to_dict()["params"]
    assert param["name"] == "pair_b_c"
    assert param["select"]["fields"] == ["source", "model"]
    (framed,) = layers(chart)[-1]["rows"]
    assert (framed["source"], framed["model"]) == ("b", "c")
    assert len(layers(transfer_chart(CELLS, "CW-L2", chosen=("c", "a")))) == 3


def test_a_row_has_titles_and_the_rate():
    row = CELLS[5].record()
    assert (row["source"], row["model"], row["k"], row["n"], row["value"]) == (
        "Michels CapsNet",
        "CNN+R",
        5,
        10,
        0.5,
    )
