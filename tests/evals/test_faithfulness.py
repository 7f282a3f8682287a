from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.config import EvalsSettings
from evals.faithfulness import EmbeddingVerifier
from evals.run import evaluate_verifier
from evals.types import VerifierCase
from generation.types import Claim, Verification, Verifier
from ingest.types import Vectors
from retrieval.embedder import OnnxEmbedder
from retrieval.hash_embedder import HashEmbedder
from retrieval.types import Lead, Passage

TEXTS = (
    (
        "Maintenance",
        "The filter of the Aqua 300 lasts 2,000 operating hours. Replace it with part number F-17 and never wash it. "
        "The seal must be greased every six months with silicone grease.",
    ),
    (
        "Technical data",
        "The pump works at a pressure of 2.5 bar and draws 450 W. It weighs 12 kg. "
        "The maximum water temperature is 35 \u00b0C.",
    ),
    (
        "Warranty",
        "The warranty runs for three years from the date of purchase. It does not cover damage by frost. "
        "Claims have been handled by Hartmann GmbH in Linz since 5 March 2024.",
    ),
    (
        "Software",
        "Set `max_retries` to 3 in config.toml. Python 3.11 or newer is required. "
        "The service listens on port 8080 unless another port is configured.",
    ),
    (
        "Draining",
        "To drain the pump, switch it off, close the inlet valve and open the drain plug. "
        "Do not open the lid while the pump is running.",
    ),
)
COPIES = (
    "The filter of the Aqua 300 lasts 2,000 operating hours [1].",
    "The filter of the Aqua 300 lasts 2000 operating hours.",
    "According to passage 1, the seal must be greased every six months with silicone grease.",
    "The seal must be greased every 6 months with silicone grease.",
    "The pump works at a pressure of 2.5 bar and draws 450 W.",
    "The maximum water temperature is 35 \u00b0C.",
    "The warranty runs for three years from the date of purchase.",
    "It does not cover damage by frost.",
    "Claims have been handled by Hartmann GmbH in Linz since March 5, 2024.",
    "Python 3.11 or newer is required.",
    "Set `max_retries` to 3 in config.toml.",
    "Do not open the lid while the pump is running.",
)
SHORTENED = (
    ("How long does the filter last?", "The filter lasts 2,000 hours [1]."),
    ("How long does the filter last?", "2,000 hours."),
    ("How heavy is the pump?", "The pump weighs 12 kg."),
    ("What is the pressure?", "The pump works at 2.5 bar."),
    ("Which Python is needed?", "Python 3.11 or newer [4]."),
)
CHANGED = (
    (
        "The filter of the Aqua 300 lasts 3,000 operating hours [1].",
        "the passages say 2,000 where the answer says 3,000",
    ),
    ("The filter lasts 450 operating hours.", "the passages say 2,000 where the answer says 450"),
    ("The pump works at a pressure of 3.5 bar and draws 450 W.", "the passages say 2.5 where the answer says 3.5"),
    ("It weighs 15 kg.", "the passages say 12 where the answer says 15"),
    ("The maximum water temperature is 45 \u00b0C.", "the passages say 35 where the answer says 45"),
    ("The warranty runs for five years from the date of purchase.", "say three where the answer says five"),
    ("Python 3.12 or newer is required.", "the passages say 3.11 where the answer says 3.12"),
    ("Set `max_retries` to 5 in config.toml.", "the passages say 3 where the answer says 5"),
    ("The warranty covers damage by frost.", "opposite"),
    ("Open the lid while the pump is running.", "opposite"),
    ("The seal must not be greased.", "opposite"),
    ("The minimum water temperature is 35 \u00b0C.", "opposite"),
    ("Claims have been handled by Hartmann GmbH in Graz since 5 March 2024.", "no 'Graz'"),
    ("Set `max_attempts` to 3 in config.toml.", "no 'max_attempts'"),
)
OFF_TOPIC = (
    "Paris is the capital of France.",
    "Bananas are rich in potassium.",
    "The council approved the new tram line in 1998.",
    "The app sends a push message to every phone.",
    "Our shop opens on Sundays from ten to four.",
    "Beethoven wrote nine symphonies.",
)


def passages() -> list[Passage]:
    """Each text stands at offset 100 of its document."""
    return [passage(text, number=number, heading=heading) for number, (heading, text) in enumerate(TEXTS)]


def passage(text: str, *, number: int = 0, heading: str = "") -> Passage:
    return Passage(
        chunk_id=str(number),
        document_id=f"d{number}",
        uri=f"manual-{number}.md",
        version=number + 1,
        title="Aqua 300 manual" if heading else "",
        heading=(heading,) if heading else (),
        start=100,
        end=100 + len(text),
        text=text,
        score=1.0,
    )


@pytest.fixture(scope="module")
def verifier() -> EmbeddingVerifier:
    return EmbeddingVerifier(HashEmbedder(384), EvalsSettings())


@pytest.fixture(scope="module")
def minilm_verifier(embedder_folder: Path) -> EmbeddingVerifier:
    embedder = OnnxEmbedder(embedder_folder, model="all-MiniLM-L6-v2", max_tokens=256, threads=0)
    return EmbeddingVerifier(embedder, EvalsSettings())


def judge(verifier: Verifier, text: str, question: str = "") -> Claim:
    [claim] = verifier.verify(question, text, passages()).claims
    return claim


def check_copies(verifier: Verifier) -> None:
    for text in COPIES:
        claim = judge(verifier, text)
        assert (claim.verdict, claim.reason) == ("supported", None), text
        assert claim.score >= 0.8, text


def check_shortened(verifier: Verifier) -> None:
    for question, text in SHORTENED:
        claim = judge(verifier, text, question)
        assert claim.verdict == "supported", text
        assert claim.score >= 0.7, text


def check_changed(verifier: Verifier) -> None:
    for text, reason in CHANGED:
        claim = judge(verifier, text)
        assert claim.verdict == "contradicted", text
        assert reason in (claim.reason or ""), text
        assert claim.score < 0.5, text


def check_off_topic(verifier: Verifier) -> None:
    for text in OFF_TOPIC:
        claim = judge(verifier, text)
        assert claim.verdict == "not_found", text
        assert claim.reason, text
        assert claim.score < 0.35, text


@pytest.mark.parametrize("check", [check_copies, check_changed, check_off_topic])
def test_copies_pass_and_changes_do_not(check: Callable[[Verifier], None], verifier: EmbeddingVerifier) -> None:
    check(verifier)


@pytest.mark.models
@pytest.mark.parametrize("check", [check_copies, check_shortened, check_changed, check_off_topic])
def test_copies_pass_and_changes_do_not_with_minilm(
    check: Callable[[Verifier], None], minilm_verifier: EmbeddingVerifier
) -> None:
    check(minilm_verifier)


@pytest.mark.models
def test_minilm_scores_are_those_last_published(minilm_verifier: EmbeddingVerifier) -> None:
    """A change of these numbers is a change of method: raise the version in `METHOD` and judge again."""
    scores = [judge(minilm_verifier, text).score for text in (COPIES[0], CHANGED[0][0], OFF_TOPIC[0])]
    assert scores == pytest.approx([0.852, 0.316, 0.220], abs=0.02)


def test_the_header_of_a_table_says_what_its_rows_are_about(verifier: EmbeddingVerifier) -> None:
    rows = passage("| Zagreb | 767,131 |\n| Split | 160,577 |").model_copy(update={"start": 200, "end": 238})
    header = "| City | Population of Croatia in 2021 |\n| --- | --- |"
    led = rows.model_copy(update={"lead": Lead(start=100, end=100 + len(header), text=header)})
    claim = "The population of Zagreb in Croatia in 2021 was 767,131."
    [without], [within] = (verifier.verify("", claim, [its]).claims for its in (rows, led))
    assert without.verdict == "not_found" and "2021" in (without.reason or "")
    assert within.score > without.score and "2021" not in (within.reason or "")


def test_evidence_is_the_span_of_the_version_that_says_it(verifier: EmbeddingVerifier) -> None:
    for text, number, quote in (
        ("It weighs 12 kg.", 1, "It weighs 12 kg."),
        ("Python 3.11 or newer is required.", 3, "Python 3.11 or newer is required."),
    ):
        evidence = judge(verifier, text).evidence
        assert evidence is not None
        assert (evidence.document_id, evidence.version) == (f"d{number}", number + 1)
        version_text = "#" * 100 + TEXTS[number][1]
        assert version_text[evidence.start : evidence.end] == quote


def test_answer_is_as_good_as_its_weakest_claim(verifier: EmbeddingVerifier) -> None:
    good, wrong, foreign = COPIES[4], CHANGED[0][0], OFF_TOPIC[0]
    for sentences, verdict in (
        ((good, COPIES[0]), "supported"),
        ((good, foreign), "not_found"),
        ((good, wrong, foreign), "contradicted"),
    ):
        result = verifier.verify("", " ".join(sentences), passages())
        assert len(result.claims) == len(sentences)
        assert result.faithfulness.verdict == verdict
        assert result.faithfulness.score == min(claim.score for claim in result.claims)
        assert result.faithfulness.scored


def test_claims_are_judged_without_their_markers_and_keep_them_in_their_span(verifier: EmbeddingVerifier) -> None:
    text = "Well: yes.\n\n- It weighs 12 kg [2].\n- Python 3.11 or newer is required. [4]"
    claims = verifier.verify("", text, passages()).claims
    assert [claim.text for claim in claims[-2:]] == ["It weighs 12 kg [2].", "Python 3.11 or newer is required. [4]"]
    assert all(text[claim.start : claim.end] == claim.text for claim in claims)
    assert claims[-2].score == judge(verifier, "It weighs 12 kg.").score


@pytest.mark.models
def test_short_answer_is_judged_as_an_answer_to_its_question(minilm_verifier: EmbeddingVerifier) -> None:
    right = judge(minilm_verifier, "2,000 hours.", "How many operating hours does the filter last?")
    wrong = judge(minilm_verifier, "2,000 hours.", "How long does the warranty run?")
    assert right.verdict == "supported"
    assert wrong.verdict != "supported"


def test_number_of_another_sentence_is_no_support(verifier: EmbeddingVerifier) -> None:
    claim = judge(verifier, "The service listens on port 3 unless another port is configured.")
    assert claim.verdict == "contradicted"
    assert claim.reason == "the passages say 8080 where the answer says 3"


@pytest.mark.parametrize(
    ("text", "claim", "reason"),
    [
        (
            "The small pump weighs 11 kg. The large pump weighs 22 kg.",
            "The large pump weighs 11 kg.",
            "the passages say 22 where the answer says 11",
        ),
        (
            "The Dipper 40 was built by Anna Berg. The Dipper 65 was built by Carl Dorn.",
            "The Dipper 40 was built by Carl Dorn.",
            "the passages say Anna Berg where the answer says Carl Dorn",
        ),
        (
            "It is sunny. The server may cache a response.",
            "The server must cache a response.",
            "the passages say it with another strength (may, must; some, all; only)",
        ),
        (
            "The price rose from 10 to 20 euros.",
            "The price rose from 20 to 10 euros.",
            "the passages say it with '20' and '10' in each other's place",
        ),
    ],
)
def test_copy_that_is_turned_round_is_contradicted(
    verifier: EmbeddingVerifier, text: str, claim: str, reason: str
) -> None:
    [judged] = verifier.verify("", claim, [passage(text)]).claims
    assert (judged.verdict, judged.reason) == ("contradicted", reason)
    assert judged.score < 0.5


@pytest.mark.parametrize(
    "text", ["<script>alert(12)</script> It weighs 12 kg.", "It\u202e weighs 12 kg.", "It\x00 weighs 12 kg."]
)
def test_sentence_with_markup_that_no_passage_has_is_not_supported(verifier: EmbeddingVerifier, text: str) -> None:
    claim = judge(verifier, text)
    assert (claim.verdict, claim.score) == ("not_found", 0.0)
    assert claim.reason == "it has a tag or control character that no passage has"
    [same] = verifier.verify("", text, [passage(text)]).claims
    assert same.verdict == "supported"


def test_names_and_words_of_title_and_headings_are_evidence(verifier: EmbeddingVerifier) -> None:
    named, unnamed = passage("It weighs 12 kg.", heading="The blue pump"), passage("It weighs 12 kg.")
    for text in ("The Aqua 300 weighs 12 kg.", "The blue pump weighs 12 kg."):
        [here] = verifier.verify("", text, [named]).claims
        [alone] = verifier.verify("", text, [unnamed]).claims
        assert here.score > alone.score
        assert here.verdict == "supported"


def test_evidence_is_found_by_its_words_in_any_order(verifier: EmbeddingVerifier) -> None:
    [claim] = verifier.verify(
        "", "Pumps are cooled with oil.", [passage("Snow falls. Oil is old; it cools pumps.")]
    ).claims
    assert claim.evidence is not None
    assert (claim.evidence.start, claim.evidence.end) == (112, 139)


def test_threshold_is_a_setting() -> None:
    strict = EmbeddingVerifier(HashEmbedder(384), EvalsSettings(supported_at=0.99))
    assert judge(strict, COPIES[0]).verdict == "not_found"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the answer is empty"),
        (" \n", "the answer is empty"),
        ("I don't know.", "the answer abstains"),
        ("The passages do not say how heavy it is.", "the answer abstains"),
        ("Hello! How can I help?", "the answer makes no claim"),
        ("```py\nx = 1\n```", "the answer makes no claim"),
        ("\ud800 is odd.", "the answer is no valid Unicode text"),
    ],
)
def test_answer_that_claims_nothing_is_not_scored(verifier: EmbeddingVerifier, text: str, reason: str) -> None:
    check_not_scored(verifier.verify("?", text, passages()), reason)


@pytest.mark.parametrize(
    ("given_passages", "reason"),
    [([], "there are no passages to judge by"), ([passage(" ")], "the passages have no text")],
)
def test_answer_without_evidence_is_not_scored(
    verifier: EmbeddingVerifier, given_passages: list[Passage], reason: str
) -> None:
    check_not_scored(verifier.verify("?", "It weighs 12 kg.", given_passages), reason)


class BrokenEmbedder(HashEmbedder):
    """Gives vectors of NaN, as a damaged model does."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return super().embed_documents(texts) * np.float32(np.nan)


def test_vectors_that_are_no_numbers_are_not_scored() -> None:
    broken = EmbeddingVerifier(BrokenEmbedder(), EvalsSettings())
    check_not_scored(broken.verify("", COPIES[0], passages()), "the embedder gave a vector that is not finite")


def check_not_scored(result: Verification, reason: str) -> None:
    assert result.claims == ()
    assert (result.faithfulness.scored, result.faithfulness.score, result.faithfulness.verdict) == (False, None, None)
    assert result.faithfulness.reason == reason


def test_name_tells_method_space_and_threshold() -> None:
    verifiers = [
        EmbeddingVerifier(HashEmbedder(dimension), EvalsSettings(supported_at=at))
        for dimension, at in ((64, 0.5), (128, 0.5), (64, 0.6))
    ]
    assert all(verifier.name.startswith("embedding-v2/") for verifier in verifiers)
    assert len({verifier.name for verifier in verifiers}) == 3
    assert EmbeddingVerifier(HashEmbedder(64), EvalsSettings()).name == verifiers[0].name


def test_own_cases_are_told_apart_through_the_main_path(verifier: EmbeddingVerifier) -> None:
    context = tuple(text for _, text in TEXTS)
    cases = [VerifierCase("c", "", context, text, True) for text in COPIES]
    cases += [VerifierCase("c", "", context, text, False) for text in (*OFF_TOPIC, *(text for text, _ in CHANGED))]
    report = evaluate_verifier(verifier, cases)
    assert (report.auroc, report.balanced_accuracy, report.not_scored) == (1.0, 1.0, 0)


ODD = st.text(max_size=80) | st.lists(
    st.sampled_from(
        [
            "The pump",
            " is ",
            "not ",
            "5 kg",
            "3.11",
            "v1",
            " [1]",
            ". ",
            "\n- ",
            "`x`",
            "\u0130",
            "\ud800",
            "I don't know",
            "?",
        ]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(question=ODD, text=ODD, evidence=st.lists(st.text(max_size=60), max_size=3))
def test_any_text_is_scored_between_zero_and_one_or_says_why_not(question: str, text: str, evidence: list[str]) -> None:
    verifier = EmbeddingVerifier(HashEmbedder(32), EvalsSettings())
    given_passages = [passage(part, number=number) for number, part in enumerate(evidence)]
    result = verifier.verify(question, text, given_passages)
    whole = result.faithfulness
    assert whole.scored is (whole.score is not None) is (whole.verdict is not None) is bool(result.claims)
    assert whole.scored or whole.reason
    for claim in result.claims:
        assert text[claim.start : claim.end] == claim.text
        assert math.isfinite(claim.score) and 0 <= claim.score <= 1
        assert claim.evidence is not None
        version_text = "#" * 100 + evidence[int(claim.evidence.document_id[1:])]
        assert version_text[claim.evidence.start : claim.evidence.end].strip()
