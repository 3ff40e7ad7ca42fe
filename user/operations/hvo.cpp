// SPDX-License-Identifier: GPL-2.0
// Hugetlb vmemmap optimization: the struct pages of a block of memory, and hugetlb's pool.
#include "kernel/hvo.hpp"
#include "kernel/hugetlb.hpp"
#include "operations/objects.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr const char* idle_bitmap = "/sys/kernel/mm/page_idle/bitmap";
constexpr std::uint64_t idle_group = 64; // pages to a word of the bitmap

struct VmemmapObject final : Object {
    explicit VmemmapObject(HvoBlock opened) : block(std::move(opened)) {}
    HvoBlock block;
    std::uint64_t pfn = 0; // of the block's first page
    // Since the block was found.
    std::string worst_tail = "none";
    bool counts_changed = false;
};

Result<Value> make_vmemmap(Doing& /*doing*/, const Given& /*given*/) {
    Result<HvoBlock> block = HvoBlock::open();
    if (!block)
        return block.error();
    return Value::of_object(Type::vmemmap, std::make_shared<VmemmapObject>(std::move(*block)));
}

Result<Value> do_find(Doing& /*doing*/, const Given& given) {
    auto& vmemmap = given.object<VmemmapObject>(0);
    if (Result<void> found = vmemmap.block.find(range_of(given.at(1)).start); !found)
        return found.error();
    const Result<HvoLayout> layout = vmemmap.block.layout();
    if (!layout)
        return layout.error();
    if (layout->head || layout->index != given.at(1).first)
        return Value::of_error(EBUSY);
    vmemmap.pfn = layout->pfn;
    vmemmap.worst_tail = "none";
    vmemmap.counts_changed = false;
    return Value::of_error(0);
}

Result<Value> do_aim(Doing& doing, const Given& given) {
    doing.run->aim(given.object<VmemmapObject>(0).pfn +
                   static_cast<std::uint64_t>(given.number(1)));
    return Value{};
}

Result<Value> do_is(Doing& /*doing*/, const Given& given) {
    const Result<HvoLayout> layout = given.object<VmemmapObject>(0).block.layout();
    if (!layout)
        return layout.error();
    return Value::of_word(layout->hugetlb ? "hugetlb" : "other");
}

Result<Value> do_mapped(Doing& /*doing*/, const Given& given) {
    const Result<HvoLayout> layout = given.object<VmemmapObject>(0).block.layout();
    if (!layout)
        return layout.error();
    return Value::of_word(layout->optimized() ? "ro" : "rw");
}

Result<Value> do_below(Doing& /*doing*/, const Given& given) {
    const std::uint64_t bytes =
        given.object<VmemmapObject>(0).pfn * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return Value::of_word((bytes >> 30) < static_cast<std::uint64_t>(given.number(1)) ? "yes"
                                                                                      : "no");
}

// From best to worst.
int rank(std::string_view result) { return result == "fault" ? 2 : result == "got" ? 1 : 0; }

Result<Value> try_page(const Given& given, std::string_view command) {
    auto& vmemmap = given.object<VmemmapObject>(0);
    if (Result<void> tried = vmemmap.block.send(fmt::format("{} {}", command, given.number(1)));
        !tried)
        return tried.error().number == EPERM ? Result<Value>(Value::of_error(EPERM))
                                             : tried.error();
    const Result<HvoLayout> layout = vmemmap.block.layout();
    if (!layout)
        return layout.error();
    if (!layout->tried)
        return Error::make(EPROTO, "no line \"tried ...\"");
    const HvoTry& one = *layout->tried;
    vmemmap.counts_changed = vmemmap.counts_changed || one.before != one.after;
    if (given.number(1) != 0 &&
        (vmemmap.worst_tail == "none" || rank(one.result) > rank(vmemmap.worst_tail)))
        vmemmap.worst_tail = one.result;
    return Value::of_word(one.result);
}

Result<Value> do_try(Doing& /*doing*/, const Given& given) { return try_page(given, "try"); }

Result<Value> do_try_compiled(Doing& /*doing*/, const Given& given) {
    return try_page(given, "compiled");
}

Result<Value> do_tails(Doing& /*doing*/, const Given& given) {
    return Value::of_word(given.object<VmemmapObject>(0).worst_tail);
}

Result<Value> do_counts(Doing& /*doing*/, const Given& given) {
    return Value::of_word(given.object<VmemmapObject>(0).counts_changed ? "changed" : "exact");
}

Result<Value> send(const Given& given, const char* command) {
    const Result<void> sent = given.object<VmemmapObject>(0).block.send(command);
    return sent ? Result<Value>(Value{}) : sent.error();
}
Result<Value> do_drain(Doing& /*doing*/, const Given& given) { return send(given, "drain"); }

Result<Value> do_split(Doing& /*doing*/, const Given& given) {
    const Range range = range_of(given.at(0));
    const Result<void> split = split_huge_page(range.start, range.bytes);
    return Value::of_error(split ? 0 : split.error().number);
}

std::uint64_t pfn_of(const Given& given) {
    return given.object<VmemmapObject>(0).pfn + static_cast<std::uint64_t>(given.number(1));
}

Result<Value> make_frame(Doing& /*doing*/, const Given& given) { return frame_at(pfn_of(given)); }

Result<Value> do_page_idle(Doing& /*doing*/, const Given& given) {
    const Result<Fd> bitmap = Fd::open(idle_bitmap, O_RDONLY);
    if (!bitmap)
        return bitmap.error();
    std::uint64_t word = 0;
    const auto at = static_cast<off_t>(pfn_of(given) / idle_group * sizeof(word));
    return Value::of_error(::pread(bitmap->get(), &word, sizeof(word), at) < 0 ? errno : 0);
}

Result<Value> do_pool_pages(Doing& /*doing*/, const Given& /*given*/) {
    const Result<HugetlbPool> pool = hugetlb_pool();
    if (!pool)
        return pool.error();
    return Value::of(pool->pages);
}

Value resize(std::int64_t pages) {
    const Result<void> written = write_text(pool_setting, std::to_string(pages));
    return Value::of_error(written ? 0 : written.error().number);
}

Result<Value> do_pool_resize(Doing& /*doing*/, const Given& given) {
    return resize(given.number(1));
}

// The rest keeps the OOM killer away.
Result<Value> do_pool_grow(Doing& /*doing*/, const Given& given) {
    const Result<HugetlbPool> pool = hugetlb_pool();
    if (!pool)
        return pool.error();
    const auto page = static_cast<std::int64_t>(hugetlb_bytes());
    const std::int64_t all = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE) / page;
    if (pool->pages >= all - all / 4)
        return Value::of_error(ENOMEM);
    return resize(pool->pages + given.number(1));
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
void add_hvo_operations(std::vector<Operation>& rows) {
    const Argument vmemmap{"vmemmap", Type::vmemmap};
    const Argument pool{"pool", Type::pool};
    const Argument page{"page", Type::number};
    rows.insert(
        rows.end(),
        {{.name = "vmemmap",
          .result = Type::vmemmap,
          .about = "shows the struct pages of a block of memory as large as the range of a PMD; no "
                   "block yet",
          .needs = "hvo",
          .where = before,
          .act = make_vmemmap},
         {.name = "vmemmap_find",
          .arguments = {vmemmap, {"memory", Type::memory}},
          .result = Type::error,
          .about = "selects the block of the page memory[N], and keeps no reference to it; EBUSY "
                   "if it is "
                   "not page N of a block of pages of the smallest size",
          .errnos = "EBUSY",
          .act = do_find},
         {.name = "vmemmap_aim",
          .arguments = {vmemmap, page},
          .about = "sites FUNCTION/page-ref are about the block's page N, in this run; nothing "
                   "touches the page, as that would delay its freeing",
          .where = in_setup,
          .act = do_aim},
         {.name = "vmemmap_is",
          .arguments = {vmemmap},
          .result = Type::word,
          .words = {"hugetlb", "other"},
          .about = "is the block a hugetlb page now?",
          .act = do_is},
         {.name = "vmemmap_mapped",
          .arguments = {vmemmap},
          .result = Type::word,
          .words = {"ro", "rw"},
          .about = "ro: all its pages of struct pages except the first are read-only, as for an "
                   "optimized huge page",
          .act = do_mapped},
         {.name = "vmemmap_below",
          .arguments = {vmemmap, {"gibibytes", Type::number}},
          .result = Type::word,
          .words = {"yes", "no"},
          .about = "does the block lie below this physical address?",
          .act = do_below},
         {.name = "vmemmap_try",
          .arguments = {vmemmap, page},
          .result = Type::word,
          .words = {"got", "zero", "changed", "fault"},
          .about = "get_page_unless_zero() of the block's struct page N by this kernel's headers, "
                   "compiled into the module; fault: it would write to a read-only page",
          .act = do_try},
         {.name = "vmemmap_try_compiled",
          .arguments = {vmemmap, page},
          .result = Type::word,
          .words = {"zero", "fault"},
          .about = "the same by the kernel's own isolate_movable_page(), which has that code "
                   "compiled; only for a read-only struct page, where a write would oops",
          .errnos = "EPERM",
          .act = do_try_compiled},
         {.name = "vmemmap_tails",
          .arguments = {vmemmap},
          .result = Type::word,
          .words = {"zero", "changed", "got", "fault", "none"},
          .about = "the worst result of vmemmap_try() in this block, without the first page",
          .act = do_tails},
         {.name = "vmemmap_counts",
          .arguments = {vmemmap},
          .result = Type::word,
          .words = {"exact", "changed"},
          .about = "did each vmemmap_try() keep the head's count?",
          .act = do_counts},
         {.name = "vmemmap_drain",
          .arguments = {vmemmap},
          .about = "drains the pages that each CPU keeps, so that blocks become whole",
          .act = do_drain},
         {.name = "split_huge_page",
          .arguments = {{"memory", Type::memory}},
          .result = Type::error,
          .about = "splits the huge pages there into small pages, by debugfs",
          .errnos = "EAGAIN",
          .needs = "huge-pages",
          .act = do_split},
         {.name = "vmemmap_frame",
          .arguments = {vmemmap, page},
          .result = Type::frame,
          .about = "the page frame of the block's page N, for soft_offline()",
          .needs = "soft-offline",
          .act = make_frame},
         {.name = "page_idle",
          .arguments = {vmemmap, page},
          .result = Type::error,
          .about = "reads the bits of the 64 pages around the block's page N in the bitmap of idle "
                   "pages",
          .needs = "page-idle",
          .act = do_page_idle},
         {.name = "pool_pages",
          .arguments = {pool},
          .result = Type::number,
          .about = "the number of huge pages in the pool",
          .man = "proc(5)",
          .act = do_pool_pages},
         {.name = "pool_resize",
          .arguments = {pool, {"pages", Type::number}},
          .result = Type::error,
          .about = "asks for this number of pages; there may be fewer",
          .man = "proc(5)",
          .act = do_pool_resize},
         {.name = "pool_grow",
          .arguments = {pool, {"by", Type::number}},
          .result = Type::error,
          .about =
              "asks for this number of pages more; ENOMEM if it has three quarters of all memory",
          .errnos = "ENOMEM",
          .man = "proc(5)",
          .act = do_pool_grow}});
}

} // namespace faultline
