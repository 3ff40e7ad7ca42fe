// SPDX-License-Identifier: GPL-2.0
#include "kernel/hvo.hpp"

#include "kernel/hugetlb.hpp"

#include "hvo_lines.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <fmt/format.h>
#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::size_t huge_bytes = std::size_t{2} << 20; // x86-64's default size

bool parse_block(const std::string& line, HvoLayout& layout) {
    std::array<char, 4> head{};
    std::array<char, 4> hugetlb{};
    if (std::sscanf(line.c_str(), FL_HVO_BLOCK("%" SCNx64, "%u", "%3s", "%3s", "%" SCNd64),
                    &layout.pfn, &layout.index, head.data(), hugetlb.data(), &layout.refs) != 5)
        return false;
    layout.head = std::string_view(head.data()) == "yes";
    layout.hugetlb = std::string_view(hugetlb.data()) == "yes";
    return true;
}

bool parse_vmemmap(const std::string& line, HvoLayout& layout) {
    VmemmapPage page;
    unsigned index = 0;
    std::array<char, 3> protection{};
    std::array<char, 8> alias{};
    if (std::sscanf(line.c_str(), FL_HVO_VMEMMAP("%u", "%*x", "%" SCNx64, "%2s", "%u", "%7s"),
                    &index, &page.pfn, protection.data(), &page.order, alias.data()) != 5 ||
        index != layout.vmemmap.size())
        return false;
    const std::string_view word = protection.data();
    page.writable = word == "rw";
    unsigned first = 0;
    if (std::sscanf(alias.data(), "%u", &first) == 1)
        page.alias = first;
    else if (std::string_view(alias.data()) != "-")
        return false;
    layout.vmemmap.push_back(page);
    return word == "rw" || word == "ro";
}

bool parse_cpu(const std::string& line, HvoLayout& layout) {
    unsigned cpu = 0;
    std::array<char, 8> word{};
    int length = 0;
    if (std::sscanf(line.c_str(), FL_HVO_CPU("%u", "%7s", "%n"), &cpu, word.data(), &length) != 2)
        return false;
    const std::string_view kind = word.data();
    std::istringstream words(line.substr(static_cast<std::size_t>(length)));
    if (kind == "refs") {
        CpuView view;
        for (std::int64_t count = 0; words >> count;)
            view.refs.push_back(count);
        layout.cpus.push_back(std::move(view));
        return words.eof() && layout.cpus.back().refs.size() == layout.vmemmap.size();
    }
    if ((kind != "flags" && kind != "sum") || layout.cpus.empty())
        return false;
    CpuView& view = layout.cpus.back();
    std::vector<std::string>& column = kind == "flags" ? view.flags : view.sums;
    if (!column.empty())
        return false;
    for (std::string one; words >> one;)
        column.push_back(one);
    return column.size() == layout.vmemmap.size();
}

bool parse_counters(const std::string& line, HvoLayout& layout) {
    HvoCounters counters;
    std::array<char, 5> when{};
    if (std::sscanf(
            line.c_str(),
            FL_HVO_COUNTERS("%4s", "%" SCNd64, "%" SCNd64, "%" SCNd64, "%" SCNd64, "%" SCNd64),
            when.data(), &counters.memmap, &counters.pool, &counters.free, &counters.reserved,
            &counters.surplus) != 6)
        return false;
    const std::string_view word = when.data();
    (word == "then" ? layout.then : layout.now) = counters;
    return word == "then" || word == "now";
}

bool parse_tried(const std::string& line, HvoLayout& layout) {
    HvoTry tried;
    std::array<char, 16> kind{};
    std::array<char, 8> result{};
    if (std::sscanf(line.c_str(), FL_HVO_TRIED("%15s", "%u", "%7s", "%" SCNd64, "%" SCNd64),
                    kind.data(), &tried.index, result.data(), &tried.before, &tried.after) != 5)
        return false;
    tried.kind = kind.data();
    tried.result = result.data();
    layout.tried = std::move(tried);
    return true;
}

bool parse_line(const std::string& line, HvoLayout& layout) {
    if (line.starts_with("block "))
        return parse_block(line, layout);
    if (line.starts_with("vmemmap "))
        return parse_vmemmap(line, layout);
    if (line.starts_with("cpu "))
        return parse_cpu(line, layout);
    if (line.starts_with("counters "))
        return parse_counters(line, layout);
    return line.starts_with("tried ") && parse_tried(line, layout);
}

} // namespace

bool HvoLayout::optimized() const {
    return vmemmap.size() > 1 &&
           std::none_of(vmemmap.begin() + 1, vmemmap.end(),
                        [](const VmemmapPage& page) { return page.writable; });
}

Result<HvoLayout> parse_hvo_layout(std::string_view text) {
    HvoLayout layout;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);)
        if (!parse_line(line, layout))
            return Error::make(EPROTO, "not understood: " + line);
    if (layout.pfn == 0 || layout.vmemmap.empty() || layout.cpus.empty() ||
        layout.cpus.back().sums.empty())
        return Error::make(EPROTO, "no layout");
    return layout;
}

Result<HvoBlock> HvoBlock::open() {
    Result<ModuleFile> file = ModuleFile::open("hvo/block");
    if (!file)
        return file.error();
    return HvoBlock(std::move(*file));
}

Result<void> HvoBlock::send(const std::string& command) const { return file_.send(command); }

Result<void> HvoBlock::find(const void* page) const {
    return send(fmt::format(FL_HVO_PAGE("{:x}"), reinterpret_cast<std::uintptr_t>(page)));
}

Result<HvoLayout> HvoBlock::layout() const {
    const Result<std::string> text = file_.text();
    return text ? parse_hvo_layout(*text) : text.error();
}

Result<HugePages> HugePages::take(unsigned pages) {
    if (Result<void> grown = fill_hugetlb_pool(pages); !grown)
        return grown.error();
    const std::size_t bytes = pages * huge_bytes;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (memory == MAP_FAILED)
        return Error::last("mmap(MAP_HUGETLB)");
    for (std::size_t at = 0; at < bytes; at += huge_bytes)
        static_cast<volatile char*>(memory)[at] = 1;
    return HugePages(static_cast<char*>(memory), bytes);
}

HugePages::~HugePages() {
    if (memory_ != nullptr)
        ::munmap(memory_, bytes_);
}

const char* HugePages::page(unsigned index) const { return memory_ + index * huge_bytes; }

std::optional<std::string> missing_hvo() {
    if (::access(hvo_setting, W_OK) == 0)
        return std::nullopt;
    return Error::last("this kernel does not optimize vmemmap, no", hvo_setting).to_string();
}

Result<void> split_huge_page(const void* start, std::size_t bytes) {
    const Result<std::string> root = debugfs_root();
    if (!root)
        return root.error();
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    return write_text(*root + "/split_huge_pages",
                      fmt::format("{},0x{:x},0x{:x}", ::getpid(), from, from + bytes));
}

} // namespace faultline
