"""Bytes to characters, for text of any common encoding. What is no text is refused, and so is what can't be told."""

from __future__ import annotations

import codecs
import re

import chardet

from ingest.errors import UnsupportedFormat

# The UTF-32 marks come first: the little-endian one begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What files on disks are written in. Mainframe encodings are left out: any bytes are letters in one of them.
# fmt: off
_GUESSED = (
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9", "iso8859-13",
    "iso8859-15", "koi8-r", "koi8-u", "cp437", "cp850", "cp852", "cp866", "mac-roman", "mac-cyrillic", "cp874",
    "tis-620", "shift_jis", "cp932", "euc-jp", "gb18030", "big5", "big5hkscs", "euc-kr", "cp949",
)
_ESCAPED = ("iso2022-jp", "iso2022-kr")  # seven bits, so valid UTF-8 too, were it not for escape characters
# fmt: on
_ESCAPES = (b"\x1b$", b"\x1b(J")
# Chosen on 300 texts of 25 languages in 40 encodings, of 20 to 1000 characters: right guesses have 0.07 and more, those
# on random bytes less than 0.06. Where most bytes are above 127, right ones have 0.11 and more.
_MIN_CONFIDENCE = 0.06
_MIN_CONFIDENCE_MOSTLY_HIGH = 0.1
_MIN_CONFIDENCE_ONE_HIGH = 0.15  # of Western text with a single byte above 127
# East Asian text of few words, such as a table of names: the first bytes of the characters that are in daily use.
_MIN_CONFIDENCE_EAST_ASIAN = 0.02
_DAILY_USE = {
    "cp932": (0x81, 0x97),
    "shift_jis": (0x81, 0x97),
    "euc-jp": (0xA1, 0xCF),
    "gb18030": (0xA1, 0xD7),
    "big5": (0xA1, 0xC6),
    "big5hkscs": (0xA1, 0xC6),
    "euc-kr": (0xA1, 0xC8),
    "cp949": (0xA1, 0xC8),
}
_MIN_DAILY_SHARE = 0.9
# Western European prose has a few per cent of bytes above 127; Cyrillic, Greek or Japanese has mostly those.
_MAX_WESTERN_SHARE = 0.3
_HIGH = re.compile(b"[\x80-\xff]")
_SAMPLE = 100_000  # bytes or characters that are looked at
_BEFORE = 1000  # of them in front of the first byte above 127

# What pages and messages call their encoding, in bytes that are ASCII so far. Not UTF-16 then, nor one of Python's
# codecs that are no encodings.
_LABEL = re.compile(
    r"utf-?8|us-ascii|(?:x-)?iso[-_]?8859-\d+(?:-[ei])?|latin\d+|windows-\d+|cp-?\d+|koi8-[ru]|big5(?:-hkscs)?|gb\w+"
    r"|euc-\w+|ks_c_5601-1987|(?:x-)?shift[-_]jis|(?:x-)?sjis|iso-2022-(?:jp|kr)|tis-620|(?:x-)?mac\w*",
    re.I,
)
# Browsers read these labels as the Windows code pages that contain them (WHATWG Encoding Standard, 4.2).
_SUPERSETS = {
    "iso-8859-1": "cp1252",
    "us-ascii": "cp1252",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "gb2312": "gbk",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-8859-9": "cp1254",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "windows-874": "cp874",
    "windows-932": "cp932",
    "windows-936": "gbk",
    "windows-949": "cp949",
    "windows-950": "cp950",
    "x-mac-roman": "mac-roman",
}

_BINARY_CONTROLS = re.compile("[\x01-\x07\x0e-\x1a\x1c-\x1f]")
_MAX_CONTROL_SHARE = 0.01
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# Controls that text does not have, private use, and what is no character.
_UNLIKELY = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff]")
_SCRIPTS = (
    "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f",
    "\u0370-\u03ff",
    "\u0400-\u052f",
    "\u0590-\u05ff",
    "\u0600-\u06ff",
    "\u2500-\u259f",  # frames: in tables of old texts, not within words
)
# A letter next to one of another script: text has next to none, text in another encoding than taken for has many.
_MIXED = re.compile("|".join(f"[{one}](?=[{''.join(set(_SCRIPTS) - {one})}])" for one in _SCRIPTS))
_MAX_MIXED_SHARE = 0.1
_MIN_UTF_16_NULS = 0.9
_HANGUL = re.compile("[\uac00-\ud7a3]")
_HAN_OR_KANA = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uff01-\uff60]")
_EAST_ASIAN_COMMON = re.compile("[\u3001\u3002\u3040-\u30ff\uff01-\uff60 \n]")
_MIN_EAST_ASIAN_SHARE = 0.8
_MIN_COMMON_SHARE = 0.03


def decode(data: bytes, name: str) -> str:
    """Bytes to characters: by byte order mark, else as UTF-16, UTF-32 or UTF-8, else as their statistics suggest.

    UTF-8 that is cut off within a character, or has a few bytes that do not fit, is taken as UTF-8 with U+FFFD for
    those. Short texts of a few Western words are taken for Windows-1252 where the statistics are weak.
    Raises UnsupportedFormat for binary data and for encodings that can't be told: a wrong guess would fill the index
    with unreadable words.
    """
    codec = byte_order_mark(data) or _unmarked(data)
    if codec is None:
        refuse_binary(data, name)
        text = _escaped(data) or try_decode(data, "utf-8") or _damaged_utf_8(data) or _guessed(data)
    else:
        text = try_decode(data, codec)
    if text is None and codec is not None:
        raise UnsupportedFormat(
            f"{name}: begins like {codec.upper()} text but does not decode: it is cut off, or no text. "
            "Save it as UTF-8 and upload it again."
        )
    if text is None:
        raise UnsupportedFormat(
            f"{name}: is no text in an encoding that can be told: it is binary data, or too short to tell. "
            "Save text as UTF-8 and upload it again; give binary files the extension of their format."
        )
    _refuse_controls(text, name)
    return text


def decode_as(data: bytes, label: str | None) -> str:
    """Part of a document by the encoding that is stated for it, where it is that, else as its bytes suggest.

    What is stated to be ASCII, or nothing, may be in any. Never fails: what does not fit becomes U+FFFD.
    """
    codec = codec_of(label or "")
    text = try_decode(data, codec) if codec else None
    if text is not None and (data.isascii() or (label or "").lower() != "us-ascii"):
        return text
    try:
        return decode(data, "a part")
    except UnsupportedFormat:
        return data.decode(codec or "cp1252", "replace")


def byte_order_mark(data: bytes) -> str | None:
    """The codec that the first bytes announce."""
    return next((codec for mark, codec in _BYTE_ORDER_MARKS if data.startswith(mark)), None)


def wide_codec(data: bytes) -> str | None:
    """UTF-16 or UTF-32, where `data` is that: even its line ends are no ASCII."""
    codec = byte_order_mark(data) or _unmarked(data)
    return None if codec == "utf-8-sig" else codec


def codec_of(label: str) -> str | None:
    """The codec for what a page or message calls its encoding, or None where that is none."""
    label = label.strip().lower()
    codec = _SUPERSETS.get(label, label)
    if not _LABEL.fullmatch(label):
        return None
    try:
        b"".decode(codec)
    except LookupError:
        return None
    return codec


def try_decode(data: bytes, codec: str) -> str | None:
    """The text, or None where one byte does not fit."""
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def refuse_binary(data: bytes, name: str) -> None:
    """Raises UnsupportedFormat where NUL bytes show that `data` is no text. UTF-16 and UTF-32 have them."""
    if byte_order_mark(data) in (None, "utf-8-sig") and b"\0" in data and _unmarked(data) is None:
        raise UnsupportedFormat(_binary(name, "it contains NUL bytes"))


def _unmarked(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark.

    In UTF-32, two of four bytes are never above 0x10. UTF-16 in Western text has every other byte NUL, and none of
    those between; in other scripts, it shows in decoding to their letters and nothing else.
    """
    if b"\0" in data and len(data) % 4 == 0:
        for codec, highest in (("utf-32-be", data[::4]), ("utf-32-le", data[3::4])):
            if not any(highest) and try_decode(data, codec) is not None:
                return codec
    for codec, upper, lower in (("utf-16-be", data[::2], data[1::2]), ("utf-16-le", data[1::2], data[::2])):
        if len(upper) == len(lower) and 0 not in lower and upper.count(0) >= _MIN_UTF_16_NULS * len(upper):
            return codec
    if b"\0" in data:
        return next((codec for codec in ("utf-16-le", "utf-16-be") if _is_utf_16(data, codec)), None)
    return None


def _is_utf_16(data: bytes, codec: str) -> bool:
    """Whether `data` is words in that order of bytes: in the other one, they are letters of many scripts, or none."""
    text = try_decode(data[:_SAMPLE], codec) if len(data) % 2 == 0 else None
    if text is None or not _is_plausible(text):
        return False
    letters = [character for character in text if not character.isascii()]
    counts = [len(script.findall(text)) for script in (_HANGUL, _HAN_OR_KANA)]
    if max(counts) >= _MIN_EAST_ASIAN_SHARE * len(letters) > 0:
        return len(_EAST_ASIAN_COMMON.findall(text)) >= _MIN_COMMON_SHARE * len(text)
    return all(0x80 <= ord(letter) < 0x800 or 0x2010 <= ord(letter) < 0x20D0 for letter in letters)


def _escaped(data: bytes) -> str | None:
    if not data.isascii() or not any(escape in data for escape in _ESCAPES):
        return None
    return next((text for codec in _ESCAPED if (text := try_decode(data, codec)) and not text.isascii()), None)


def _damaged_utf_8(data: bytes) -> str | None:
    """UTF-8 that ends within a character, or has few bytes that do not fit: text in other encodings has only those."""
    try:
        whole = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        whole = ""
    if not whole.isascii():
        return whole
    telling = _HIGH.search(data)
    start = telling.start() if telling else 0
    for part in (data[start : start + _SAMPLE], data):  # where much does not fit, all of it would take seconds
        text = part.decode("utf-8", "replace")
        strange = text.count("\ufffd")
        if len(_BEYOND_ASCII.findall(text)) < 11 * strange or _BINARY_CONTROLS.search(text):
            return None
    return text


def _guessed(data: bytes) -> str | None:
    """What the most likely encoding makes of `data`, or None where none is likely, or makes words of it."""
    high = len(data) - len(data.translate(None, bytes(range(128, 256))))
    is_western = high <= _MAX_WESTERN_SHARE * len(data)
    floor = _MIN_CONFIDENCE if is_western else _MIN_CONFIDENCE_MOSTLY_HIGH
    if is_western and high == 1:
        floor = _MIN_CONFIDENCE_ONE_HIGH
    telling = _HIGH.search(data)
    start = telling.start() if telling else 0  # in all of these encodings, a character that is not ASCII begins there
    for guess in chardet.detect_all(
        data[max(0, start - _BEFORE) : start + _SAMPLE],
        ignore_threshold=True,
        max_bytes=_BEFORE + _SAMPLE,
        include_encodings=_GUESSED,
        compat_names=False,
    ):
        if guess["encoding"] is None:  # binary, by its control bytes
            return next((data.decode(codec) for codec in ("utf-16-le", "utf-16-be") if _is_utf_16(data, codec)), None)
        if guess["confidence"] < min(floor, _MIN_CONFIDENCE_EAST_ASIAN):
            break
        text = _decoded_as(data, guess["encoding"])
        is_likely = guess["confidence"] >= floor or _is_in_daily_use(text or "", guess["encoding"])
        if is_likely and text is not None and _is_plausible(text):
            return text
    western = _decoded_as(data, "cp1252") if is_western else None
    return western if western is not None and _is_plausible(western) else None


def _is_in_daily_use(text: str, codec: str) -> bool:
    """Whether a text of an East Asian encoding has frequent characters, and no letters stuck to them."""
    first, last = _DAILY_USE.get(codec, (0, 0))
    characters = _BEYOND_ASCII.findall(text[:_SAMPLE])
    daily = sum(first <= character.encode(codec, "replace")[0] <= last for character in characters)
    return len(characters) >= 4 and daily >= _MIN_DAILY_SHARE * len(characters)


def _decoded_as(data: bytes, codec: str) -> str | None:
    """Latin-1 and Latin-5 are read as the Windows code pages that contain them, as browsers do."""
    superset = {"iso8859-1": "cp1252", "iso8859-9": "cp1254"}.get(codec)
    return (try_decode(data, superset) if superset else None) or try_decode(data, codec)


def _is_plausible(text: str) -> bool:
    """Whether `text` has the look of words: no controls amid them, and no letters of several scripts in one."""
    sample = text[:_SAMPLE]
    beyond = len(_BEYOND_ASCII.findall(sample))
    if len(_UNLIKELY.findall(sample)) > _MAX_CONTROL_SHARE * len(sample):
        return False
    return sum(1 for _ in _MIXED.finditer(sample)) <= _MAX_MIXED_SHARE * beyond


def _refuse_controls(text: str, name: str) -> None:
    if len(_BINARY_CONTROLS.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        raise UnsupportedFormat(_binary(name, "it is full of control characters"))


def _binary(name: str, why: str) -> str:
    return (
        f"{name}: is binary data, not text, whatever its name says ({why}). "
        "Give it the extension of its format, or save it as UTF-8 text."
    )
