# ruff: noqa: RUF001
"""Bytes to characters. The texts are short: long ones are easy to tell apart."""

from __future__ import annotations

import random

import pytest

from ingest.errors import UnsupportedFormat
from ingest.loaders.encodings import decode
from ingest.loaders.registry import extract

TEXTS = {
    "ru": "Тритоны живут в прудах и канавах, где мало течения. Весной самки откладывают икру.",
    "uk": "Тритони живуть у ставках і канавах, де немає течії. Навесні самиці відкладають ікру.",
    "ja": "イモリは池や水路に住んでいる。春になると雌は水草の葉に卵を産み付ける。",
    "zh-hans": "蝾螈生活在水流缓慢的池塘和沟渠中。春天，雌性把卵产在水生植物的叶子上。",
    "zh-hant": "蠑螈生活在水流緩慢的池塘和溝渠中。春天，雌性把卵產在水生植物的葉子上。",
    "ko": "영원은 물살이 느린 연못과 도랑에 산다. 봄이 되면 암컷은 수초의 잎에 알을 낳는다.",
    "el": "Οι τρίτωνες ζουν σε λίμνες και χαντάκια όπου το νερό κινείται αργά.",
    "pl": "Traszki żyją w stawach i rowach. Wiosną samice składają jaja na liściach roślin wodnych.",
    "cs": "Čolci žijí v rybnících a příkopech. Na jaře samice kladou vajíčka na listy vodních rostlin.",
    "tr": "Semenderler göletlerde ve hendeklerde yaşar. Dişiler yumurtalarını yapraklara bırakır.",
    "he": "טריטונים חיים בבריכות ובתעלות שבהן המים זורמים לאט. החוזה נכנס לתוקף ביום חתימתו.",
    "ar": "تعيش السمندلات في البرك والخنادق حيث يجري الماء ببطء. يسري العقد من تاريخ توقيعه.",
    "lt": "Tritonai gyvena tvenkiniuose, kur vanduo teka lėtai. Patelės deda kiaušinėlius ant lapų.",
    "th": "ซาลาแมนเดอร์อาศัยอยู่ในบ่อและคูน้ำที่น้ำไหลช้า สัญญามีผลตั้งแต่วันที่ลงนาม",
    "de": "Molche leben in Teichen und Gräben. Die Weibchen heften ihre Eier an Blätter, ungefähr fünf.",
    "fr": "Les tritons vivent dans les fossés où elle coule. Les mâles revêtent leur livrée, très colorée.",
}
ENCODINGS = [
    *(("ru", codec) for codec in ("cp1251", "koi8-r", "iso8859-5", "cp866", "mac-cyrillic", "utf-16-le", "utf-32-be")),
    *(("uk", codec) for codec in ("cp1251", "koi8-u")),
    *(("ja", codec) for codec in ("shift_jis", "euc-jp", "iso2022-jp", "utf-16-le", "utf-16-be", "utf-32-le")),
    *(("zh-hans", codec) for codec in ("gb18030", "gb2312", "utf-16-le", "utf-16-be")),
    *(("zh-hant", codec) for codec in ("big5", "utf-16-le")),
    *(("ko", codec) for codec in ("euc-kr", "cp949", "utf-16-be")),
    *(("el", codec) for codec in ("cp1253", "iso8859-7", "utf-16-le")),
    *(("pl", codec) for codec in ("cp1250", "iso8859-2", "cp852")),
    *(("cs", codec) for codec in ("cp1250", "iso8859-2", "cp852")),
    *(("tr", codec) for codec in ("cp1254", "iso8859-9")),
    *(("he", codec) for codec in ("cp1255", "iso8859-8", "utf-16-le")),
    *(("ar", codec) for codec in ("cp1256", "iso8859-6")),
    *(("lt", codec) for codec in ("cp1257", "iso8859-13")),
    *(("th", codec) for codec in ("cp874", "tis-620")),
    *(("de", codec) for codec in ("cp1252", "iso8859-1", "mac-roman", "cp850", "utf-16-le", "utf-32-le")),
    *(("fr", codec) for codec in ("cp1252", "iso8859-15", "mac-roman", "cp850")),
]


@pytest.mark.parametrize(("language", "codec"), ENCODINGS)
def test_text_in_any_common_encoding_comes_out_right(language: str, codec: str) -> None:
    assert decode(TEXTS[language].encode(codec), "a.txt") == TEXTS[language]


@pytest.mark.parametrize("text", ["Gräben", "Molche übernachten\nim Teich.", "café", "15 §", "Salamöndrur lifa í t"])
def test_a_few_western_words_are_taken_for_windows_1252(text: str) -> None:
    assert decode(text.encode("cp1252"), "a.txt") == text


def test_the_euro_sign_of_windows_is_read_in_what_looks_like_latin_1() -> None:
    text = "Die Gebühr beträgt für alle Gräben \u201ezusammen\u201c 50 \u20ac."
    assert decode(text.encode("cp1252"), "a.txt") == text


def test_utf_8_with_a_few_bytes_that_do_not_fit_stays_utf_8_and_says_so() -> None:
    data = "Тритоны живут в прудах. ".encode() * 4 + b"\xff" + " Весной".encode()
    extracted = extract(data, "a.txt")
    assert extracted.text == "Тритоны живут в прудах. " * 4 + "\ufffd Весной"
    assert extracted.notes == ("1 character could not be read: the file holds bytes that are no UTF-8",)
    assert decode("Тритоны".encode()[:-1], "a.txt") == "Тритон"


@pytest.mark.parametrize("size", [20, 60, 200, 1000, 10_000])
@pytest.mark.parametrize("lowest", [0, 1, 128])
def test_random_bytes_are_refused(size: int, lowest: int) -> None:
    for seed in range(20):
        generator = random.Random(seed)
        data = bytes(generator.randrange(lowest, 256) for _ in range(size))
        with pytest.raises(UnsupportedFormat, match=r"^a\.txt: "):
            decode(data, "a.txt")


def test_letters_among_random_signs_are_refused() -> None:
    generator = random.Random(3)
    letters = [*range(32, 127), *range(160, 256)]
    with pytest.raises(UnsupportedFormat, match="no text in an encoding that can be told"):
        decode(bytes(generator.choice(letters) for _ in range(300)), "a.txt")
