"""Control words of RTF 1.9 that stand for characters or begin destinations, and its character sets."""

from __future__ import annotations

# fmt: off
CHARACTERS = {
    "tab": "\t", "line": "\n", "lbr": "\n", "softline": "\n", "emdash": "\u2014", "endash": "\u2013", "emspace": " ",
    "enspace": " ", "qmspace": " ", "bullet": "\u2022", "lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c",
    "rdblquote": "\u201d", "zwj": "\u200d", "zwnj": "\u200c", "nestcell": " ", "nestrow": "\n",
}
SIGNS = {"~": "\u00a0", "_": "-", "\\": "\\", "{": "{", "}": "}", "\t": "\t"}
LEFT_OUT = frozenset((  # destinations whose text is none of the document's
    "author", "operator", "company", "subject", "keywords", "doccomm", "hlinkbase", "category", "manager", "comment",
    "header", "headerf", "headerl", "headerr", "footer", "footerf", "footerl", "footerr", "ftnsep", "ftnsepc",
    "ftncn", "aftnsep", "aftnsepc", "aftncn", "pict", "filetbl", "listtable", "listoverridetable", "revtbl", "rsidtbl",
    "generator", "xmlnstbl", "themedata", "colorschememapping", "datastore", "latentstyles", "fldinst", "bkmkstart",
    "bkmkend", "xe", "tc", "txe", "rxe", "sn", "sv", "nonshppict", "background", "template", "private", "atnid",
    "atnref", "atndate", "atntime", "atnparent", "atnicn", "pgptbl", "mmathPr", "htmltag", "nextfile", "creatim",
    "revtim", "printim", "buptim", "nonesttables", "objclass", "objname", "formfield", "datafield", "userprops",
))
CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "big5", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
    254: "cp437", 255: "cp850",
}
# fmt: on
# Destinations that are read, each for itself, and groups whose text is the document's though they may be left out.
READ = (
    "fonttbl",
    "colortbl",
    "stylesheet",
    "title",
    "footnote",
    "annotation",
    "atnauthor",
    "listtext",
    "pntext",
    "objdata",
)
INSIDE = frozenset(("shpinst", "shptxt", "ud", "nesttableprops", "shppict", "upr", "fldrslt", "result", "field"))
