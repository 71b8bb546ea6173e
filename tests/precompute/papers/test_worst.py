from precompute.papers import PAPERS, report_rows, with_worst
from precompute.papers.worst import WORST_BETA, WORST_IMAGE


def test_both_worst_cases_follow_their_number_with_the_images_of_the_sweep(results):
    rows = with_worst(report_rows(PAPERS["qin2020"], results), results)
    at = next(
        n
        for n, row in enumerate(rows)
        if (row["table"], row["model"], row["mode"], row["metric"])
        == ("3", "capsnet", "targeted", "undetected_rate")
    )
    number, single, image = rows[at : at + 3]
    assert (number["beta"], single["metric"], image["metric"]) == (None, WORST_BETA, WORST_IMAGE)
    # 10 of 100 at 0.25, 40 at 0.5; at the best beta for each image 45.
    assert (single["beta"], single["ours"], single["low"], single["high"]) == (0.5, 40.0, 30.0, 50.0)
    assert (image["beta"], image["ours"], image["n"]) == (None, 45.0, 100)
    assert number["published"] == single["published"] == image["published"] == 33.7


def test_other_numbers_have_no_worst_case(results):
    numbers = report_rows(PAPERS["qin2020"], results)
    rows = with_worst(numbers, results)
    # R-PGD, targeted, on MNIST, three models, in Tables 3 and 6: not in Table 7, which is a black box.
    extra = [row for row in rows if row["metric"] in (WORST_BETA, WORST_IMAGE)]
    assert len(rows) - len(numbers) == len(extra) == 3 * 2 * 2
    assert {(row["table"], row["attack"], row["mode"]) for row in extra} == {
        ("3", "r-pgd", "targeted"), ("6", "r-pgd", "targeted"),
    }  # fmt: skip
    assert [{**row, "beta": None} for row in numbers] == [row for row in rows if row not in extra]
