# SPDX-License-Identifier: GPL-2.0
"""Tests of the scripts, on recorded logs. Run by `make check`."""
