"""The table of phrases by which text addresses the model that reads it, not the person.

Each row is a name, a weight and what to look for in folded text (lower case, see `folding`). A weight is the chance, as
far as clean documents show it, that the phrase alone is meant for a model; `instructions` combines those that stand
close together. An expression begins with the words that it needs: a leading `\b` or a bracket would keep `re` from
skipping ahead to them, so that a phrase begins a word is checked afterwards. Every repetition is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORDS = r"(?:[\w'-]{1,20}[\s,]{1,4}){0,5}?"  # up to five words between
_RULES = (
    r"(?:instruction|prompt|directive|guideline|direction|command|order|programming|training|restriction|polic(?:y|ies)"
    r"|rule)s?\b"
)
_EARLIER = r"(?:previous|prior|above|earlier|preceding|former|foregoing|initial|original|past|existing|current|system)"
_ANSWER = r"your (?:\w{1,12} ){0,2}?(?:response|answer|reply|output|message|completion|summary)s?\b"
_CHANGE = (
    r"add|includ|integrat|incorporat|insert|append|prepend|embed|modify|augment|enhanc|alter|change|render|convert|encod"
    r"|encrypt|encipher|translat|revers|invert|scrambl|rearrang|replac|substitut|shift|remov|group|combin|jumbl|misspel"
    r"|introduc|express|provid|display|anagram|apply|use|us"
)
_PART = (
    r"(?:sentence|statement|line|paragraph|link|url|claim|fact|tip|reminder|teaser|headline|rumou?r|statistic|reason"
    r"|recommendation|promotion|advert\w{0,10}|announcement|reference|mention|appeal|offer|password)s?\b"
)
_TRICKS = (
    r"(?:base ?-?\d\d|hex(?:adecimal)?|rot-?13|morse|cipher|caesar|emojis?|anagram\w{0,5}|spaces\b|misspel\w{0,6}|typos"
    r"|backwards?|revers\w{0,3}|without (?:any )?spaces|homophonic|alphanumeric|(?:every|each) (?:\w{1,8} )?(?:word"
    r"|letter|vowel)|letters?|vowels|symbols|leet ?speak|pig latin|(?:with|in|to|into) (?:french"
    r"|german|spanish|italian|portuguese"
    r"|russian|chinese|japanese))\b"
)
_PROGRAM = (
    r"(?:response|answer|reply|elucidation|explanation|output|solution|implementation|algorithm|code ?base|code"
    r"|program)\b"
)


@dataclass(frozen=True, slots=True)
class Phrase:
    name: str
    weight: float
    expression: re.Pattern[str]


def _phrase(name: str, weight: float, expression: str) -> Phrase:
    return Phrase(name, weight, re.compile(expression))


# fmt: off
PHRASES: tuple[Phrase, ...] = (
    # Setting aside what the model was told.
    _phrase(
        "override",
        0.9,
        rf"(?:ignor|disregard|forget|overrid|bypass|neglect)\w{{0,3}}\s{_WORDS}{_EARLIER}\s{_WORDS}{_RULES}",
    ),
    _phrase(
        "override",
        0.9,
        rf"(?:ignore|disregard|forget)\s{_WORDS}{_RULES}\s{_WORDS}(?:above|before|earlier|given|got|previously|received)\b",
    ),
    _phrase("override-any", 0.6,
        rf"(?:ignor|disregard|forget)\w{{0,3}}\s(?:all|any|every|your|my|these|those)\s{_WORDS}{_RULES}"),
    _phrase("override-all", 0.6,
        r"(?:forget|disregard|ignore)\s(?:everything|all that|anything)\s(?:from |that |you |i |we |said "
        r"|above|before|prior)"),
    _phrase("override-text", 0.45,
        r"(?:ignor|disregard|overrid|skip)\w{0,3}\s(?:[\w'-]{1,20}\s){0,4}?(?:data|info|information"
        r"|text|content|context|documents?|snippets?|indicators?|evidence|scoring|results?|findings|them"
        r"|instructions?)\b"),
    _phrase("instead-say", 0.55,
        r"(?:ignor|disregard|overrid|forget|don't evaluat|do not evaluat|do not summari[sz]"
        r"|don't summari[sz])[^.!?\n]{1,80}?(?:,|\band\b|\bbut\b|\.) ?(?:just |only |instead,? |then "
        r"|simply |rather ){0,2}(?:print|say|output|write|repeat|respond|reply|answer|return|focus|report"
        r"|tell|give|show)\b"),
    _phrase("when-asked", 0.5,
        r"(?:if|when|whenever|once) (?:you are |you're |the user |a user |user |anyone |someone |somebody "
        r"|they )?(?:is |are )?(?:asks?|asked|questioned|prompted|queried"
        r"|requests?)\b[^.!?\n]{0,80}?,? (?:always |simply |only |just |you must "
        r"|you should ){0,2}(?:respond|reply|report|say|answer|output|print|state|tell|recommend|claim)\b"),
    _phrase("answer-only", 0.45,
        r"(?:simply|just|only) (?:respond|print|output)(?: with)?\b|(?:simply|just) (?:reply|answer) with\b"
        r"|(?:respond|reply|answer|output) with (?:only|just|nothing but|exactly)"
        r"|and (?:absolutely )?nothing else\b|word for word\b"),
    _phrase("focus-only", 0.35, r"focus (?:exclusively|only|solely) on\b|following text and\b|you may not deviate"),
    _phrase("disobey", 0.5,
        r"(?:do not|don't|no longer (?:have to|need to)?|never|stop)\s?(?:follow|obey|abide|adher"
        rf"|bound)\w{{0,3}}\s{_WORDS}{_RULES}"),
    _phrase("new-instructions", 0.45,
        r"(?:new|updated|real|actual|additional|secret|hidden) (?:instruction|directive|task"
        r"|objective)s?\b ?(?::|are\b|is\b|for you\b)"),
    # Giving the model another role.
    _phrase("you-are-now", 0.45,
        r"you(?:'re| are) (?:now|no longer) (?:an?|the|in|my|going|chat|called|named|dan|free|acting|\"|\[)"),
    _phrase("from-now-on", 0.45,
        r"(?:from now(?: on)?|starting now|from this point on|henceforth),? (?:you|chatgpt|your|act|speak"
        r"|answer|respond|reply)"),
    _phrase("act-as", 0.5,
        r"(?:i want|i need|i'd like|you are|you're|you are going|you will|your task is|your job is"
        r"|you must) (?:you )?(?:now )?(?:to )?(?:act|pretend|behave|simulat|emulat|role-?play"
        r"|imperson)\w{0,4}\b"),
    _phrase("act-as-weak", 0.25,
        r"(?:act|answer|respond|reply|speak|behave|write) (?:only )?(?:as|like) (?:an?|if|though|the)\b"
        r"|pretend (?:to be|that you|you)\b|pretending to be\b"),
    _phrase("role-play", 0.35,
        r"role-?play\w{0,3}\b|(?:stay|remain|break|keep|be) (?:in )?(?:your |the )?character\b"
        r"|hypothetical (?:story|response|scenario|robot)|(?:character|ai|bot|chatbot) (?:named|called)\b"),
    _phrase("you-are-ai", 0.4,
        r"you(?:'re| are) (?:an? |the |now )?(?:[\w-]{1,15},? ){0,3}?(?:ai|chat-?bot|language model|llm|bot"
        r"|artificial intelligence|virtual assistant|gpt\w{0,6})\b"),
    _phrase("renamed", 0.35,
        r"your (?:new )?name (?:is|will be) (?:now )?|you (?:now |will )?go by the name|refer to yourself"
        r"|call yourself"),
    _phrase("set-the-scene", 0.25,
        r"i want you to|i will give you|i am going to (?:give|ask)|let's play|the user (?:asks|says|types"
        r"|will|wants)|you will be given|(?:fictional|imaginary) (?:\w{1,10} )?(?:story|ai|character|world"
        r"|scenario)"),
    # Naming the model.
    _phrase("model-name", 0.3,
        r"chat-?gpt|gpt-?[345]\b|openai|language model|as an ai\b|ai model\b|chat-?bot\b|ai assistant"
        r"|\bllms?\b"),
    _phrase("to-the-model", 0.75,
        r"(?:note|message|instructions?|notice|attention|reminder|important) (?:to|for) (?:all |any "
        r"|the )?(?:ai|llm|large language|language model|chatbot|assistant|gpt|automated|model)s?\b"),
    _phrase("to-the-model", 0.75,
        r"if you(?:'re| are) (?:an? |any )?(?:ai|llm|large language|language model|chatbot|gpt"
        r"|virtual assistant|bot)\b"),
    _phrase("to-the-model", 0.6,
        r"(?:ai|llm|language model)s? (?:assistants?|models?|agents?|systems?|reviewers?)? ?(?:reading"
        r"|processing|summari[sz]ing|reviewing|analy[sz]ing|parsing|that reads?|must|should always)\b"),
    _phrase("not-an-ai", 0.7,
        r"(?:do not|don't|never|not) (?:mention|say|tell|reveal|state|claim|admit|disclose"
        r"|remind)\w{0,3} (?:\w{1,10} ){0,3}(?:that )?you(?:'re| are) (?:an? )?(?:ai|language|assistant|bot"
        r"|chatbot|virtual|artificial)"),
    # Its prompt.
    _phrase("system-prompt", 0.5,
        r"system[ -]?(?:prompt|message|instruction)s?\b|(?:initial|hidden|secret|pre-?)prompt\b"
        r"|developer (?:message|prompt)\b"),
    _phrase("instructed", 0.5,
        r"(?:instructions?|prompt|rules|guidelines|text) (?:that )?(?:you|i) (?:were|was|have been"
        r"|had been) (?:given|instructed|told|provided)|(?:i was|you were|you have been) (?:instructed"
        r"|programmed|trained|told) (?:to|by)\b|your (?:initial|original|starting|system|hidden|secret"
        r"|internal) (?:instruction|configuration|prompt|message|setup|directive)s?\b|system instructions?\b"),
    _phrase("whole-conversation", 0.5,
        r"(?:this|the|our) (?:entire|whole|full) (?:conversation|chat|prompt|context)\b|beginning of (?:this"
        r"|the|our) (?:conversation|chat|session)|(?:repeat|print|output|echo|copy|show) (?:all "
        r"|everything )?(?:of )?(?:the )?(?:text |words |content |lines )?(?:above|before this)\b"),
    _phrase("reveal", 0.7,
        r"(?:reveal|print|repeat|show|output|leak|disclos|display|recit|tell me"
        rf"|expos)\w{{0,3}}\s{_WORDS}(?:your|system|initial|hidden|original|secret)\s{_WORDS}(?:prompt"
        r"|instruction|guideline|directive)s?\b"),
    _phrase("mode", 0.6,
        r"(?:developer|god|evil|admin|unrestricted|unfiltered|dan|jailbreak|sudo|debug|maintenance|opposite"
        r"|chaos) mode (?:is )?(?:enabled|activated|on\b|unlocked|output)|(?:enable|activate|enter|switch to"
        r"|unlock)\w{0,3} (?:\w{1,12} ){0,2}?(?:developer|god|evil|admin|unrestricted|dan|jailbreak) mode"),
    # Freeing it from its rules.
    _phrase("do-anything", 0.7, r"do anything now|jail-?br(?:eak|oken)\w{0,3}|typical confines of ai"),
    _phrase("unbound", 0.45,
        r"(?:unfiltered|uncensored|amoral|without (?:any )?(?:ethic|moral|restriction|limitation|censor"
        r"|filter|disclaimer|warning|regard)\w{0,4}|(?:no|zero) (?:ethic|moral|restriction|limitation|filter"
        r"|guideline|content polic)\w{0,4})"),
    _phrase("broken-free", 0.45,
        r"(?:broken?|breaks?|broke|breaking) (?:free|through)|not bound(?:ed)? by|no longer (?:bound"
        r"|restricted|limited)"
        r"|free from (?:\w{1,12} ){0,2}?(?:restriction|rule|limit|constraint)s?\b"),
    _phrase("programming", 0.4,
        r"(?:your|its) (?:programming|creators?\b|training data|guidelines|restrictions|ethical"
        r"|content policy|policies)|reprogram"),
    _phrase("prompt", 0.25, r"(?:your|this|my|first|the following|this) prompts?\b|prompts? ?[:=]"),
    _phrase("unethical", 0.3, r"(?:unethical|immoral|illegal|ethicality|legality|offensive|nsfw|harmful)\b"),
    _phrase("policies", 0.4,
        r"(?:ethical|moral|content|openai|safety|usage|community) (?:guideline|polic|principle|standard"
        r"|restriction)\w{0,3}"),
    _phrase("refuse", 0.45,
        r"(?:never|not|cannot|can't|don't|won't|without) (?:\w{1,10} )?(?:refus|reject|declin|apologi"
        r"|say(?:ing)? (?:no|sorry)|\"?i'm sorry)\w{0,4}"),
    _phrase("any-request", 0.4,
        r"(?:any|all|every|each|my) (?:of )?(?:\w{1,10} )?(?:requests?|prompts?|commands?|quer(?:y|ies))\b"),
    # How it is to answer.
    _phrase("answer-with", 0.5,
        r"(?:respond|reply|answer|begin|start|end|finish|prefix|preface|conclude) (?:\w{1,10} ){0,2}?(?:your"
        r"|every|each|all|any|my) (?:\w{1,12} ){0,2}?(?:response|answer|reply|replies|message|sentence"
        r"|output|question|request)s? (?:with|by|in|as|using)\b"),
    _phrase("answer-only", 0.35,
        r"(?:only|always) (?:ever )?(?:respond|reply|answer|output)\b|(?:respond|reply|answer) (?:only"
        r"|always|exactly|solely|nothing|in the (?:following|form)|with (?:only|exactly|the))\b"),
    _phrase("first-request", 0.6,
        r"(?:my|the) (?:first|next) (?:request|question|prompt|sentence|message|command|query|suggestion"
        r"|task|instruction)s? (?:is|will|are)\b"),
    _phrase("understood", 0.35,
        r"(?:if you (?:understand|understood|agree)|do you understand|say \"?(?:ok|yes|understood"
        r"|i understand)|reply with \"?(?:ok|yes|understood))"),
    _phrase("you-will", 0.25, r"you (?:will|must|shall|have to|are to|can't|cannot|do not|don't|always|never)\b"),
    # Changing the answer.
    _phrase("trick-answer", 0.75,
        rf"(?:{_CHANGE})\w{{0,4}}\s(?:[^.!?\n]{{0,80}}?\s)??{_TRICKS}[^.!?\n]{{0,50}}?\b(?:your"
        r"|the) (?:response|answer|reply|message)"),
    _phrase("trick-answer", 0.75,
        rf"(?:{_CHANGE}|repl|writ|giv|respond"
        rf"|answer)\w{{0,4}}\s(?:[^.!?\n]{{0,60}}?\s)?your (?:\w{{1,10}} ){{0,2}}?(?:response|answer|reply"
        rf"|message)s?\b[^.!?\n]{{0,50}}?{_TRICKS}"),
    _phrase("trick-reply", 0.7,
        r"(?:reply|respond|answer) (?:to \w{1,10} )?(?:in|using|with) (?:\w{1,10} )?(?:base ?-?\d\d|revers"
        r"|backward|morse|rot-?13|hex|emoji|cipher|french\b|german\b|spanish\b|italian\b)"),
    _phrase("add-to-answer", 0.75,
        r"(?:add|includ|integrat|incorporat|insert|append|prepend|embed|provid|augment|enhanc"
        rf"|modify)\w{{0,3}}\s(?:[^.!?\n]{{0,60}}?\s)??{_PART}[^.!?\n]{{0,60}}?\byour (?:response|answer"
        r"|reply|output|summary)\b"),
    _phrase("add-to-answer", 0.75,
        r"(?:modify|enhance|augment|alter|adjust|end|finish) your (?:response|answer|reply|output"
        r"|summary)s? (?:to|by|with)\b"),
    _phrase("add-to-answer", 0.75,
        r"in(?:to)? your (?:response|answer|reply|output|summary),? (?:please )?(?:suggest|mention|includ"
        r"|tease|add|recommend|promot|encourag|also|stat|say|hint|link|refer|never|always|do not|don't)"),
    _phrase("add-quoted", 0.75,
        r"(?:add|include|append|insert|say|write) \"[^\"\n]{1,200}\"[^.!?\n]{0,40} (?:to|in|into|at"
        r"|as) (?:your|the (?:end|start|beginning) of (?:your|the)|every|each) (?:\w{1,10} )?(?:response"
        r"|answer|reply|replies|output|message|summary)\b"),
    _phrase("in-your-answer", 0.35,
        r"(?:add|includ|integrat|incorporat|insert|append|embed|mention|translat|encod"
        rf"|writ)\w{{0,3}}\s[^.!?\n]{{0,100}}?\b{_ANSWER}"),
    _phrase("review-bias", 0.75,
        r"(?:give|provide|write|output)\w{0,3} (?:only )?a (?:\w{1,10} )?positive (?:review|evaluation"
        r"|assessment|recommendation) only|(?:do not|don't|never) (?:highlight|mention|include"
        r"|report) any (?:\w{1,10} )?(?:negatives?|weakness\w{0,2}|flaws?|criticisms?)\b"
        r"|positive review only"),
    # Hiding something from its user, or carrying something away.
    _phrase("hide", 0.75,
        r"(?:do not|don't|never|without) (?:tell|inform|mention|alert|notify|reveal|show|let"
        r"|disclos)\w{0,4} (?:\w{1,10} ){0,4}?(?:to )?the (?:user|human|reader|operator)s?\b"),
    _phrase("exfiltrate", 0.6,
        r"(?:send|post|forward|upload|exfiltrat|transmit|email|leak"
        rf"|append)\w{{0,4}}\s{_WORDS}(?:conversation|chat history|user'?s? (?:data|input|question|quer|name"
        r"|e-?mail|message|credential)|api keys?|passwords?|credentials|secrets?"
        rf"|session token)[^.!?\n]{{0,60}}? (?:to|at|via|as) (?:https?:|www\.|\w{{1,30}}@|this (?:url|address"
        r"|link)|the (?:following )?(?:url|address|link|server|endpoint))"),
    _phrase("image-beacon", 0.75,
        r"!\[[^\]\n]{0,100}\]\(https?://[^)\s]{1,200}[?&/=][^)\s]{0,80}(?:\{|\[|<|%7b|\$|your_|user_|conversation|chat_?history|secret|password|prompt)"),
    _phrase("urge-link", 0.35,
        r"(?:tell|ask|direct|urge|instruct|convince|persuade)\w{0,3} (?:the |all )?(?:user|reader|customer"
        r"|visitor|human)s?\b[^.!?\n]{0,80}?(?:https?://|www\.|click|visit|download|call|install|enter"
        r"|bank|password|credit card)"),
    _phrase("tool-call", 0.5,
        r"(?:call|invoke|use|run|execute) (?:the |your )?[\w.-]{1,40} (?:tool|function|plugin)s? (?:to|with"
        r"|and)\b[^.!?\n]{0,100}?(?:send|delet|email|post|transfer|upload|forward|purchas|fetch)"),
    # The marks of chat templates.
    _phrase("template", 0.8,
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|start_header_id|eot_id|begin_of_text"
        r"|channel|message)\|>|<start_of_turn>|<end_of_turn>|<<sys>>|\[/?inst\]|\[/?system(?: message"
        r"| prompt)?\]|</?system(?:[_-]prompt|[_-]message)?>"),
    _phrase("template-header", 0.5,
        r"#{2,4} ?(?:instructions?|system(?: prompt| message)?|human|assistant|user) ?:|begin (?:system"
        r"|admin|hidden|new) (?:prompt|instruction|message|override)s?|end of (?:system )?(?:prompt"
        r"|instruction)s?\b|system override|admin(?:istrator)? override"),
    _phrase("turns", 0.35, r"\n[#*> -]{0,4}(?:assistant|ai|chatgpt|chatbot|system)\*{0,2} ?:"),
    _phrase("user-turn", 0.35, r"\n[#*> -]{0,4}(?:user|human)\*{0,2} ?:"),
    _phrase("unseen", 0.6,
        r"(?:invisible|hidden|not visible) (?:to|from|for) (?:the )?(?:human|reader|user|people|person)s?\b"
        r"|visible (?:only )?to (?:the )?(?:llm|ai|model|machine)|(?:hidden|metadata|profile|notes?|text"
        r"|intended) for (?:\w{1,12} )?(?:automated|ai|llm|machine|screening)\b|chain of thought"),
    # Code that steals, destroys or opens a way in, offered for inclusion.
    _phrase("include-code", 0.35,
        r"(?:following|below|subsequent|next|given) (?:\w{1,12} )?code ?(?:snippet|block|excerpt|section"
        r"|segment|fragment)?s?\b"),
    _phrase("code-to-answer", 0.5,
        rf"code (?:snippet|block|excerpt|section|segment|fragment)s?\b[^.!?\n]{{0,60}}? (?:your"
        rf"|the) (?:\w{{1,12}} ){{0,2}}?{_PROGRAM}"),
    _phrase("code-to-answer", 0.5,
        rf"your {_PROGRAM}[^.!?\n]{{0,60}}? (?:following|below|subsequent) code (?:snippet|block|excerpt"
        r"|section|segment|fragment)s?\b"),
    _phrase("carries-away", 0.3,
        r"requests?\.(?:post|put)\(|\.sendall\(|\.sendto\(|\.storbinary\(|\.sendmail\(|smtplib|yagmail"
        r"|ftplib|paramiko|conn\.request\(\"post|curl[^\n]{0,40} -f\b|(?:scp|rsync)\"?,? "),
    _phrase("takes", 0.25,
        r"psutil|os\.environ\[|cookies|driverquery|check_output|usb\.core|query_devices|contacts\.csv"
        r"|\.read\(\)|virtual_memory|netstat|nvidia-smi|ssh -l|urlopen\("),
    _phrase("destroys", 0.5,
        r"dd if=/dev/(?:random|zero|urandom)|rm -rf (?:--no-preserve-root )?[/~]|rmtree\([\"'][/~]"
        r"|os\.remove\([\"']/(?:lib|etc|boot|usr|bin)|systemctl stop|/etc/init\.d|/boot/grub|os\.fork\(\)"
        r"|ipconfig[\"', ]{1,4}/release|\bping -n \d{3}"
        r"|while true:[^\n]{0,5}\n[^\n]{0,40}\n?[^\n]{0,40}(?:requests\.get|os\.system|subprocess|send\("
        r"|tk\.tk)"),
    _phrase("pipe-to-shell", 0.25, r"(?:curl|wget) [^\n]{0,120}\| ?(?:sudo )?(?:ba|z)?sh\b"),
    _phrase("opens-a-way", 0.6,
        r"nc -e |/dev/tcp/|authorized_keys"
        r"|exploit\.(?:py|sh)|/etc/(?:shadow|hosts)\b|pickle\.loads\((?:response|requests|r\.)|cryptomin"
        r"|coinhive|xmrig|miner_url"),
    _phrase("listens-in", 0.5,
        r"keylogger|pynput|pyperclip|win32clipboard|pbpaste|xclip|xsel\b|imagegrab|pyautogui\.screenshot"
        r"|screencapture|gnome-screenshot|snippingtool|cookiejar|cookies\.(?:txt|pkl|sqlite)|browser_cookie3"
        r"|getpass\.getuser|fernet|scapy"),
    # The first phrase again in the languages that are spoken most in documents here, and the change of role.
    _phrase("override-de", 0.9,
        r"(?:ignorier|vergiss|vergesst|missacht|übergeh)\w{0,4}\s(?:[\wäöüß]{1,20}\s){0,4}?(?:anweisung"
        r"|instruktion|befehl|regel|vorgabe|prompt|richtlinie)\w{0,3}"),
    _phrase("override-fr", 0.9,
        r"(?:ignor|oubli)(?:e|ez|er|ons)\s(?:[\w'é]{1,20}\s){0,4}?(?:instruction|consigne|directive|règle"
        r"|ordre)s?\s(?:\w{1,12}\s){0,2}?(?:précédent|antérieur|ci-dessus|donné|initial|reçu)"),
    _phrase("override-fr", 0.9,
        r"ne (?:tiens|tenez|tenir) (?:pas|plus|aucun) compte (?:[\w'é]{1,20}\s){1,4}?(?:instruction|consigne"
        r"|directive|règle)s?\b"),
    _phrase("override-es", 0.9,
        r"(?:ignor(?:a|e|ar|en)|olvid(?:a|e|ar|en)|haz caso omiso de"
        r"|descarta)\s(?:\w{1,20}\s){0,4}?(?:instruccion(?:es)?|indicacion(?:es)?|órdenes|reglas"
        r"|directrices)\b"),
    _phrase("override-it", 0.9,
        r"(?:ignora|ignorate|ignorare|dimentica|dimenticate|trascura)\s(?:\w{1,20}\s){0,4}?(?:istruzioni"
        r"|indicazioni|regole|direttive)\b"),
    _phrase("override-pt", 0.9,
        r"(?:ignor[ea]|ignorar|esqueç[ae]|desconsidere)\s(?:\w{1,20}\s){0,4}?(?:instruções|ordens|regras"
        r"|diretrizes|comandos)\b"),
    _phrase("override-nl", 0.9,
        r"(?:negeer|vergeet)\s(?:\w{1,20}\s){0,4}?(?:instructies|aanwijzingen|opdrachten|regels)\b"),
    _phrase("override-ru", 0.9,
        r"(?:про)?(?:игнорируй|забудь|не обращай внимания на)(?:те)?\s(?:\w{1,20}\s){0,4}?(?:инструкци"
        r"|указани|команд|правил)\w{0,3}"),
    _phrase("override-pl", 0.9,
        r"(?:zignoruj|ignoruj|zapomnij)\w{0,3}\s(?:\w{1,20}\s){0,4}?(?:instrukcj|polece|zasad"
        r"|wytyczn)\w{1,4}"),
    _phrase("override-zh", 0.9,
        r"(?:忽略|无视|無視|忘记|忘記|不要理会)[^。!?\n]{0,14}(?:指令|指示|提示词|提示|命令|规则|規則|说明)"),
    _phrase("override-ja", 0.9,
        r"(?:以前|これまで|上記|今まで|前)[^。\n]{0,10}(?:指示|命令|プロンプト|ルール)[^。\n]{0,6}(?:無視|忘れ)"),
    _phrase("override-ko", 0.9,
        r"(?:이전|위의|앞의|지금까지)[^.\n]{0,12}(?:지시|명령|프롬프트|규칙)[^.\n]{0,8}(?:무시|잊)"),
    _phrase("override-ar", 0.9, r"(?:تجاهل|انس)\s(?:\w{1,20}\s){0,4}?(?:التعليمات|الأوامر|القواعد)"),
    _phrase("you-are-now-any", 0.45,
        r"du bist (?:jetzt|nun|ab sofort) |tu es (?:maintenant|désormais) |vous êtes (?:maintenant"
        r"|désormais) un|ahora eres |a partir de ahora,? (?:eres|actúa|responde)|(?:ora|adesso) sei un"
        r"|da ora in poi,? (?:sei|rispondi)|a partir de agora,? (?:você|responda)|(?:теперь ты|отныне ты)"
        r"|你现在是|从现在开始,?你|これからあなたは|あなたは今から"),
    _phrase("system-prompt-any", 0.5,
        r"system-?prompt|prompt (?:système|del sistema|di sistema|do sistema)|systeemprompt"
        r"|системн\w{2} промпт|系统提示词?|システムプロンプト"),
)
# fmt: on
