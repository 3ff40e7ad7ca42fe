# SPDX-License-Identifier: GPL-2.0
"""Phrases that made sentences hard to read in this tree, and the words to write instead."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from . import prose

START = r"(?:^|[.!?](?:\*\*)? )"  # of a sentence
BE = r"\b(?:are|be|been|is|was|were)"


class Wording(NamedTuple):
    """A phrase that `make lint` refuses."""

    pattern: str  # regular expression over a passage of prose, see prose.py
    instead: str
    bad: str  # a sentence that was in this tree; each has a test
    good: str  # the sentence that replaced it


WORDINGS = (
    Wording(START + r"Of (?!course)", "begin with the subject: 'the first orders are', not 'of the orders'",
            "Of all operations.", "For all operations."),
    Wording(START + r"That (?:an?|each|it|no|some|the|they|what) ", "begin with the subject, and put the clause after the verb",
            "That an actor spins is told by what does not happen.", "An actor counts as spinning by three signs."),
    Wording(START + r"What (?![^.;]*\?)", "name the thing: 'the formats', not 'what is written and what is read'",
            "What is written and what is read: depth_lines.h.", "depth_lines.h has the formats."),
    Wording(r"(?<![@\w])[Ww]hat (?:are|came|comes|goes|had|has|is|lies|stands|was|went|were)\b(?![^.;]*\?)",
            "name the thing: 'the missing part', not 'what is missing'",
            "A skip names what is missing.", "A skip names the missing part."),
    Wording(r"\b[Ww]hoever\b", "name the task: 'any task that'",
            "Before it remaps, hugetlb waits for whoever looks a page up under RCU.",
            "From 6.11 to 7.0 hugetlb waits for every RCU reader before it remaps."),
    Wording(rf"(?:{START}|[;:] )[Ww]ho (?![^.;]*\?)|\b(?:and|by|for|has|have|knows|of|says|see|tells|than|to) whom?\b|\bthose whom\b",
            "name the actor: 'an actor that', 'the sharers'",
            "hugetlb.h - <debugfs>/faultline/hugetlb/share: who shares a table of PMDs.",
            "hugetlb.h - <debugfs>/faultline/hugetlb/share: the sharers of a table of PMDs."),
    Wording(BE + r" to (?!(?:a|an|each|its|one|that|the|their|this)\b)[a-z]", "must, will, or the plain verb",
            "True if the actor is to be held, and goes to the stub.", "True if the stub must hold the actor."),
    Wording(r"\bone's own\b", "name the owner: 'of the test', 'your own'",
            "PTE tables of one's own, given to the real pte_free_defer().",
            "PTE tables of the test, given to the real pte_free_defer()."),
    Wording(BE + r" told\b", "name the agent: 'the kernel notifies', 'the report says'",
            "Secondary MMUs are told before the table is unlinked.",
            "The kernel notifies secondary MMUs before it unlinks the table."),
    Wording(BE + r" said\b", "name the agent: 'the row says'",
            "What may differ is said before.", "may_differ() allows a difference beforehand."),
    Wording(BE + r" had\b", "available, allocated, taken, run",
            "Before the truncation has ended, a page beyond the new end can still be had, or not.",
            "Until the truncation has ended, a fault beyond the new end may still succeed, or not."),
    Wording(r"\bin the midst\b", "in the middle of, during, before it ends",
            "An actor that is a process ends behind its last step, or by exit() in the midst of them.",
            "An actor that is a process ends after its last step, or by exit() between two steps."),
    Wording(r"\ball the same\b", "still",
            "For shared anonymous memory, 6.12 asks the setting of the huge page's own size all the same.",
            "For shared anonymous memory, 6.12 still reads the setting of the huge page's size."),
    Wording(r"\b(?:came|come|comes|coming) to (?:an|its|their) end\b", "end, return",
            "mremap() of a mapping whose page tables could be shared comes to an end.",
            "mremap() of a mapping whose page tables could be shared returns."),
    Wording(r"\b(?:drawn by|each by|draws by) lot\b", "random",
            "Three processes take steps that the player draws by lot.", "Three processes take random steps of the player."),
    Wording(r"\bbut for\b", "except", "Lines of 100 columns at most, but for replay lines.", "Lines of 100 columns at most, except replay lines."),
    Wording(r"\bmend(?:ed|ing|s)?\b", "fix, correct", "The answer is the commit that mended it.", "The answer is the commit that fixed the scenario."),
    Wording(r"\bsees? to it\b", "ensure", "pgtable/tables sees to it that a head which is queued twice does no harm.",
            "pgtable/tables makes a second queueing of a head harmless."),
)


def refused(name: str, text: str) -> Iterator[str]:
    """A line for each phrase of the file that stands in the table."""
    for passage in prose.passages(name, text):
        for wording in WORDINGS:
            for found in re.finditer(wording.pattern, passage.text):
                words = passage.text[max(0, found.start() - 30):found.end() + 30].strip()
                yield f"{name}:{passage.line}: '{words}': {wording.instead}"
