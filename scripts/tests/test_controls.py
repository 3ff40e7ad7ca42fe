# SPDX-License-Identifier: GPL-2.0
"""The table of controls."""

import unittest

from vm import controls

BEGIN = {"kind": "begin", "kernel": "6.12.95", "machine": "x86_64"}
PLAIN = {"kind": "variant", "scenario": "a", "variant": "v", "control": None, "forbidden": ["x=bad"]}


def control(**fields: object) -> dict[str, object]:
    return {"kind": "variant", "scenario": "a", "variant": "v", "control": "c", "produces": "x=bad|worse",
            "forbidden": [], "caught": False, "why": "no function f()\nmore", "runs": 3, **fields}


class ControlsTest(unittest.TestCase):
    def test_what_was_produced_is_shown(self) -> None:
        text = controls.table([BEGIN, PLAIN, control(caught=True, forbidden=["x=bad y=1"])])
        self.assertIn("which was on 6.12.95 (x86_64)", text)
        self.assertTrue(text.endswith("| a / v | c | `x=bad\\|worse` | `x=bad y=1` | 3 |\n"), text)
        self.assertEqual(text.count("a / v"), 1)

    def test_one_that_was_not_caught_has_its_reason_alone(self) -> None:
        text = controls.table([BEGIN, control(forbidden=["x=other"])])
        self.assertTrue(text.endswith("| no function f() | - |\n"), text)

    def test_a_control_without_a_reason_is_no_error(self) -> None:
        self.assertTrue(controls.table([BEGIN, control(why="")]).endswith("|  | - |\n"))


if __name__ == "__main__":
    unittest.main()
