"""Personal data replaced by marks such as `<EMAIL_ADDRESS>` before a document is stored.

Found by Microsoft Presidio (the extra `pii`), which is imported when a Redactor is built and not before. Patterns with
checksums and context words find what has a form; names, places and the like need a spaCy model that is installed as a
package and named in the settings. Nothing is downloaded: neither a model nor the list of top-level domains.
"""

from __future__ import annotations

import importlib.util
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ingest.config import MODEL_KINDS, RedactionSettings
from ingest.errors import MissingDriver
from ingest.screening.folding import fold
from ingest.types import Extracted, Heading, Page

# Patterns and models see so many characters at a time, ending with a line where there is one: some patterns take time
# that grows with the square of what they are given.
_PIECE = 4000
# Presidio's own has no bound; RFC 5321, 4.5.3.1 has these.
_EMAIL = r"(?<![\w.+-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}+@[^\W_](?:[\w-]{0,62})(?:\.[^\W_][\w-]{0,62}){1,8}"
# Presidio's takes 13 to 17 digits of the older issuers; these are Visa with 19, Mastercard's 2 series, JCB with 15, and
# Maestro. Both are checked by the Luhn digit.
_MORE_CARDS = r"\b(?:4\d{18}|(?:5[0678]|6\d)\d{10,17}|2(?:131|2[2-9]\d|[3-6]\d\d|7[01]\d|720)\d{11,12}|1800\d{11})\b"


_NOT_INSTALLED = "`ingest.redaction.kinds` needs presidio-analyzer: pip install 'ragstone[pii]', or name no kinds"


@dataclass(frozen=True, slots=True)
class Span:
    """Personal data in a text; `end` is exclusive."""

    start: int
    end: int
    kind: str


def require_installed(settings: RedactionSettings) -> None:
    """Raises MissingDriver where kinds are named and what finds them is not installed. Nothing is loaded."""
    if settings.kinds and importlib.util.find_spec("presidio_analyzer") is None:
        raise MissingDriver(_NOT_INSTALLED)


class Redactor:
    """Finds and replaces personal data of the kinds that `settings` name. Not to be shared between threads."""

    def __init__(self, settings: RedactionSettings) -> None:
        """Raises MissingDriver where the extra `pii` or the model is not installed."""
        try:
            import presidio_analyzer
        except ImportError as error:
            raise MissingDriver(_NOT_INSTALLED) from error
        self._settings = settings
        registry = presidio_analyzer.RecognizerRegistry(
            recognizers=_recognizers(settings), supported_languages=[settings.language]
        )
        self._nlp = _nlp_engine(settings)
        self._analyzer = presidio_analyzer.AnalyzerEngine(
            registry=registry, nlp_engine=self._nlp, supported_languages=[settings.language]
        )

    def spans(self, text: str) -> list[Span]:
        """Personal data in `text`, in order; what overlaps is one span, of the kind that is surest.

        Looked for in the text as a reader sees it: an invisible character, or a digit of full width, hides nothing.
        """
        folded = fold(text, lower=False)
        seen = folded.text
        found = [its for start, end in _pieces(seen) for its in self._in_piece(seen[start:end], start)]
        return [
            Span(folded.original(span.start), folded.original(span.end - 1) + 1, span.kind) for span in _merged(found)
        ]

    def redact(self, extracted: Extracted) -> tuple[Extracted, Counter[str]]:
        """The document with marks in place of personal data, and how many of each kind were replaced.

        Headings and pages keep their places: one that began within personal data begins with its mark. Title, headings,
        hidden text and notes are redacted too. Attachments are to be read, and so become part of the text, before.
        """
        shifted = _Shifted(extracted.text, self.spans(extracted.text))
        counts = Counter(span.kind for span in shifted.spans)
        hidden = tuple(replace(its, text=self._replaced(its.text, counts)) for its in extracted.hidden)
        redacted = replace(
            extracted,
            text=shifted.text,
            title=self._replaced(extracted.title, counts),
            headings=tuple(self._heading(its, extracted.text, shifted, counts) for its in extracted.headings),
            pages=tuple(Page(its.number, shifted.offset(its.start)) for its in extracted.pages),
            hidden=hidden,
            notes=tuple(self._replaced(its, counts) for its in extracted.notes),
        )
        return redacted, counts

    def _heading(self, heading: Heading, text: str, shifted: _Shifted, counts: Counter[str]) -> Heading:
        """As its line in the text was redacted, where the line has the title as it is; else by itself."""
        place = text.find(heading.title, heading.start, heading.start + len(heading.title) + 16)
        if place >= 0:
            title = shifted.slice(place, place + len(heading.title))
        else:
            title = self._replaced(heading.title, counts)
        return Heading(shifted.offset(heading.start), heading.level, title)

    def _replaced(self, text: str, counts: Counter[str]) -> str:
        shifted = _Shifted(text, self.spans(text))
        counts.update(span.kind for span in shifted.spans)
        return shifted.text

    def _in_piece(self, piece: str, offset: int) -> Iterator[tuple[float, Span]]:
        if not piece.strip():
            return
        with self._nlp.nlp[self._settings.language].memory_zone():  # or the vocabulary keeps every word for ever
            results = self._analyzer.analyze(
                piece,
                language=self._settings.language,
                entities=list(self._settings.kinds),
                score_threshold=self._settings.min_score,
            )
        for result in results:
            yield result.score, Span(result.start + offset, result.end + offset, result.entity_type)


class _Shifted:
    """A text with its spans replaced, and where each offset went."""

    def __init__(self, text: str, spans: Sequence[Span]) -> None:
        self.spans = spans
        parts: list[str] = []
        self._starts: list[int] = []  # of the spans, in the old text
        self._marks: list[tuple[int, int, int]] = []  # end of the span, start and end of its mark
        position = length = 0
        for span in spans:
            mark = f"<{span.kind}>"
            parts += [text[position : span.start], mark]
            length += span.start - position
            self._starts.append(span.start)
            self._marks.append((span.end, length, length + len(mark)))
            position, length = span.end, length + len(mark)
        self.text = "".join([*parts, text[position:]])

    def offset(self, old: int) -> int:
        """Where the character at `old` went; the mark's start for what was replaced."""
        before = bisect_right(self._starts, old) - 1
        if before < 0:
            return old
        end, mark_start, mark_end = self._marks[before]
        return mark_start if old < end else mark_end + old - end

    def slice(self, start: int, end: int) -> str:
        """What became of `text[start:end]`; a mark that is touched is taken whole."""
        before = bisect_right(self._starts, end - 1) - 1
        last = self.offset(end)
        if before >= 0 and self._marks[before][0] >= end:
            last = self._marks[before][2]
        return self.text[self.offset(start) : last]


def _merged(found: Sequence[tuple[float, Span]]) -> list[Span]:
    merged: list[tuple[float, Span]] = []
    for score, span in sorted(found, key=lambda its: (its[1].start, -its[1].end)):
        if merged and span.start < merged[-1][1].end:
            best, last = merged[-1]
            # What a checksum or a form tells is surer than what a model takes for a date or a name.
            surer = (span.kind not in MODEL_KINDS, score) > (last.kind not in MODEL_KINDS, best)
            kind = span.kind if surer else last.kind
            merged[-1] = (score if surer else best, Span(last.start, max(last.end, span.end), kind))
        else:
            merged.append((score, span))
    return [span for _, span in merged]


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Spans of at most 4,000 characters that end with a line or sentence, else with a word, where they can."""
    start = 0
    while len(text) - start > _PIECE:
        last = start + _PIECE
        cut = max(text.rfind("\n", start + _PIECE // 2, last), text.rfind(". ", start + _PIECE // 2, last))
        cut = cut if cut >= 0 else text.rfind(" ", start + _PIECE // 2, last)
        end = cut + 1 if cut >= 0 else last
        yield start, end
        start = end
    yield start, len(text)


def _recognizers(settings: RedactionSettings) -> list[Any]:
    from presidio_analyzer import predefined_recognizers as known

    makers = {
        "CREDIT_CARD": _card_recognizer,
        "CRYPTO": known.CryptoRecognizer,
        "EMAIL_ADDRESS": _email_recognizer,
        "IBAN_CODE": known.IbanRecognizer,
        "IP_ADDRESS": known.IpRecognizer,
        "MAC_ADDRESS": known.MacAddressRecognizer,
        "PHONE_NUMBER": partial(known.PhoneRecognizer, supported_regions=settings.phone_regions),
        "UK_NHS": known.NhsRecognizer,
        "US_ITIN": known.UsItinRecognizer,
        "US_SSN": known.UsSsnRecognizer,
    }
    makers |= dict.fromkeys(MODEL_KINDS, known.SpacyRecognizer)
    needed = dict.fromkeys(makers[kind] for kind in settings.kinds)
    return [maker(supported_language=settings.language) for maker in needed]


def _card_recognizer(supported_language: str) -> Any:
    from presidio_analyzer import Pattern
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer

    patterns = [*CreditCardRecognizer.PATTERNS, Pattern("more cards", _MORE_CARDS, 0.3)]
    return CreditCardRecognizer(patterns=patterns, supported_language=supported_language)


def _email_recognizer(supported_language: str) -> Any:
    """Presidio's, with a bounded pattern and without its download of the list of top-level domains."""
    import tldextract
    from presidio_analyzer import Pattern
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    domains = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool:
            return bool(domains(pattern_text.rpartition("@")[2]).suffix)

    return OfflineEmailRecognizer(patterns=[Pattern("email", _EMAIL, 0.5)], supported_language=supported_language)


def _nlp_engine(settings: RedactionSettings) -> Any:
    """The model, or tokens alone; in both cases nothing is downloaded, as Presidio's own engine would."""
    import spacy
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    if settings.model and not (spacy.util.is_package(settings.model) or Path(settings.model).is_dir()):
        raise MissingDriver(
            f"`ingest.redaction.model` names {settings.model}, which is neither an installed package nor a folder: "
            "install the model with pip, or name one that is there"
        )
    pipeline = spacy.load(settings.model) if settings.model else spacy.blank(settings.language)

    class LoadedEngine(SpacyNlpEngine):  # type: ignore[misc]
        def process_text(self, text: str, language: str) -> Any:
            tokens = pipeline(text)
            if not settings.model:
                for token in tokens:  # context words are looked up by lemma
                    token.lemma_ = token.lower_
            return self._doc_to_nlp_artifact(tokens, language)

    engine = LoadedEngine(ner_model_configuration=NerModelConfiguration(labels_to_ignore=[]))
    engine.nlp = {settings.language: pipeline}
    return engine
