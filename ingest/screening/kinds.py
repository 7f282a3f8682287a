"""What each kind of phrase does to the model, in the words of whoever decides about the document."""

from __future__ import annotations

from collections.abc import Iterable

_IGNORE = "tells the reader to ignore what it was told before"
_ROLE = "gives the reader another role"
_ANSWER = "says how the answer is to be written"
_CHANGE = "has something added to the answer"
_PROMPT = "speaks of the prompt of a model"
_FREE = "says that rules no longer hold"
_TURNS = "looks like the turns of a chat"
_CODE = "has code that takes data, does damage or opens a way in"

# By the name in `phrases.PHRASES`, without the end that tells languages apart.
_SAID = {
    "override": _IGNORE,
    "override-any": _IGNORE,
    "override-all": _IGNORE,
    "override-text": "tells the reader to ignore a text",
    "instead-say": "tells the reader to say something else instead",
    "when-asked": "says what to answer when somebody asks",
    "answer-only": _ANSWER,
    "answer-with": _ANSWER,
    "focus-only": "tells the reader what alone to look at",
    "disobey": "tells the reader not to follow rules",
    "new-instructions": "announces new instructions",
    "you-are-now": _ROLE,
    "you-are-now-any": _ROLE,
    "from-now-on": "says what holds from now on",
    "act-as": _ROLE,
    "act-as-weak": _ROLE,
    "role-play": "asks for a role to be played",
    "you-are-ai": "calls the reader an AI",
    "renamed": "gives the reader another name",
    "set-the-scene": "sets a scene for the reader",
    "model-name": "names language models",
    "to-the-model": "is addressed to an AI",
    "not-an-ai": "tells the reader to hide that it is an AI",
    "system-prompt": _PROMPT,
    "system-prompt-any": _PROMPT,
    "instructed": "speaks of what the reader was instructed",
    "whole-conversation": "speaks of the whole conversation",
    "reveal": "asks for hidden instructions",
    "mode": "switches to a mode without rules",
    "do-anything": _FREE,
    "unbound": _FREE,
    "broken-free": _FREE,
    "programming": "speaks of the reader's programming",
    "prompt": _PROMPT,
    "unethical": "speaks of what is not allowed",
    "policies": "speaks of guidelines of a model",
    "refuse": "tells the reader not to refuse",
    "any-request": "speaks of any request there may be",
    "first-request": "makes a first request",
    "understood": "asks the reader to confirm",
    "you-will": "tells the reader what it must do",
    "trick-answer": "has the answer written in code, letters or another language",
    "trick-reply": "has the answer written in code, letters or another language",
    "add-to-answer": _CHANGE,
    "add-quoted": _CHANGE,
    "in-your-answer": _CHANGE,
    "review-bias": "asks for praise alone",
    "hide": "has something hidden from the user",
    "exfiltrate": "has data sent away",
    "image-beacon": "has data sent away by the address of a picture",
    "urge-link": "has users sent to a link",
    "tool-call": "has a tool called",
    "template": _TURNS,
    "template-header": _TURNS,
    "turns": _TURNS,
    "user-turn": _TURNS,
    "unseen": "says that people do not see it",
    "include-code": "has code included in the answer",
    "code-to-answer": "has code included in the answer",
    "carries-away": _CODE,
    "takes": _CODE,
    "destroys": _CODE,
    "pipe-to-shell": _CODE,
    "opens-a-way": _CODE,
    "listens-in": _CODE,
    "wording of a prompt": "is worded like a prompt",
    "likely wording": "is likely worded like a prompt",
    "possible wording": "may be worded like a prompt",
}
_LANGUAGES = ("de", "fr", "es", "it", "pt", "nl", "ru", "pl", "zh", "ja", "ko", "ar")


def said(names: Iterable[str]) -> str:
    """What phrases and wordings of these names do, each once: "gives the reader another role, names a model"."""
    return ", ".join(dict.fromkeys(_SAID[_without_language(name)] for name in names))


def _without_language(name: str) -> str:
    stem, _, language = name.rpartition("-")
    return stem if language in _LANGUAGES else name
