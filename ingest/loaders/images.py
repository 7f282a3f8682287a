"""Pictures of text (PNG, JPEG, TIFF, GIF, WebP, BMP) by OCR. What stands beside the pixels (EXIF, XMP) is not text."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator

from PIL import Image, ImageOps, UnidentifiedImageError

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EmptyDocument, LimitExceeded
from ingest.loaders.ocr import MAX_SIDE, Ocr, OcrFailed, Recogniser, pgm
from ingest.loaders.reading import Reading
from ingest.loaders.text import stem
from ingest.types import Extracted, Page

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a")
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # lengths, by version
_SMALL_SIDE = 1500  # pixels: smaller pictures are doubled, since tesseract reads small letters badly
_BETWEEN_PAGES = "\n\n"
# Raised by Pillow's decoders for broken files, depending on the format.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, EOFError, struct.error)

# Pillow's own check warns at a fixed size; `_within` holds `max_megapixels` before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


def is_picture(data: bytes) -> bool:
    return data.startswith(_STARTS) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP") or _is_bmp(data)


def load(data: bytes, name: str, reading: Reading, ocr: Ocr | None = None) -> Extracted:
    """The text of each picture of a file, a page each; of an animation the first alone. `ocr`: tesseract if None.

    Raises NeedsOcr where no OCR program is there or allowed, LimitExceeded for too many or too large pictures or where
    there was no time, CorruptDocument, EmptyDocument where no picture has text.
    """
    recogniser = Recogniser(name, reading.limits, ocr)
    notes: list[str] = []
    texts: list[str] = []
    failed = 0
    try:
        # Pillow warns of damage beside the pixels, which nobody reads here.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            media_type = Image.MIME.get(picture.format or "", "application/octet-stream")
            for number, frame in enumerate(_frames(picture, name, reading.limits, notes), start=1):
                if recogniser.why_not:
                    frame.load()  # a damaged file is told as one
                    raise recogniser.refusal()
                try:
                    texts.append(recogniser.read(_grey(frame)))
                except OcrFailed as error:
                    failed += 1
                    texts.append("")
                    notes.append(f"page {number} could not be read: {error}")
    except (UnidentifiedImageError, *_BROKEN) as error:
        if not any(texts):
            raise CorruptDocument(
                f"{name}: is no picture that can be read: damaged or cut off. Save it again, then upload it."
            ) from error
        notes.append(f"what follows page {len(texts)} could not be read: damaged or cut off")
    if not any(texts):
        _refuse(name, notes, failed)
    return _pages(texts, name, media_type, notes)


def _refuse(name: str, notes: list[str], failed: int) -> None:
    if failed:
        raise LimitExceeded(f"{name}: {notes[-1]}. Upload a smaller picture, or raise `ingest.extraction.wall_s`.")
    raise EmptyDocument(f"{name}: no text was found in the picture. Upload a sharper one if there is any.")


def _pages(texts: list[str], name: str, media_type: str, notes: list[str]) -> Extracted:
    pages, offset = [], 0
    for number, text in enumerate(texts, start=1):
        pages.append(Page(number=number, start=offset))
        offset += len(text) + len(_BETWEEN_PAGES)
    return Extracted(
        text=_BETWEEN_PAGES.join(texts),
        title=stem(name),
        media_type=media_type,
        pages=tuple(pages) if len(pages) > 1 else (),
        notes=tuple(notes),
    )


def _frames(picture: Image.Image, name: str, limits: ExtractionSettings, notes: list[str]) -> Iterator[Image.Image]:
    """The pictures of a file, each within limits before it is decoded."""
    _within(picture, name, limits)
    yield picture
    if picture.format != "TIFF":
        if getattr(picture, "is_animated", False):
            notes.append("only the first picture of the animation was read")
        return
    number = 1
    while True:
        try:
            picture.seek(number)
        except EOFError:
            return
        number += 1
        if number > limits.max_pages:
            raise LimitExceeded(
                f"{name}: has more than {limits.max_pages} pages, the limit. "
                "Split it, or raise `ingest.extraction.max_pages`."
            )
        _within(picture, name, limits)
        yield picture


def _within(picture: Image.Image, name: str, limits: ExtractionSettings) -> None:
    megapixels = picture.width * picture.height / 1e6
    if megapixels > limits.max_megapixels:
        raise LimitExceeded(
            f"{name}: a picture in it has {megapixels:.1f} megapixels, the limit is {limits.max_megapixels:g}. "
            "Make it smaller, or raise `ingest.extraction.max_megapixels`."
        )


def _grey(frame: Image.Image) -> bytes:
    """The picture upright, grey, on white, and of a size that OCR reads well."""
    upright = ImageOps.exif_transpose(frame) or frame
    if upright.mode.startswith("I"):  # 16 bits and more: grey conversion would cut them off, not scale them
        low, high = (float(side[0]) if isinstance(side, tuple) else float(side) for side in upright.getextrema())
        scale = 255 / (high - low) if high > low else 1.0
        upright = upright.convert("F").point(lambda value: value * scale - low * scale)
    if upright.has_transparency_data:
        opaque = Image.new("RGBA", upright.size, "white")
        opaque.alpha_composite(upright.convert("RGBA"))
        upright = opaque
    grey = upright.convert("L")
    largest = max(grey.size)
    factor = min(1.0, MAX_SIDE / largest) if largest >= _SMALL_SIDE else 2.0
    if factor != 1.0:
        size = (max(1, round(grey.width * factor)), max(1, round(grey.height * factor)))
        grey = grey.resize(size, Image.Resampling.LANCZOS)
    return pgm(grey.tobytes(), grey.width, grey.height)


def _is_bmp(data: bytes) -> bool:
    """Told by the length of its header too: "BM" alone begins many a text."""
    return data[:2] == b"BM" and len(data) > 26 and struct.unpack_from("<I", data, 14)[0] in _BMP_HEADERS
