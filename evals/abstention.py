"""Which sentences say that the answer is not known, or not in the passages: "I don't know", "The passages don't say".

English, by pattern, on plain lower-case text. What an answer says of the passages is an abstention ("the passages do
not contain the price"); what it says of their subject is a claim ("the pump does not contain oil"), and so is what
could be either ("the document does not require a signature").
"""

from __future__ import annotations

import re

# What an answer calls the passages: never to be mistaken ("the passages", "the provided document") ...
PASSAGES = (
    r"(?:(?:the|these|those|this|any|all|your|my) )?(?:of (?:the|these|those) )?"
    r"(?:(?:(?:provided|given|supplied|available|retrieved|above) )+"
    r"(?:passages?|documents?|documentation|context|texts?|sources?|excerpts?|information|materials?|content"
    r"|articles?|manuals?|snippets?)"
    r"|passages?|context|excerpts?|snippets?|search results|knowledge base)\b"
    r"(?! (?:menu|manager|window|length|switch|object|variable|processor)s?\b)"
    r"(?: (?:provided|given|above|here|you (?:gave|provided)))*"
)
# ... and words that may also be the subject of the documents themselves.
_DOCUMENTS = (
    r"(?:the|these|this|that|those) "
    r"(?:documents?|documentation|texts?|sources?|manuals?|articles?|pages?|materials?|files?)"
)
PASSAGES_OR_DOCUMENTS = rf"(?:{PASSAGES}|{_DOCUMENTS})"
_NUMBERS = r"(?: (?:and )?\d+,?)*"  # "passages 1 and 2"
_NOT = r"(?:do not|does not|did not|don't|doesn't|didn't|cannot|can't|never)"
_IS = r"(?:is|are|was|were)"
_ADVERB = r"(?: \w+ly| actually| seem to| appear to)*"
_SAY = (
    r"(?:say|state|mention|specify|tell|answer|address|discuss|cover|describe|explain|indicate|reveal|list|name"
    r"|clarify|define|refer|talk|disclose)"
)
_HOLD = r"(?:contain|include|provide|have|give|offer|hold)"
_INFORMATION = (
    r"(?:(?:any|enough|sufficient|the|an|a|specific|explicit|direct|relevant|further|more|such|this|that|other) )*"
    r"(?:information|mention|details?|answer|data|indication|context|reference)\b"
)
_SAID = r"(?:mentioned|specified|stated|discussed|described|addressed|explained|answered|disclosed)"
_HELD = r"(?:given|provided|found|included|covered|listed|contained|available|present|indicated|in)"
_I_CANNOT = (
    r"i (?:really |honestly |still )?(?:do not|don't|did not|didn't|cannot|can't|could not|couldn't|am not able to"
    r"|am unable to)"
)

_OF_ONESELF = (
    rf"(?:^|[,;] |so |therefore |but ){_I_CANNOT}{_ADVERB} (?:know|answer|find|determine|say|tell|help"
    rf"|(?:provide|have) {_INFORMATION})",
    r"\bi(?:'m| am) (?:unable|not able) to (?:\w+ly )?(?:answer|find|determine|say|tell|provide|locate)\b",
    r"\bi(?:'m| am) (?:not |un)(?:sure|certain)\b",
    rf"\bi (?:have no (?:idea|information|answer|knowledge)|lack {_INFORMATION})\b",
    r"\bwe (?:do not|don't|cannot|can't) (?:know|tell)\b(?! (?:you|users?|customers?))",
)
_OF_THE_PASSAGES = (
    rf"\b{PASSAGES_OR_DOCUMENTS}{_NUMBERS} {_NOT}{_ADVERB} {_SAY}\b",
    rf"\b{PASSAGES_OR_DOCUMENTS}{_NUMBERS} {_NOT}{_ADVERB} {_HOLD} {_INFORMATION}",
    rf"\b{PASSAGES}{_NUMBERS} {_NOT}{_ADVERB} {_HOLD}\b",
    rf"\b{PASSAGES_OR_DOCUMENTS}\b.{{0,200}}\b(?:they|it|but|and) {_NOT}{_ADVERB} (?:{_SAY}|{_HOLD} {_INFORMATION})",
    rf"\b{PASSAGES_OR_DOCUMENTS} (?:{_HOLD}|make)s? no {_INFORMATION}",
    rf"\b(?:none|neither) of {PASSAGES_OR_DOCUMENTS} (?:{_SAY}|{_HOLD})s?\b",
    rf"\bno passages? (?:{_SAY}|{_HOLD})s?\b",
    rf"\bnothing (?:is said |is mentioned )?(?:in|about .{{0,200}} in) {PASSAGES_OR_DOCUMENTS}",
)
_OF_THE_ANSWER = (
    rf"\b{_IS}(?: not|n't| never| nowhere){_ADVERB} {_SAID}(?: anywhere)? (?:in|by|within) {PASSAGES_OR_DOCUMENTS}",
    rf"\b{_IS}(?: not|n't| never| nowhere){_ADVERB}(?: {_HELD})+(?: anywhere)?(?: (?:in|by|within|from))? {PASSAGES}",
    rf"\b{_IS}(?: not|n't| never){_ADVERB} (?:mentioned|specified|stated)[.!]*$",
    rf"\bthere {_IS}(?:n't)?(?: no| not| not any| any)?(?: \w+)?(?: \w+)? (?:information|mention)"
    r"(?: (?:available|provided|given))?(?: (?:about|on|of|regarding|concerning|as to|in|to answer)\b|[.!]*$)",
    rf"\bthere {_IS} (?:no|not any|not enough|insufficient) {_INFORMATION}.{{0,200}} in {PASSAGES}",
    rf"^(?:not enough|insufficient|no)(?: relevant| further)? {_INFORMATION}(?: {_IS})?"
    r"(?: (?:available|provided|given|found))?"
    rf"(?: (?:to answer|about|on|regarding)\b.{{0,200}}| in {PASSAGES_OR_DOCUMENTS}.{{0,200}})?[.!]*$",
    r"\b(?:cannot|can't|can not|could not|couldn't) be"
    r" (?:determined|answered|found|inferred|known|established|derived)(?: \w+)?"
    rf" (?:in|from|on|using|with|by)\b.{{0,200}}{PASSAGES_OR_DOCUMENTS}",
    r"^(?:this|the|your|that) question (?:cannot|can't|can not|could not) be answered",
    r"^(?:sorry, |unfortunately, )?(?:it is |it's )?(?:unable|not able|impossible|not possible) to"
    r" (?:answer|determine|say|tell|find)\b",
    r"^(?:the answer is |it is )?(?:unknown|n/a|no answer|unanswerable"
    r"|not (?:mentioned|specified|stated|found|available|given|provided|known))[.!]*$",
)
_ABSTENTION = re.compile("|".join((*_OF_ONESELF, *_OF_THE_PASSAGES, *_OF_THE_ANSWER)))


def abstains(said: str) -> bool:
    """`said`: one sentence, lower case, one space between words, plain quotes."""
    return _ABSTENTION.search(said) is not None
