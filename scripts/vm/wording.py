# SPDX-License-Identifier: GPL-2.0
"""Phrases that made sentences hard to read here, and the words to write instead. Sentences of the tests are from this tree."""

from typing import NamedTuple


class Wording(NamedTuple):
    """A phrase that `make lint` refuses."""

    pattern: str  # regular expression over a passage of prose, see prose.py
    instead: str
    bad: str  # a sentence that was in this tree
    good: str  # ...and is there now


START = r"(?:^|[.!?] )"  # of a sentence

WORDINGS = (
    Wording(START + r"Of (?!course)", "begin with the subject: 'the first of the orders are', not 'Of the orders'",
            "Of all operations.", "Rules for all operations."),
    Wording(r"\b[Ww]hoever\b", "name the task: 'any task that'",
            "Before it remaps, hugetlb waits for whoever looks a page up under RCU.",
            "Before it remaps, hugetlb waits for every RCU reader."),
    Wording(r"(?:" + START + r"|[;:] )[Ww]ho (?![^.;]*\?)|\b(?:by|for|has|have|knows|of|says|see|tells|than|to) whom?\b|\bthose whom\b",
            "name the actor: 'a process that', 'an actor that'",
            "Who goes to sleep of itself has the scheduler on the same stack.",
            "Ignore tasks that enter schedule(), who sleep by themselves."),
    Wording(r"\b(?:is|are|was|were) to (?!(?:a|an|each|its|one|that|the|their|this)\b)[a-z]", "must, will, or the plain verb",
            "True if the actor is to be held, and goes to the stub.", "True if the stub must hold the actor."),
    Wording(r"\bone's own\b", "name the owner: 'the program's own'",
            "PTE tables of one's own, given to the real pte_free_defer().",
            "PTE tables that the test made, given to the real pte_free_defer()."),
    Wording(r"\b(?:are|be|been|is|was|were) told\b", "name the agent: 'the kernel notifies', 'the report says'",
            "Secondary MMUs are told before the table is unlinked.",
            "The kernel notifies secondary MMUs before it unlinks the table."),
    Wording(r"\b(?:are|be|been|is|was|were) said\b", "name the agent: 'the row says'",
            "That it was written is said by a Dirty bit.", "A Dirty bit says that the page was written."),
    Wording(r"\b(?:are|be|been|is|was|were) had\b", "available, allocated, reachable, taken",
            "A page beyond the new end can still be had, or not.", "A page beyond the new end may still be allocated, or not."),
    Wording(START + r"That (?:an?|each|it|no|some|the|they|what) ", "begin with the subject, and put the clause behind the verb",
            "That the actor spins is told by three signs.", "Three signs tell that the actor spins. That holds anywhere."),
    Wording(r"\bin the midst\b", "in the middle of, before it ends",
            "The leak is a count that is not made, in the midst of move_vma().",
            "move_vma() does not make a count, in the middle of its work."),
    Wording(r"\ball the same\b", "still, nevertheless",
            "6.12 asks the setting of the huge page's own size all the same.",
            "6.12 still reads the setting of this size. These are all the same size to it."[:45]),
    Wording(r"\b(?:come|comes|came|coming) to an end\b", "end, return",
            "mremap() of such a mapping comes to an end.", "mremap() of such a mapping returns."),
)
