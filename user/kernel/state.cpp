// SPDX-License-Identifier: GPL-2.0
#include "kernel/state.hpp"

#include "kernel/fd.hpp"
#include "kernel/memory_stat.hpp"
#include "kernel/vmstat.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

namespace faultline {

namespace {

constexpr std::size_t piece_bytes = std::size_t{64} << 10; // bytes of one read

// Documentation/admin-guide/mm/pagemap.rst
struct Bit {
    unsigned number;
    std::string_view name;
};
constexpr std::array pagemap_bits = {Bit{63, "present"},   Bit{62, "swapped"},
                                     Bit{61, "file"},      Bit{57, "uffd-wp"},
                                     Bit{56, "exclusive"}, Bit{55, "soft-dirty"}};
constexpr std::uint64_t frame_mask = (std::uint64_t{1} << 55) - 1;
constexpr std::uint64_t present_mask = std::uint64_t{1} << 63;
constexpr std::uint64_t swapped_mask = std::uint64_t{1} << 62;
constexpr std::string_view pagemap_column = "pagemap";

// The compared values. A read changes Referenced, and events only ever grow, so both are left out.
constexpr std::array<std::string_view, 22> smaps_names = {"Size",
                                                          "KernelPageSize",
                                                          "MMUPageSize",
                                                          "Rss",
                                                          "Pss",
                                                          "Pss_Dirty",
                                                          "Shared_Clean",
                                                          "Shared_Dirty",
                                                          "Private_Clean",
                                                          "Private_Dirty",
                                                          "Anonymous",
                                                          "KSM",
                                                          "LazyFree",
                                                          "AnonHugePages",
                                                          "ShmemPmdMapped",
                                                          "FilePmdMapped",
                                                          "Shared_Hugetlb",
                                                          "Private_Hugetlb",
                                                          "Swap",
                                                          "SwapPss",
                                                          "Locked",
                                                          "THPeligible"};
constexpr std::array<std::string_view, 4> status_names = {"VmPTE", "VmSwap", "VmLck",
                                                          "HugetlbPages"};

} // namespace

Result<std::vector<Counter>> parse_status(std::string_view text) {
    return parse_counters(text, ':', status_names, "/proc/self/status");
}

Result<std::vector<Counter>> parse_smaps(std::string_view text, std::uint64_t from,
                                         std::uint64_t to) {
    constexpr std::string_view path = "/proc/self/smaps";
    std::vector<Counter> sums;
    bool counts = false;
    bool found = false;
    bool open = false; // a mapping's last line, VmFlags, has not come
    while (const std::optional<std::string_view> line = next_line(text)) {
        const TextLine parts = split_line(*line, ':');
        std::uint64_t start = 0;
        std::uint64_t end = 0;
        // "7f00-7f10 rw-p 00000000 00:00 0 [heap]": alone has a minus before the first blank.
        if (line->find('-') < line->find(' ')) {
            if (open || std::sscanf(std::string(*line).c_str(), "%" SCNx64 "-%" SCNx64 " %*4s ",
                                    &start, &end) != 2)
                return Error::make(EPROTO, "not understood: " + std::string(*line), path);
            open = true;
            counts = start < to && end > from;
            found = found || counts;
        } else if (!open) {
            return Error::make(EPROTO, "of no mapping: " + std::string(*line), path);
        } else if (parts.name == "VmFlags") {
            open = false;
        } else if (counts && among(smaps_names, parts.name)) {
            const std::optional<std::uint64_t> number = counter_value(parts.value);
            if (!number)
                return Error::make(EPROTO, "not understood: " + std::string(*line), path);
            const auto sum = find_counter(sums, parts.name);
            if (sum == sums.end())
                sums.emplace_back(parts.name, *number);
            else
                sum->second += *number;
        }
    }
    if (!text.empty() || open)
        return Error::make(EPROTO, "the text is cut", path);
    if (!found)
        return Error::make(ENOENT, "no mapping is there", path);
    return sums;
}

std::uint64_t digest(std::span<const std::uint64_t> piece, std::uint64_t before) {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
    // Two additions a word, as it is emulated mostly. In 2 * moment - sum the weight of each word
    // is odd, so one other word is another digest; and the place of a word counts.
    std::uint64_t sum = 1;
    std::uint64_t moment = 0;
    for (const std::uint64_t word : piece) {
        sum += word;
        moment += sum;
    }
    return (before ^ (before >> 32)) * odd + 2 * moment - sum;
}

namespace {

// Takes a word off the text; "" at its end.
std::string_view next_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    return word;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                    : std::nullopt;
}

bool is_among(std::string_view numbers, std::string_view word) {
    const auto [first, last] = split_line(numbers, '-');
    const std::optional<std::uint64_t> from = whole_number(first);
    const std::optional<std::uint64_t> to = whole_number(last);
    const std::optional<std::uint64_t> here = from && to ? whole_number(word) : std::nullopt;
    return here && *here >= *from && *here <= *to;
}

// Removes the text before `separator`, and the separator.
std::string_view next_piece(std::string_view& text, char separator) {
    const std::string_view piece = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(piece.size() + 1, text.size()));
    return piece;
}

bool fits(std::string_view wanted, std::string_view word) {
    while (!wanted.empty()) {
        const std::string_view one = next_piece(wanted, '|');
        if (one == "*" || one == word || is_among(one, word))
            return true;
    }
    return false;
}

bool begins_with(std::string_view name, std::string_view words) {
    std::string_view wanted = next_word(words);
    if (wanted.empty())
        return false; // no words allow nothing
    for (; !wanted.empty(); wanted = next_word(words))
        if (const std::string_view word = next_word(name); word.empty() || !fits(wanted, word))
            return false;
    return true;
}

} // namespace

bool allows(const Allowed& allowed, std::string_view name) {
    return std::any_of(allowed.begin(), allowed.end(), [name](const MayDiffer& one) {
        for (std::string_view rest = one.words; !rest.empty();)
            if (begins_with(name, next_piece(rest, ',')))
                return true;
        return false;
    });
}

std::string to_string(const std::vector<Difference>& differences, std::size_t most) {
    const auto text_of = [](const std::optional<std::uint64_t>& value) {
        return value ? std::to_string(*value) : std::string("nothing");
    };
    std::string text;
    for (std::size_t i = 0; i < std::min(most, differences.size()); ++i)
        text += fmt::format("{}{}: {} before, {} after", i == 0 ? "" : "; ", differences[i].name,
                            text_of(differences[i].before), text_of(differences[i].after));
    if (differences.size() > most)
        text += fmt::format("; and {} more", differences.size() - most);
    return text;
}

void State::add(const std::string& object, const Result<std::vector<Counter>>& counters) {
    if (!counters) {
        absent_.push_back(object + ": " + counters.error().to_string());
        return;
    }
    for (const auto& [name, value] : *counters)
        counters_.emplace_back(fmt::format("{} {}", object, name), value);
}

namespace {

// Nothing for a page that is not mapped: an actor may have unmapped it.
Result<void> take_mincore(const char* start, std::size_t pages, std::size_t page,
                          std::vector<std::optional<std::uint64_t>>& values) {
    std::vector<unsigned char> resident(pages);
    const auto ask = [&](std::size_t first, std::size_t count) {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): mincore() takes no const
        return ::mincore(const_cast<char*>(start) + first * page, count * page,
                         resident.data() + first);
    };
    values.assign(pages, std::nullopt);
    const bool all = ask(0, pages) == 0;
    if (!all && errno != ENOMEM)
        return Error::last("mincore");
    for (std::size_t i = 0; i < pages; ++i)
        if (all || ask(i, 1) == 0)
            values[i] = resident[i] & 1U;
        else if (errno != ENOMEM)
            return Error::last("mincore");
    return {};
}

} // namespace

Result<void> State::take_mapping(const MappingScope& scope, bool frames) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::string object = "mapping " + scope.name;
    const std::size_t pages = scope.bytes / page;
    Column incore{object, "mincore", {}};
    if (Result<void> taken = take_mincore(scope.start, pages, page, incore.values); !taken)
        return Error::make(taken.error().number, taken.error().message, object);

    const Result<Fd> file = Fd::open("/proc/self/pagemap", O_RDONLY);
    if (!file)
        return file.error();
    std::vector<std::uint64_t> entries(pages);
    const auto entry_bytes = static_cast<ssize_t>(pages * sizeof(std::uint64_t));
    const auto first = reinterpret_cast<std::uintptr_t>(scope.start) / page;
    const ssize_t got = ::pread(file->get(), entries.data(), static_cast<std::size_t>(entry_bytes),
                                static_cast<off_t>(first * sizeof(std::uint64_t)));
    if (got != entry_bytes)
        return got < 0 ? Error::last("read", "/proc/self/pagemap")
                       : Error::make(EIO, "short", "/proc/self/pagemap");
    Column map{object, std::string(pagemap_column), {}};
    for (const std::uint64_t entry : entries)
        map.values.emplace_back(frames ? entry : entry & ~frame_mask);

    Column bytes{object, "bytes", {}};
    bytes.values.resize(pages);
    const std::size_t at_once = std::max<std::size_t>(piece_bytes / page, 1);
    std::vector<std::uint64_t> words(at_once * page / sizeof(std::uint64_t));
    const std::uint64_t readable_mask = present_mask | (scope.as_loaded ? swapped_mask : 0);
    for (std::size_t i = 0; i < pages && scope.content;) {
        std::size_t count = 0;
        while (count < at_once && i + count < pages && (entries[i + count] & readable_mask) != 0)
            ++count;
        const iovec local{words.data(), count * page};
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): iovec has no const
        const iovec remote{const_cast<char*>(scope.start) + i * page, count * page};
        // Not a load: a page may be mapped and not readable.
        const ssize_t read =
            count == 0 ? 0 : ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
        if (read < 0 && errno != EFAULT)
            return Error::last("process_vm_readv", object);
        const std::size_t readable = read < 0 ? 0 : static_cast<std::size_t>(read) / page;
        for (std::size_t k = 0; k < readable; ++k)
            bytes.values[i + k] = digest(std::span(words).subspan(k * page / sizeof(std::uint64_t),
                                                                  page / sizeof(std::uint64_t)));
        i += std::max<std::size_t>(readable, 1); // an absent page has no bytes
    }
    columns_.push_back(std::move(incore));
    columns_.push_back(std::move(map));
    if (scope.content)
        columns_.push_back(std::move(bytes));
    if (scope.content && scope.as_loaded)
        show_unmapped(scope);
    return {};
}

// A page that is not there: a load would find the file's, or make one of zeroes. Where nothing is
// mapped at all mincore has no value.
void State::show_unmapped(const MappingScope& scope) {
    static const std::uint64_t empty = digest(std::vector<std::uint64_t>(
        static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / sizeof(std::uint64_t)));
    const Column* incore = column("mapping " + scope.name, "mincore");
    const Column* file = column("file " + scope.file, "bytes");
    Column& bytes = columns_.back();
    for (std::size_t page = 0; page < bytes.values.size(); ++page) {
        std::optional<std::uint64_t>& value = bytes.values[page];
        if (value || !incore->values.at(page))
            continue;
        // Beyond the end of a file a huge page has zeroes, and a small one is a SIGBUS.
        if (file != nullptr && scope.offset + page < file->values.size())
            value = file->values[scope.offset + page];
        else
            value = empty;
    }
}

const State::Column* State::column(std::string_view object, std::string_view name) const {
    for (const Column& one : columns_)
        if (one.object == object && one.name == name)
            return &one;
    return nullptr;
}

namespace {

// Where the first mapping that begins at `end` or after it begins in the text, or npos.
std::size_t mapping_from(const std::string& text, std::size_t from, std::uintptr_t end) {
    while (from < text.size()) {
        const std::size_t next = std::min(text.find('\n', from), text.size());
        std::uint64_t start = 0;
        const char* line = text.data() + from;
        const auto parsed = std::from_chars(line, text.data() + next, start, 16);
        if (parsed.ec == std::errc() && parsed.ptr != text.data() + next && *parsed.ptr == '-' &&
            start >= end)
            return from;
        from = next + 1;
    }
    return std::string::npos;
}

// Reads the mappings below `end` alone: the kernel walks the page tables of each that is read.
Result<std::string> read_smaps(std::uintptr_t end) {
    constexpr const char* path = "/proc/self/smaps";
    const Result<Fd> file = Fd::open(path, O_RDONLY);
    if (!file)
        return file.error();
    std::string text;
    std::array<char, 4096> part{}; // the kernel gives about as much at once
    for (std::size_t whole = 0;;) {
        const ssize_t got = ::read(file->get(), part.data(), part.size());
        if (got < 0)
            return Error::last("read", path);
        if (got == 0)
            return text;
        text.append(part.data(), static_cast<std::size_t>(got));
        if (const std::size_t beyond = mapping_from(text, whole, end); beyond != std::string::npos)
            return text.substr(0, beyond);
        whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
    }
}

} // namespace

Result<void> State::take_smaps(const std::vector<MappingScope>& mappings) {
    if (std::none_of(mappings.begin(), mappings.end(),
                     [](const MappingScope& one) { return one.smaps; }))
        return {};
    std::uintptr_t end = 0;
    for (const MappingScope& one : mappings)
        if (one.smaps)
            end = std::max(end, reinterpret_cast<std::uintptr_t>(one.start) + one.bytes);
    const Result<std::string> text = read_smaps(end);
    if (!text)
        return text.error();
    for (const MappingScope& one : mappings) {
        if (!one.smaps)
            continue;
        const auto from = reinterpret_cast<std::uintptr_t>(one.start);
        const Result<std::vector<Counter>> sums = parse_smaps(*text, from, from + one.bytes);
        if (!sums)
            return sums.error();
        add("mapping " + one.name + " smaps", sums);
    }
    return {};
}

Result<void> State::take_file(const FileScope& scope) {
    const std::string object = "file " + scope.name;
    struct stat file {};
    struct statvfs system {};
    // In this order: fstat() corrects the accounting of a shmem file whose pages it finds
    // miscounted (shmem_getattr()), and would hide a lost uncharge from statfs.
    if (::fstatvfs(scope.file, &system) != 0 || ::fstat(scope.file, &file) != 0)
        return Error::last("fstat", object);
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::uint64_t>>{
             {"st_size", static_cast<std::uint64_t>(file.st_size)},
             {"st_blocks", static_cast<std::uint64_t>(file.st_blocks)},
             {"st_nlink", static_cast<std::uint64_t>(file.st_nlink)},
             {"statfs blocks", system.f_blocks},
             {"statfs bfree", system.f_bfree},
             {"statfs files", system.f_files},
             {"statfs ffree", system.f_ffree}})
        counters_.emplace_back(fmt::format("{} {}", object, name), value);
    if (!scope.content)
        return {};
    const std::size_t page = scope.page_bytes != 0
                                 ? scope.page_bytes
                                 : static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    Column bytes{object, "bytes", {}};
    std::vector<std::uint64_t> words(piece_bytes / sizeof(std::uint64_t));
    std::uint64_t so_far = 0;
    // A piece is a part of one page, or some pages.
    for (std::size_t at = 0; at < static_cast<std::size_t>(file.st_size);) {
        const ssize_t got = ::pread(scope.file, words.data(), piece_bytes, static_cast<off_t>(at));
        if (got < 0)
            return Error::last("pread", object);
        if (got == 0)
            break;
        const auto read = static_cast<std::size_t>(got);
        if (read % sizeof(std::uint64_t) != 0) // the end of the file: 0 is read after it
            std::fill_n(reinterpret_cast<char*>(words.data()) + read,
                        sizeof(std::uint64_t) - read % sizeof(std::uint64_t), 0);
        for (std::size_t done = 0; done < read;) {
            const std::size_t part = std::min(read - done, page - (at + done) % page);
            so_far = digest(std::span(words).subspan(done / sizeof(std::uint64_t),
                                                     (part + sizeof(std::uint64_t) - 1) /
                                                         sizeof(std::uint64_t)),
                            so_far);
            done += part;
            if ((at + done) % page == 0) {
                bytes.values.emplace_back(so_far);
                so_far = 0;
            }
        }
        at += read;
        if (at % sizeof(std::uint64_t) != 0)
            break; // that was the end
    }
    if (static_cast<std::size_t>(file.st_size) % page != 0)
        bytes.values.emplace_back(so_far);
    columns_.push_back(std::move(bytes));
    return {};
}

Result<void> State::take_machine() {
    const Result<TaskRows> first = read_tasks();
    const Result<MachineCounters> machine = machine_counters();
    if (!machine)
        return machine.error();
    if (first)
        first_tasks_ = *first;
    else
        absent_.push_back("other tasks: " + first.error().to_string());
    if (!machine->inexact.empty())
        absent_.push_back("machine, exact: " + machine->inexact);
    add("machine meminfo", machine->meminfo);
    add("machine vmstat", machine->vmstat);
    return {};
}

namespace {

using CountersOfCgroups = std::vector<Result<std::vector<Counter>>>;

CountersOfCgroups memory_stats(const std::vector<CgroupScope>& cgroups) {
    CountersOfCgroups all;
    for (const CgroupScope& one : cgroups) {
        const Result<std::string> text = read_text(one.folder + "/memory.stat");
        all.push_back(text ? parse_memory_stat(*text) : Result<std::vector<Counter>>(text.error()));
    }
    return all;
}

CountersOfCgroups anonymous_memory(const std::vector<CgroupScope>& cgroups) {
    CountersOfCgroups all;
    for (const CgroupScope& one : cgroups)
        all.push_back(anonymous_of(one.folder));
    return all;
}

bool same(const CountersOfCgroups& left, const CountersOfCgroups& right) {
    return std::equal(
        left.begin(), left.end(), right.begin(), right.end(),
        [](const auto& a, const auto& b) { return a.ok() == b.ok() && (!a.ok() || *a == *b); });
}

} // namespace

// Values that cannot be read exactly are left out. Reading may grow the heap: the memory of
// processes is read before and after, until it is the same.
Result<void> State::take_cgroups(const StateScope& scope) {
    constexpr unsigned most_tries = 5;
    const Result<std::string> cgroup = read_text("/proc/self/cgroup");
    const Result<std::string> mounts = read_text("/proc/self/mountinfo");
    const Result<CgroupPlace> place = !cgroup   ? cgroup.error()
                                      : !mounts ? mounts.error()
                                                : find_cgroup(*cgroup, *mounts);
    if (!place) {
        absent_.push_back("cgroup memory.stat: " + place.error().to_string());
        return {};
    }
    // One of the sums must include the driver's own work.
    if (place->own == place->root) {
        absent_.emplace_back("cgroup memory.stat: the driver has no cgroup of its own");
        return {};
    }
    std::vector<CgroupScope> all = {{std::string(driver_cgroup), place->own}};
    all.insert(all.end(), scope.cgroups.begin(), scope.cgroups.end());
    CountersOfCgroups stats;
    CountersOfCgroups processes;
    bool steady = !scope.rollup;
    for (unsigned tries = 0; tries == 0 || (!steady && tries < most_tries); ++tries) {
        if (scope.rollup)
            processes = anonymous_memory(all);
        if (const Result<void> folded = fold_memory_stat(place->root); !folded) {
            absent_.push_back("cgroup memory.stat: " + folded.error().to_string());
            return {};
        }
        stats = memory_stats(all);
        steady = !scope.rollup || same(processes, anonymous_memory(all));
    }
    if (!steady)
        absent_.emplace_back("cgroup processes: their memory changes all the time");
    for (std::size_t i = 0; i < all.size(); ++i) {
        add(fmt::format("cgroup {} memory.stat", all[i].name), stats[i]);
        if (scope.rollup && steady)
            add(fmt::format("cgroup {} processes", all[i].name), processes[i]);
    }
    return {};
}

Result<State> State::take(const StateScope& scope) {
    State state;
    // Counters first: reading the content needs memory, too.
    if (Result<void> taken = scope.machine ? state.take_machine() : Result<void>(); !taken)
        return taken.error();
    if (Result<void> taken = scope.cgroup ? state.take_cgroups(scope) : Result<void>(); !taken)
        return taken.error();
    // After the cgroups: they are compared with the machine.
    if (!state.first_tasks_.empty()) {
        Result<TaskRows> last = read_tasks();
        if (!last)
            return last.error();
        state.last_tasks_ = std::move(*last);
    }
    if (scope.process) {
        const Result<std::string> text = read_text("/proc/self/status");
        if (!text)
            return text.error();
        state.add("process status", parse_status(*text));
    }
    if (Result<void> taken = state.take_smaps(scope.mappings); !taken)
        return taken.error();
    for (const FileScope& file : scope.files)
        if (Result<void> taken = state.take_file(file); !taken)
            return taken.error();
    for (const MappingScope& mapping : scope.mappings)
        if (Result<void> taken = state.take_mapping(mapping, scope.frames); !taken)
            return taken.error();
    if (scope.log != nullptr) {
        const Result<std::uint64_t> complaints = scope.log->complaints();
        if (!complaints)
            return complaints.error();
        state.counters_.emplace_back("kernel-log complaints", *complaints);
    }
    return state;
}

State State::of(std::vector<Counter> counters, TaskRows tasks) {
    State state;
    state.counters_ = std::move(counters);
    state.first_tasks_ = tasks;
    state.last_tasks_ = std::move(tasks);
    return state;
}

std::vector<std::string> State::others_since(const State& before) const {
    if (before.first_tasks_.empty() || last_tasks_.empty())
        return {};
    return ran_between(before.first_tasks_, last_tasks_);
}

std::optional<std::uint64_t> State::value(std::string_view name) const {
    return counter_of(counters_, name);
}

std::optional<std::uint64_t> State::any_value(const std::string& name) const {
    constexpr std::string_view mark = " page ";
    const std::size_t at = name.rfind(mark);
    if (at == std::string::npos)
        return value(name);
    const TextLine rest = split_line(std::string_view(name).substr(at + mark.size()), ' ');
    const std::optional<std::uint64_t> page = whole_number(rest.name);
    if (!page)
        return value(name);
    for (const Bit& bit : pagemap_bits)
        if (rest.value == fmt::format("{}-{}", pagemap_column, bit.name)) {
            const std::optional<std::uint64_t> entry =
                page_value(name.substr(0, at), pagemap_column, *page);
            return entry ? std::optional(*entry >> bit.number & 1U) : std::nullopt;
        }
    return page_value(name.substr(0, at), rest.value, *page);
}

std::optional<std::uint64_t> State::sum(std::string_view words) const {
    const Allowed wanted = {{std::string(words), {}}};
    std::optional<std::uint64_t> sum;
    for (const auto& [name, value] : counters_)
        if (allows(wanted, name))
            sum = sum.value_or(0) + value;
    return sum;
}

std::optional<std::uint64_t> State::page_value(std::string_view object, std::string_view column,
                                               std::size_t page) const {
    const Column* found = this->column(object, column);
    return found != nullptr && page < found->values.size() ? found->values[page] : std::nullopt;
}

std::size_t State::pages_with(std::string_view object, std::string_view column) const {
    std::uint64_t mask = ~std::uint64_t{0};
    for (const Bit& bit : pagemap_bits)
        if (column.starts_with(pagemap_column) && column.ends_with(bit.name)) {
            mask = std::uint64_t{1} << bit.number;
            column = pagemap_column;
        }
    std::size_t sum = 0;
    for (const Column& one : columns_)
        if (one.object == object && one.name == column)
            sum += static_cast<std::size_t>(
                std::count_if(one.values.begin(), one.values.end(), [mask](const auto& value) {
                    return (value.value_or(0) & mask) != 0;
                }));
    return sum;
}

std::size_t State::pages() const {
    std::size_t sum = 0;
    for (const Column& column : columns_)
        sum += column.name == "bytes" ? column.values.size() : 0;
    return sum;
}

bool counts_up(std::string_view name) {
    return name.starts_with("machine ") || name.starts_with("kernel-log ");
}

std::string value_text(const State* before, const State& after, const std::string& name) {
    const std::optional<std::uint64_t> now = after.any_value(name);
    if (!now)
        return "-";
    if (name.ends_with(" bytes"))
        return fmt::format("{:#x}", *now);
    const std::uint64_t was =
        counts_up(name) && before != nullptr ? before->any_value(name).value_or(0) : 0;
    return fmt::format("{}", static_cast<std::int64_t>(*now - was));
}

namespace {

class Comparison {
  public:
    Comparison(const Allowed& may_differ, std::size_t most)
        : may_differ_(may_differ), most_(most) {}

    [[nodiscard]] bool over() const { return differences_.size() >= most_; }

    void value(std::string name, std::optional<std::uint64_t> before,
               std::optional<std::uint64_t> after) {
        if (before != after && !allows(may_differ_, name))
            differences_.push_back({std::move(name), before, after});
    }

    // The values that may not differ on every page.
    [[nodiscard]] std::uint64_t mask(const std::string& object, const std::string& column,
                                     bool bits) const {
        const auto may = [&](std::string_view name) {
            return allows(may_differ_, fmt::format("{} page * {}", object, name));
        };
        if (!bits)
            return may(column) ? 0 : ~std::uint64_t{0};
        std::uint64_t mask = may(fmt::format("{}-frame", column)) ? 0 : frame_mask;
        for (const Bit& bit : pagemap_bits)
            if (!may(fmt::format("{}-{}", column, bit.name)))
                mask |= std::uint64_t{1} << bit.number;
        return mask;
    }

    void pagemap(const std::string& page, std::uint64_t before, std::uint64_t after) {
        for (const Bit& bit : pagemap_bits)
            value(fmt::format("{} {}-{}", page, pagemap_column, bit.name),
                  before >> bit.number & 1U, after >> bit.number & 1U);
        if ((before & after & present_mask) != 0) // else it is no frame, or of no page
            value(fmt::format("{} {}-frame", page, pagemap_column), before & frame_mask,
                  after & frame_mask);
    }

    std::vector<Difference> take() { return std::move(differences_); }

  private:
    const Allowed& may_differ_;
    std::size_t most_;
    std::vector<Difference> differences_;
};

std::optional<std::uint64_t> value_at(const std::vector<std::optional<std::uint64_t>>& values,
                                      std::size_t index) {
    return index < values.size() ? values[index] : std::nullopt;
}

} // namespace

std::vector<Difference> compare(const State& before, const State& after, const Allowed& may_differ,
                                std::size_t most) {
    Comparison comparison(may_differ, most);
    for (const auto& [name, value] : before.counters_)
        comparison.value(name, value, counter_of(after.counters_, name));
    for (const auto& [name, value] : after.counters_)
        if (!counter_of(before.counters_, name))
            comparison.value(name, std::nullopt, value);
    // One scope makes the same columns each time. A column that may differ on all its pages is not
    // looked at: a collapse changes hundreds.
    for (std::size_t i = 0; i < std::min(before.columns_.size(), after.columns_.size()); ++i) {
        const State::Column& was = before.columns_[i];
        const State::Column& now = after.columns_[i];
        const bool bits = was.name == pagemap_column;
        const std::uint64_t mask = comparison.mask(was.object, was.name, bits);
        if (mask == 0)
            continue;
        for (std::size_t at = 0;
             at < std::max(was.values.size(), now.values.size()) && !comparison.over(); ++at) {
            const std::optional<std::uint64_t> old = value_at(was.values, at);
            const std::optional<std::uint64_t> fresh = value_at(now.values, at);
            if (bits ? (old.value_or(0) & mask) == (fresh.value_or(0) & mask) : old == fresh)
                continue;
            const std::string page = fmt::format("{} page {}", was.object, at);
            if (bits)
                comparison.pagemap(page, old.value_or(0), fresh.value_or(0));
            else
                comparison.value(page + " " + was.name, old, fresh);
        }
    }
    return comparison.take();
}

} // namespace faultline
