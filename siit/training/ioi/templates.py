"""Lists the templates of sentences, with slots for two names, the subject's second mention, a place and an object.

`{a}` and `{b}` are the first mentions of two names, `{s}` is one of them again: the subject. The answer after the last
word is the other one, the indirect object. In the order ABBA the subject is `{b}`, in BABA it is `{a}` (Wang et al.,
arXiv 2211.00593, section 2).
"""

from __future__ import annotations

SLOTS = ("{a}", "{b}", "{s}", "{place}", "{object}")

TEMPLATES = (
    "When {a} and {b} went to the {place} , {s} gave a {object} to",
    "Then , {a} and {b} had a long day at the {place} and {s} gave the {object} to",
    "After {a} and {b} left the {place} , {s} handed a {object} to",
    "While {a} and {b} were working at the {place} , {s} passed the {object} to",
    "Yesterday {a} met {b} near the {place} and {s} showed a {object} to",
    "The {place} was quiet when {a} saw {b} , so {s} offered a {object} to",
    "Friends of {a} say that {b} found a {object} at the {place} before {s} sold it to",
    "At the {place} , {a} sat beside {b} until {s} threw a {object} to",
    "Because {a} and {b} were late for the {place} , {s} lent a {object} to",
    "It was raining at the {place} , and while {a} talked with {b} , {s} brought a {object} to",
    "Both {a} and {b} wanted the {object} from the {place} but {s} sent it to",
    "In the morning {a} called {b} about the {object} , and later at the {place} {s} returned it to",
    "Once {a} had found {b} inside the {place} , {s} read about the {object} to",
    "Soon after {a} and {b} moved to the {place} , {s} promised a {object} to",
    "Since {a} knew {b} from the {place} , {s} wanted to give the {object} to",
    "Last week {a} walked with {b} to the {place} , where {s} sold a {object} to",
    "As {a} waited for {b} outside the {place} , {s} wanted to show the {object} to",
    "Before {a} could thank {b} for the {object} , {s} left the {place} with a gift for",
    "On the way to the {place} , {a} helped {b} , and {s} made a {object} for",
    "Although {a} and {b} disagreed about the {place} , {s} explained the {object} to",
)
"""What training and the certificate draw from."""

HELD_OUT_TEMPLATES = (
    "When {a} saw {b} at the {place} , {s} sent a {object} to",
    "After a long day {a} and {b} were late , and {s} brought the {object} from the {place} to",
    "Yesterday , while {a} sat with {b} outside the {place} , {s} lent the {object} to",
    "Then {a} talked about the {place} with {b} , but {s} offered a {object} to",
)
"""Made of the words of the others and never trained on; what the model does with them is reported, not gated on."""
