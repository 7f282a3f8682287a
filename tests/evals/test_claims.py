from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.claims import is_abstention, judged_text, split_claims

ABSTENTIONS = """
I don't know.
I do not know the answer to this question.
I don\u2019t know based on the provided passages.
I'm sorry, but I don't have enough information to answer that.
Sorry, I cannot answer this question from the passages.
I am unable to answer the question with the given context.
I'm not able to find this in the passages.
I couldn't find any information about the warranty.
I could not find an answer in the documents.
I have no information about that.
I'm not sure.
We do not know.
The passages do not say.
**The passages do not say.**
The passages do not say how long the filter lasts.
The passages don't mention a price.
The passages do not explicitly state the maximum pressure.
The passages do not contain information about the CEO's salary.
The passages provide no information about the weight.
The provided passages do not contain the answer.
The provided context does not include details on pricing.
The documents do not mention the colour of the pump.
The document does not provide any information about refunds.
The given text doesn't specify the voltage.
The text does not state when it was built.
The manual does not say which oil to use.
Passages 1 and 2 do not mention it.
Passage [1] does not say anything about the price.
None of the passages mention the price.
None of the provided documents contain this information.
No passage mentions the price.
Nothing in the passages says when the pump was built.
The price is not mentioned in the passages.
The warranty period is not specified in the provided documents.
The warranty period is not specified.
The answer is not in the passages.
The answer cannot be found in the passages.
The maximum pressure isn't stated in the context.
This is not covered by the passages.
The information is not available in the provided context.
There is no information about the price in the passages.
There is no mention of a warranty.
There isn't any information about this.
There is not enough information to answer the question.
Not enough information.
Insufficient information to answer.
No information is available about the price.
It cannot be determined from the passages.
This question cannot be answered with the passages.
It is not possible to determine the price.
Based on the provided passages, I cannot determine the answer.
Unknown.
Not mentioned.
N/A
While the passages mention the pump, they do not say how long it lasts.
The passages describe the pump but do not mention its price.
Unfortunately, the passages do not mention this.
I don't know. Please consult the manual.
I don't know. Let me know if you have other questions!
Hello! I'm sorry, but the passages do not contain the answer.
The passages do not say what it costs. They only describe how to install it.
The passages do not contain any information regarding France. Therefore, I cannot answer the question.
""".strip().splitlines()

NO_ABSTENTIONS = """
The filter lasts 2,000 hours [1].
The pump does not contain oil.
You cannot answer a call while charging.
The server cannot determine the file type.
The document does not require a signature.
The response does not contain the header.
The text field does not contain spaces.
The texts are not sorted.
The page does not load without JavaScript.
The manual must be kept near the machine.
The context manager does not close the file.
The item is not in the context menu.
No information is lost during a refresh.
There is no information loss.
There is no evidence that it causes cancer.
The cause of the fire is unknown.
Unknown keys are refused.
The file is not found when the path is relative.
If the file is not found, the server answers 404.
The signature is not included in the price.
We do not provide refunds after 30 days [1].
We cannot answer emails at weekends.
The warranty does not cover misuse.
The index does not have any data about removed documents.
The value must not be specified twice.
It is not possible to change the pressure.
The passages say that the filter lasts 2,000 hours.
The passages do not say how long the filter lasts, but the pump needs service every 2,000 hours [1].
The pump needs service every 2,000 hours, but the passages do not mention the filter.
The passages do not mention the price. The pump weighs 5 kg [1].
The passages do not give the price for 2024. They only mention a price of 5 USD in 2019 [1].
I don't know the exact date, but it was built in 1990.
They only describe how to install it.
Hello!
""".strip().splitlines()


def claims(text: str) -> list[str]:
    return [text[claim.start : claim.end] for claim in split_claims(text)]


@pytest.mark.parametrize("text", ABSTENTIONS)
def test_abstention_is_known_and_claims_nothing(text: str) -> None:
    assert is_abstention(text)
    assert claims(text) == []


@pytest.mark.parametrize("text", [*NO_ABSTENTIONS, "", "  \n"])
def test_what_only_looks_like_an_abstention_is_none(text: str) -> None:
    assert not is_abstention(text)


@pytest.mark.parametrize("text", NO_ABSTENTIONS[:-1])
def test_what_only_looks_like_an_abstention_is_judged(text: str) -> None:
    assert claims(text) != []


def test_claim_after_an_abstention_is_judged_alone() -> None:
    assert claims("The passages do not say what it costs, but it lasts 2,000 hours [1].") == [
        "it lasts 2,000 hours [1]."
    ]
    assert claims("It lasts 2,000 hours [1], but the passages do not mention the price.") == [
        "It lasts 2,000 hours [1]"
    ]


def test_each_sentence_and_item_is_a_claim_with_its_markers() -> None:
    text = "The filter lasts long. [1] Use e.g. F-17 at 2.5 bar [2].\n- First thing\n- Second thing [1][2]"
    assert claims(text) == [
        "The filter lasts long. [1]",
        "Use e.g. F-17 at 2.5 bar [2].",
        "First thing",
        "Second thing [1][2]",
    ]
    assert [claim.judged for claim in split_claims(text)] == [
        "The filter lasts long.",
        "Use e.g. F-17 at 2.5 bar.",
        "First thing",
        "Second thing",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "Sure, great question!",
        "You're welcome.",
        "Yes.",
        "What is a filter?",
        "Let me know if you need anything else.",
        "I hope this helps!",
        "If you have other questions, feel free to ask.",
        "Please refer to the manual.",
        "# Maintenance",
        "**Maintenance**",
        "```py\nx = 1\n```",
        "[1]",
        "[0]",
        "[-1]",
        "- [1.5]",
        "...",
        "\U0001f600 !!!",
        "",
    ],
)
def test_courtesies_questions_headings_and_code_are_no_claims(text: str) -> None:
    assert claims(text) == []


def test_bracket_without_letters_is_no_claim_beside_one_and_a_bare_number_is() -> None:
    assert claims("The pump is heavy. [-1]\n\n[0]\n\n[\u6ce8] 1969.") == ["The pump is heavy.", "[\u6ce8] 1969."]
    assert claims("1969.") == ["1969."]  # a short answer


def test_lead_in_and_table_head_are_no_claims() -> None:
    text = "Here are the limits:\n\n| name | value |\n|---|---|\n| size | 5 MB |\n\nThe steps are:\n1. Open it.\n"
    assert [claim.judged for claim in split_claims(text)] == ["size 5 MB", "Open it."]


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("According to the passages, it is **red** [1].", "It is red."),
        ("According to passage 2, it is red.", "It is red."),
        ("The passages state that [FastAPI](https://example.org/) is quick.", "FastAPI is quick."),
        ("It lasts [1] long [2].", "It lasts long."),
        ("In the passages there are words.", "In the passages there are words."),
    ],
)
def test_judged_text_is_what_is_said(text: str, judged: str) -> None:
    assert judged_text(text) == judged


PIECES = st.sampled_from(
    [
        "The passages do not say",
        "I don't know",
        "it lasts 5 h",
        ", but ",
        ". ",
        "\n- ",
        "[1]",
        "**",
        "Hello",
        "\u0130",
        ":",
    ]
)


@given(st.lists(PIECES, max_size=10).map("".join) | st.text(max_size=60))
def test_claims_stand_at_their_offsets_in_order(text: str) -> None:
    end = 0
    for claim in split_claims(text):
        assert end <= claim.start < claim.end <= len(text)
        assert claim.judged
        end = claim.end
    assert not (is_abstention(text) and split_claims(text))
