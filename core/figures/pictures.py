"""Pictures in a grid, with frames and captions: qin2020's Figs. 5, 7, 8, 10 and 11.

Red frames are drawn solid, green ones dashed, so that they differ without colour.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Frame = Literal["flagged", "missed"]
FRAME_COLOURS: dict[Frame, str] = {"flagged": "#C8102E", "missed": "#00863D"}
"""Flagged by the detector; misread and not flagged."""
FRAME_WORDS: dict[Frame, str] = {"flagged": "flagged", "missed": "misread and not flagged"}

INK, PAPER = "#1F2937", "#FFFFFF"
WIDTH = 3
GAP = 4
DASH = 6
PLAIN = str.maketrans({"→": ">", "–": "-", "×": "x", "≤": "<=", "ε": "eps", "β": "beta", "θ": "theta"})
"""For signs that the font which comes with Pillow has not got."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of a grid.

    Attributes:
        image: (C, H, W) with C of 1 or 3, uint8, or floats in [0, 1].
        frame: What the detector made of it; None for no frame.
        caption: A few words below it.
    """

    image: Tensor
    frame: Frame | None = None
    caption: str = ""


def frames(prediction: Tensor, label: Tensor, distance: Tensor, threshold: float) -> list[Frame | None]:
    """Which images get a frame: red where flagged, green where misread and not flagged.

    Args:
        prediction, label, distance: (N,).
        threshold: theta: larger distances are flagged.
    Source: qin2020, Figs. 7 and 8.
    """
    flagged, misread = (distance > threshold).tolist(), (prediction != label).tolist()
    return [
        "flagged" if is_flagged else "missed" if is_misread else None
        for is_flagged, is_misread in zip(flagged, misread, strict=True)
    ]


def picture_grid(
    rows: Sequence[Sequence[Picture | None]],
    *,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
    title: str = "",
    scale: int = 2,
    font_size: int = 13,
) -> Image.Image:
    """Draw pictures of one size in rows, with titles, captions, and what the frames mean.

    Args:
        rows: Equally long; None leaves a place empty.
        row_titles: On the left, one a row; none for no titles.
        column_titles: Above, one a column, on several lines where they are long; none for no titles.
        title: Above all; empty for none.
        scale: Whole factor by which pictures are enlarged.
        font_size: In pixels.
    Returns: An RGB picture on white.
    Raises: ValueError: for no pictures, rows or titles that do not match, or pictures of several sizes.
    """
    checked = _checked(rows, row_titles, column_titles)
    return _Grid(checked, row_titles, column_titles, title, scale, font_size).draw()


def grid_words(rows: Sequence[Sequence[Picture | None]], what: str) -> str:
    """A grid in a sentence, for those who do not see it.

    Args:
        what: What the pictures are: "Corrupted digits and their reconstructions".
    """
    shown = [picture for row in rows for picture in row if picture is not None]
    counts = Counter(picture.frame for picture in shown if picture.frame)
    told = [f"{counts[frame]} {words}" for frame, words in FRAME_WORDS.items() if counts[frame]]
    framed = f" {' and '.join(told)}." if told else ""
    return f"{what}: {_counted(len(shown), 'picture')} in {_counted(len(rows), 'row')}.{framed}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class _Grid:
    """Where everything is, in pixels, and the drawing of it."""

    def __init__(
        self,
        rows: Sequence[Sequence[Picture | None]],
        row_titles: Sequence[str],
        column_titles: Sequence[str],
        title: str,
        scale: int,
        font_size: int,
    ) -> None:
        self.rows, self.row_titles = rows, [words.translate(PLAIN) for words in row_titles]
        self.title = title.translate(PLAIN)
        shown = _shown(rows)
        self.font = ImageFont.load_default(font_size)
        self.small = ImageFont.load_default(max(font_size - 2, 8))
        self.line = font_size + 3
        self.height, self.width = (side * scale for side in shown[0].image.shape[-2:])
        self.pitch = self.width + 2 * (WIDTH + GAP)
        letters = max(int(self.pitch / self.font.getlength("n")), 3)
        self.heads = [wrap(words.translate(PLAIN), letters) for words in column_titles]
        self.left = GAP + max((int(self.font.getlength(t)) + 2 * GAP for t in self.row_titles), default=0)
        lines = bool(self.title) + max((len(head) for head in self.heads), default=0)
        self.top = GAP + self.line * lines
        captions = [any(picture.caption for picture in row if picture) for row in rows]
        self.row_height = [self.height + 2 * (WIDTH + GAP) + self.line * told for told in captions]
        # Both, though but one of them is there: else nobody knows what the other would have looked like.
        self.key: list[Frame] = list(FRAME_WORDS) if any(picture.frame for picture in shown) else []

    def draw(self) -> Image.Image:
        """The picture."""
        key_width = sum(30 + int(self.font.getlength(FRAME_WORDS[frame])) + 20 for frame in self.key)
        width = max(self.left + self.pitch * len(self.rows[0]), self.left + key_width) + GAP
        below = self.line + 2 * GAP if self.key else GAP
        sheet = Image.new("RGB", (width, self.top + sum(self.row_height) + below), PAPER)
        pen = ImageDraw.Draw(sheet)
        pen.text((self.left + GAP + WIDTH, GAP), self.title, INK, self.font)
        for column, head in enumerate(self.heads):
            middle = self.left + self.pitch * column + self.pitch // 2
            for number, words in enumerate(head):
                y = self.top - self.line * (len(head) - number)
                pen.text((middle, y), words, INK, self.font, anchor="ma")
        y = self.top
        for number, row in enumerate(self.rows):
            if self.row_titles:
                middle = y + WIDTH + GAP + self.height // 2
                pen.text((self.left - 2 * GAP, middle), self.row_titles[number], INK, self.font, anchor="rm")
            for column, picture in enumerate(row):
                if picture is not None:
                    self._picture(sheet, pen, picture, self.left + self.pitch * column, y)
            y += self.row_height[number]
        self._key(pen, y + GAP)
        return sheet

    def _picture(
        self, sheet: Image.Image, pen: ImageDraw.ImageDraw, picture: Picture, x: int, y: int
    ) -> None:
        corner = (x + GAP + WIDTH, y + GAP + WIDTH)
        drawn = Image.fromarray(_levels(picture.image)).convert("RGB")
        sheet.paste(drawn.resize((self.width, self.height), Image.Resampling.NEAREST), corner)
        right, bottom = corner[0] + self.width, corner[1] + self.height
        if picture.frame:
            _frame(pen, (corner[0] - WIDTH, corner[1] - WIDTH, right + WIDTH, bottom + WIDTH), picture.frame)
        if picture.caption:
            place = ((corner[0] + right) // 2, bottom + WIDTH + 2)
            pen.text(place, picture.caption.translate(PLAIN), INK, self.small, anchor="ma")

    def _key(self, pen: ImageDraw.ImageDraw, y: int) -> None:
        x = self.left
        for frame in self.key:
            _frame(pen, (x, y, x + 24, y + self.line), frame)
            pen.text((x + 30, y + self.line // 2), FRAME_WORDS[frame], INK, self.font, anchor="lm")
            x += 30 + int(self.font.getlength(FRAME_WORDS[frame])) + 20


def _checked(
    rows: Sequence[Sequence[Picture | None]], row_titles: Sequence[str], column_titles: Sequence[str]
) -> Sequence[Sequence[Picture | None]]:
    shown = _shown(rows)
    sizes = {tuple(picture.image.shape[-2:]) for picture in shown}
    if len(sizes) != 1 or len({len(row) for row in rows}) != 1:
        raise ValueError(
            f"expected pictures of one size in rows of one length, got sizes {sorted(sizes)} and lengths "
            f"{[len(row) for row in rows]}; fill short rows with None"
        )
    for name, titles, count in (("rows", row_titles, len(rows)), ("columns", column_titles, len(rows[0]))):
        if titles and len(titles) != count:
            raise ValueError(
                f"expected a title for each of {count} {name}, got {len(titles)}; give all or none"
            )
    return rows


def _shown(rows: Sequence[Sequence[Picture | None]]) -> list[Picture]:
    return [picture for row in rows for picture in row if picture is not None]


def _levels(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """8-bit levels as Pillow takes them: (H, W), or (H, W, 3)."""
    array = image.detach().cpu().numpy()
    if image.is_floating_point():
        array = (array.clip(0, 1) * 255).round()
    array = array.astype(np.uint8)
    return array[0] if len(array) == 1 else array.transpose(1, 2, 0)


def _frame(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], frame: Frame) -> None:
    """A solid or dashed frame just inside a box whose right and lower edges do not belong to it."""
    left, top, right, bottom = box
    if frame == "flagged":
        pen.rectangle((left, top, right - 1, bottom - 1), outline=FRAME_COLOURS[frame], width=WIDTH)
        return
    for start, end in _dashes(left, right):
        pen.rectangle((start, top, end, top + WIDTH - 1), fill=FRAME_COLOURS[frame])
        pen.rectangle((start, bottom - WIDTH, end, bottom - 1), fill=FRAME_COLOURS[frame])
    for start, end in _dashes(top, bottom):
        pen.rectangle((left, start, left + WIDTH - 1, end), fill=FRAME_COLOURS[frame])
        pen.rectangle((right - WIDTH, start, right - 1, end), fill=FRAME_COLOURS[frame])


def _dashes(start: int, end: int) -> Iterator[tuple[int, int]]:
    """First and last pixel of the dashes of a line; the first and last dash reach its ends."""
    count = max((end - start) // (2 * DASH), 1)
    step = (end - start - DASH) / count
    for number in range(count + 1):
        place = start + round(number * step)
        yield place, min(place + DASH, end) - 1
