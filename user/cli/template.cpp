// SPDX-License-Identifier: GPL-2.0
// The output of `faultline new`.
#include "cli/common.hpp"

namespace faultline {

namespace {

// clang-format off
constexpr std::string_view before_name = R"flt(faultline = 1    # the version of this language; the file is TOML
name = ")flt";

constexpr std::string_view after_name = R"flt("
family = "tutorial"    # of the scenarios of one argument
claim = "a hole that is filled during a collapse keeps its bytes"
source = "who argued it, where, when"
races = "collapse_file() against shmem_get_folio_gfp()"
bad = "data=changed"

# Before each run, in this order; a result gets a name. `faultline ops` prints all operations.
setup = '''
file = tmpfs_file(PMD)            # as many pages as a PMD maps, all of them holes
near = mmap(file)
fill(near, holes=RANDOM)          # drawn from the run's seed
hole = random_hole(near)
filled = random_page(near)
'''
# After each run.
judge = '''
if filling = ok
  data = contents(file, stored=hole)
else
  data = contents(file)
end
'''
# What a run observed: results by their names, in this order.
outcome = "filling collapse data"

# An edge "site -> site" lets the actor at the second go on only when the first was reached.
# ACTOR@enter:FUNCTION and ACTOR@return:FUNCTION are in the kernel, ACTOR@user:NAME is the step
# "at NAME". The variants that have no schedule of their own have this one.
schedule = '''
collapser@enter:collapse_file/{window} -> filler@user:fill;
filler@user:filled -> collapser@enter:collapse_file/{window}
'''
expected = "filling=ok collapse=ok|EAGAIN data=intact"    # another outcome is forbidden

[let]    # what a variant may give: {window} stands for it in texts and in steps
window = "unmapped"

[actors.collapser]    # kind = "process" is forked for each run
cpu = 0
steps = '''
load(near[filled])                # a page table, to map the huge page into
at start
collapse = madvise(near, COLLAPSE)
at collapsed
'''

[actors.filler]
cpu = 1
steps = '''
at fill
filling = pwrite(file[hole])
at filled
'''

[forbid]    # words of results, and why they are wrong; "!=", "<" and ">" may stand for "="
"data!=intact" = "a page does not have the bytes that were written to it"

# A variant may also have: schedule, expected (by release: { "6.1" = "...", "6.12, 7.2" = "..." }),
# excluded_by = "down_write < FUNCTION", excluded_in, or_overlap, known (names of [bugs]), needs,
# situation, forced = false, chance = { overlaps = 20, seconds = 60 }, divisor, by_name_only.
[variants.unmapped]
about = "after the scan, when the old pages are locked"

[variants.allocate]
about = "before any page is scanned"
window = "allocate"

# Without a control that brings the hazard back, the verdict is no PASS.
[controls.blind-re-check]
about = "the re-check counts the filled page as a hole"
variant = "unmapped"
produces = "filling=ok collapse=ok data=changed"
releases = "6.12, 7.2, 7.3"
actions = [{ replace = "down_read", with = "i_mmap_lock_forget_filled", actor = "collapser", caller = "collapse_file" }]
)flt";
// clang-format on

} // namespace

std::string new_scenario(std::string_view name) {
    return std::string(before_name) + std::string(name) + std::string(after_name);
}

} // namespace faultline
