"""PDF files drawn by hand, pictures, and an OCR program that knows its answers."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from documents import pdf_file
from PIL import Image


def drawn(
    content: str, *, page: str = "", resources: str = "", catalog: str = "", objects: Sequence[str] = ()
) -> bytes:
    """A PDF of one page with this content stream; F1 is Helvetica, F2 bold. `objects` are numbered from 7.

    `page`, `resources`, and `catalog` are entries of these dictionaries, such as `/Rotate 90`.
    """
    media = "" if "/MediaBox" in page else "/MediaBox [0 0 612 792]"
    bodies = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R {media} /Contents 4 0 R {page} "
        f"/Resources << /Font << /F1 5 0 R /F2 6 0 R >> {resources} >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
        *objects,
    ]
    return pdf_file(bodies, "/Root 1 0 R")


def shown(text: str, x: float, y: float, *, size: float = 12, font: str = "F1", how: str = "") -> str:
    """Operators that show one line with its baseline at (x, y); `how` goes before, such as `1 g` for white."""
    return f"q {how} BT /{font} {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET Q "


def scan() -> tuple[str, list[str]]:
    """Resources and objects for a page that `q 612 0 0 792 0 0 cm /Im Do Q` covers with a grey picture."""
    pixels = "ccff" * 8
    body = (
        "<< /Type /XObject /Subtype /Image /Width 4 /Height 4 /ColorSpace /DeviceGray /BitsPerComponent 8 "
        f"/Filter /ASCIIHexDecode /Length {len(pixels) + 1} >>\nstream\n{pixels}>\nendstream"
    )
    return "/XObject << /Im 7 0 R >>", [body]


COVERING = "q 612 0 0 792 0 0 cm /Im Do Q "


def picture(form: str, *, size: tuple[int, int] = (40, 30), frames: int = 1, mode: str = "L") -> bytes:
    """A picture file of the format that Pillow calls `form`; the frames differ."""
    pictures = [Image.new(mode, size, 255 - 20 * number) for number in range(frames)]
    stream = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(stream, form, **more)
    return stream.getvalue()


@dataclass
class ScriptedOcr:
    """Gives its answers in turn; an exception among them is raised. `pictures` are those it was asked to read."""

    answers: list[str | Exception] = field(default_factory=list)
    missing: str | None = None
    pictures: list[bytes] = field(default_factory=list)

    def why_not(self) -> str | None:
        return self.missing

    def read(self, picture: bytes, timeout_s: float) -> str:
        assert timeout_s > 0
        self.pictures.append(picture)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def locked(text: str, password: str) -> bytes:
    """A PDF that the password opens, encrypted by the oldest of the standard ways (ISO 32000-1, 7.6.3: V 1, R 2)."""
    padded = (password.encode() + _PADDING)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    key = hashlib.md5(padded + owner + (-4).to_bytes(4, "little", signed=True) + b"id").digest()[:5]
    user = _rc4(key, _PADDING)
    content = _rc4(hashlib.md5(key + (4).to_bytes(3, "little") + bytes(2)).digest()[:10], shown(text, 72, 700).encode())
    encrypt = f"<< /Filter /Standard /V 1 /R 2 /O <{owner.hex()}> /U <{user.hex()}> /P -4 >>"
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content.decode('latin-1')}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        encrypt,
    ]
    return pdf_file(bodies, "/Root 1 0 R /Encrypt 6 0 R /ID [<6964><6964>]")


def _rc4(key: bytes, data: bytes) -> bytes:
    box = list(range(256))
    j = 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) % 256
        box[i], box[j] = box[j], box[i]
    result, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + box[i]) % 256
        box[i], box[j] = box[j], box[i]
        result.append(byte ^ box[(box[i] + box[j]) % 256])
    return bytes(result)
