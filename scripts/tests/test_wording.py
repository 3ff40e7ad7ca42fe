# SPDX-License-Identifier: GPL-2.0
"""The word list of `make lint`: each phrase is found in the sentence that had it, and not in its better form."""

import re
import unittest

from vm import prose, wording


class WordingTest(unittest.TestCase):
    def test_each_pattern_finds_its_recorded_sentence(self) -> None:
        for row in wording.WORDINGS:
            with self.subTest(row.pattern):
                self.assertRegex(row.bad, row.pattern)

    def test_no_pattern_finds_a_better_sentence(self) -> None:
        for row in wording.WORDINGS:
            for other in wording.WORDINGS:
                with self.subTest(row.good, pattern=other.pattern):
                    self.assertNotRegex(row.good, other.pattern)

    def test_each_row_is_found_in_each_kind_of_file(self) -> None:
        for row in wording.WORDINGS:
            for name, form in {"docs/a.md": "{}\n", "kmod/a.c": "/* {} */\n", "scenarios/a.flt": "# {}\n",
                               "docs/b.md": "- {}\n", "kmod/a.h": "/*\n * {}\n */\n"}.items():
                with self.subTest(row.pattern, name=name):
                    self.assertTrue(any(row.instead in line for line in wording.refused(name, form.format(row.bad))))

    def test_a_phrase_is_found_across_lines(self) -> None:
        found = list(wording.refused("user/a.cpp", "int a;\n// Three processes take steps that the player draws\n// by lot.\n"))
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("user/a.cpp:2: "), found)


class ProseTest(unittest.TestCase):
    def texts(self, name: str, text: str) -> list[tuple[int, str]]:
        return [(passage.line, passage.text) for passage in prose.passages(name, text)]

    def test_code_and_quotations_of_a_page_are_left_out(self) -> None:
        page = "<!-- SPDX-License-Identifier: GPL-2.0 -->\n# Of a heading\n\nOne `of itself` and \"whoever\nelse\".\n\n    whoever\n\n```c\nwhoever\n```\n> whoever\n"
        self.assertEqual(self.texts("a.md", page), [(4, "One CODE and QUOTE.")])

    def test_list_items_and_fields_are_passages(self) -> None:
        self.assertEqual(self.texts("a.md", "- one\n  two\n- three\n| a | b \\| c |\n|---|---|\n"),
                         [(1, "one two"), (3, "three"), (4, "a"), (4, "b \\| c")])

    def test_comments_of_c(self) -> None:
        code = '/* SPDX-License-Identifier: GPL-2.0 */\n/*\n * One\n * two.\n *\n * Three.\n */\nchar *s = "/* no */ // no"; // four\n// five\nint a; /* six */\n'
        self.assertEqual(sorted(self.texts("a.c", code)), [(3, "One two."), (6, "Three."), (8, "four five"), (10, "six")])

    def test_texts_of_tables_and_options_of_cpp(self) -> None:
        code = ('x = {.about = "one "\n              "two \\"three\\"", .act = f};\n'
                'app.add_option("--four", value,\n               "five")\n    ->type_name("SIX");\n'
                'app.add_subcommand("seven", "eight");\nfmt::print("nine");\n')
        self.assertEqual(self.texts("a.cpp", code), [(1, "one two QUOTE"), (3, "five"), (6, "eight")])

    def test_comments_and_texts_of_a_scenario(self) -> None:
        text = ('faultline = 1 # SPDX-License-Identifier: GPL-2.0\n# One\n# two.\nclaim = "a # b"\nname = "x"\n'
                "setup = '''\npoke(a) # three\n'''\n[forbid]\n\"a=b\" = \"why\"\n[variants.x]\nabout = \"so\"\n")
        self.assertEqual(sorted(self.texts("a.flt", text)), [(2, "One two."), (4, "a # b"), (7, "three"), (10, "why"), (12, "so")])

    def test_comments_and_docstrings_of_python(self) -> None:
        text = '# one\nx = "# no"  # two\n\ndef f():\n    """Three\n    four."""\n'
        self.assertEqual(self.texts("a.py", text), [(1, "one two"), (5, "Three four.")])

    def test_help_of_make(self) -> None:
        self.assertEqual(self.texts("Makefile", "a: b ## does it\n\tcommand # no\n# why\n"), [(1, "does it"), (3, "why")])

    def test_other_files_have_no_prose(self) -> None:
        self.assertEqual(self.texts("a.json", "whoever"), [])


class TreeTest(unittest.TestCase):
    def test_patterns_are_regular_expressions_with_advice(self) -> None:
        for row in wording.WORDINGS:
            re.compile(row.pattern)
            self.assertTrue(row.instead and row.good != row.bad)


if __name__ == "__main__":
    unittest.main()
