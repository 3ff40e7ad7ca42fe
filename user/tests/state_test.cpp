// SPDX-License-Identifier: GPL-2.0
// State: its parsers on recorded and broken text, and each kind of change on real memory.
#include "kernel/fd.hpp"
#include "kernel/state.hpp"
#include "kernel/vmstat.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace faultline {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

// From x86-64, 6.18.44.
constexpr const char* heap = "55de80145000-55de80147000 r--p 00000000 fe:00 247134 /usr/bin/cat\n"
                             "Size:                  8 kB\n"
                             "KernelPageSize:        4 kB\n"
                             "MMUPageSize:           4 kB\n"
                             "Rss:                   8 kB\n"
                             "Pss:                   8 kB\n"
                             "Pss_Dirty:             0 kB\n"
                             "Shared_Clean:          0 kB\n"
                             "Private_Clean:         8 kB\n"
                             "Referenced:            8 kB\n"
                             "AnonHugePages:         0 kB\n"
                             "ShmemPmdMapped:        0 kB\n"
                             "FilePmdMapped:         0 kB\n"
                             "Swap:                  0 kB\n"
                             "THPeligible:           0\n"
                             "VmFlags: rd mr mw me \n";
constexpr const char* beside = "55de80147000-55de8014c000 r-xp 00002000 fe:00 247134 /a b: c-d\n"
                               "Size:                 20 kB\n"
                               "Rss:                  20 kB\n"
                               "VmFlags: rd ex mr mw me \n";

TEST(StateParsersTest, SmapsSumsTheMappingsOfARange) {
    const std::string text = std::string(heap) + beside;
    const auto first = parse_smaps(text, 0x55de80145000, 0x55de80147000);
    ASSERT_TRUE(first.ok()) << first.error().to_string();
    EXPECT_THAT(*first, Contains(Pair("Rss", 8)));
    EXPECT_THAT(*first, Contains(Pair("Private_Clean", 8)));
    EXPECT_THAT(*first, Contains(Pair("THPeligible", 0)));
    EXPECT_THAT(*first, Not(Contains(Pair("Referenced", 8)))) << "to read changes it";
    const auto both = parse_smaps(text, 0x55de80146000, 0x55de80148000);
    ASSERT_TRUE(both.ok());
    EXPECT_THAT(*both, Contains(Pair("Rss", 28)));
    EXPECT_THAT(*both, Contains(Pair("Size", 28)));
}

TEST(StateParsersTest, SmapsRefusesWhatIsBroken) {
    constexpr std::uint64_t from = 0x55de80145000;
    constexpr std::uint64_t to = 0x55de80147000;
    const std::string good = heap;
    EXPECT_EQ(parse_smaps(good, 0x1000, 0x2000).error().number, ENOENT);
    EXPECT_EQ(parse_smaps("", from, to).error().number, ENOENT);
    for (std::size_t length = 1; length < good.size(); ++length)
        EXPECT_FALSE(parse_smaps(good.substr(0, length), from, to).ok()) << length;
    EXPECT_FALSE(parse_smaps("Rss: 8 kB\n" + good, from, to).ok()) << "of no mapping";
    EXPECT_FALSE(parse_smaps(good.substr(0, good.find("VmFlags")) + beside, from, to).ok());
    for (const char* bad : {"Rss:                  -1 kB", "Rss:                   8 MB",
                            "Rss:                     kB", "Rss:                   x kB"}) {
        std::string text = good;
        text.replace(text.find("Rss:"), std::strlen("Rss:                   8 kB"), bad);
        EXPECT_FALSE(parse_smaps(text, from, to).ok()) << bad;
    }
}

TEST(StateParsersTest, ReadsCounters) {
    const auto meminfo = parse_meminfo("MemTotal:        4020372 kB\n"
                                       "Shmem:              1040 kB\n"
                                       "HugePages_Total:      16\n"
                                       "HugePages_Rsvd:    18446744073709551615\n"
                                       "DirectMap4k:       49140 kB\n");
    ASSERT_TRUE(meminfo.ok()) << meminfo.error().to_string();
    EXPECT_THAT(*meminfo, ElementsAre(Pair("Shmem", 1040), Pair("HugePages_Total", 16),
                                      Pair("HugePages_Rsvd", ~std::uint64_t{0})));
    const auto vmstat = parse_vmstat("nr_free_pages 12\nnr_shmem 260\nnr_memmap_pages 0\n"
                                     "nr_memmap_boot_pages 98304\npgfault 77\n");
    ASSERT_TRUE(vmstat.ok());
    EXPECT_THAT(*vmstat, ElementsAre(Pair("nr_shmem", 260), Pair("nr_memmap_pages", 0),
                                     Pair("nr_memmap_boot_pages", 98304)));
    const auto status = parse_status("Name:\tcat\nVmPTE:\t      40 kB\nThreads:\t1\n");
    ASSERT_TRUE(status.ok());
    EXPECT_THAT(*status, ElementsAre(Pair("VmPTE", 40)));
}

TEST(StateParsersTest, RefusesBrokenCounters) {
    EXPECT_EQ(parse_meminfo("").error().number, EPROTO);
    EXPECT_EQ(parse_meminfo("MemTotal: 1 kB\n").error().number, EPROTO) << "none that is known";
    EXPECT_FALSE(parse_meminfo("Shmem:              1040 kB").ok()) << "cut";
    EXPECT_FALSE(parse_meminfo("Shmem:              10").ok()) << "cut in the number";
    EXPECT_FALSE(parse_meminfo("Shmem: 1 kB\nShmem: 1 kB\n").ok()) << "twice";
    EXPECT_FALSE(parse_meminfo("Shmem: 1 pages\n").ok());
    EXPECT_FALSE(parse_meminfo("Shmem:\n").ok());
    EXPECT_FALSE(parse_vmstat("nr_shmem x\n").ok());
    EXPECT_FALSE(parse_vmstat("nr_shmem -1\n").ok());
    EXPECT_FALSE(parse_vmstat("nr_shmem 18446744073709551616\n").ok());
    EXPECT_FALSE(parse_status("VmPTE:\tmany kB\n").ok());
}

TEST(StateParsersTest, TakesTheExactCounters) {
    const MachineCounters rough{{{"Shmem", 1040}, {"AnonHugePages", 4096}},
                                {{"nr_shmem", 260}, {"nr_memmap_pages", 7}},
                                ""};
    MachineCounters counters = rough;
    ASSERT_TRUE(make_exact(counters, "nr_mlock 1\nnr_shmem 263\nnr_file_pages 9\n", 4).ok());
    EXPECT_THAT(counters.vmstat, ElementsAre(Pair("nr_shmem", 263), Pair("nr_memmap_pages", 7)))
        << "a counter that the module does not add up is that of /proc/vmstat";
    EXPECT_THAT(counters.meminfo, ElementsAre(Pair("Shmem", 1052), Pair("AnonHugePages", 4096)));
    for (const char* broken : {"", "nr_free_pages 5\n", "nr_shmem 263", "nr_shmem x\n"}) {
        counters = rough;
        EXPECT_FALSE(make_exact(counters, broken, 4).ok()) << broken;
        EXPECT_EQ(counters.vmstat, rough.vmstat);
    }
}

TEST(StateTest, NamesMayDifferByWords) {
    const Allowed allowed = {{"mapping a page 7", "written"}, {"file * st_blocks", "punched"}};
    EXPECT_TRUE(allows(allowed, "mapping a page 7 bytes"));
    EXPECT_TRUE(allows(allowed, "mapping a page 7"));
    EXPECT_TRUE(allows(allowed, "file f st_blocks"));
    EXPECT_FALSE(allows(allowed, "mapping a page 70 bytes"));
    EXPECT_FALSE(allows(allowed, "mapping a page"));
    EXPECT_FALSE(allows(allowed, "mapping b page 7 bytes"));
    EXPECT_FALSE(allows(allowed, "file f statfs bfree"));
    EXPECT_FALSE(allows({{"", "nothing"}}, "file f st_size")) << "no words allow nothing";
    const Allowed some = {{"mapping a page 4-11 mincore", "cut off"}};
    EXPECT_TRUE(allows(some, "mapping a page 4 mincore"));
    EXPECT_TRUE(allows(some, "mapping a page 11 mincore"));
    EXPECT_FALSE(allows(some, "mapping a page 3 mincore"));
    EXPECT_FALSE(allows(some, "mapping a page 12 mincore"));
    EXPECT_FALSE(allows(some, "mapping a page 5 bytes"));
    EXPECT_FALSE(allows(some, "mapping a page * mincore")) << "all pages are more than these";
    const Allowed either = {{"mapping a smaps Rss|Pss, file f page 1|4-6 bytes,", "cut off"}};
    EXPECT_TRUE(allows(either, "mapping a smaps Rss"));
    EXPECT_TRUE(allows(either, "mapping a smaps Pss"));
    EXPECT_TRUE(allows(either, "file f page 1 bytes"));
    EXPECT_TRUE(allows(either, "file f page 5 bytes"));
    EXPECT_FALSE(allows(either, "mapping a smaps Rss|Pss"));
    EXPECT_FALSE(allows(either, "mapping a smaps Size"));
    EXPECT_FALSE(allows(either, "file f page 3 bytes"));
    EXPECT_FALSE(allows(either, "mapping f smaps Rss"));
    EXPECT_FALSE(allows({{"a||b,,|", "nothing more"}}, "c"));
}

// Memory with a PROT_NONE page on each side: no neighbour merges with its mapping.
class Pages {
  public:
    static constexpr std::size_t count = 8;
    explicit Pages(int file = -1)
        : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))),
          reserved_(::mmap(nullptr, (count + 2) * page_, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
        mapped_ = reserved_ != MAP_FAILED &&
                  ::mmap(at(0), count * page_, PROT_READ | PROT_WRITE,
                         MAP_FIXED | (file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), file,
                         0) != MAP_FAILED;
    }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages() {
        if (reserved_ != MAP_FAILED)
            ::munmap(reserved_, (count + 2) * page_);
    }
    [[nodiscard]] bool mapped() const { return mapped_; }
    [[nodiscard]] char* at(std::size_t page) const {
        return static_cast<char*>(reserved_) + (page + 1) * page_;
    }
    [[nodiscard]] std::size_t page_bytes() const { return page_; }
    [[nodiscard]] std::size_t bytes() const { return count * page_; }

  private:
    std::size_t page_;
    void* reserved_;
    bool mapped_ = false;
};

// "a" is anonymous memory, "f" a file and its mapping. Page 5 of each is not there.
class StateOfMemoryTest : public testing::Test {
  protected:
    static constexpr std::size_t absent = 5;

    void SetUp() override {
        ASSERT_TRUE(file_.valid());
        ASSERT_TRUE(memory_.mapped() && mapping_.mapped());
        ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(memory_.bytes())), 0);
        // A change of a neighbour page would be another difference.
        for (const Pages* one : {&memory_, &mapping_})
            (void)::madvise(one->at(0), one->bytes(), MADV_NOHUGEPAGE);
        for (std::size_t page = 0; page < Pages::count; ++page)
            for (const Pages* one : {&memory_, &mapping_})
                if (page != absent)
                    std::memset(one->at(page), static_cast<int>(page) + 1, one->page_bytes());
    }

    // The scope of these objects alone: this machine has other tasks.
    [[nodiscard]] StateScope scope() const {
        return {.mappings = {{"a", memory_.at(0), memory_.bytes()},
                             {"f", mapping_.at(0), mapping_.bytes()}},
                .files = {{"f", file_.get()}},
                .process = false,
                .machine = false,
                .cgroup = false};
    }

    State take() {
        Result<State> state = State::take(scope());
        EXPECT_TRUE(state.ok()) << state.error().to_string();
        return std::move(*state);
    }

    // The names of what differs since `before`.
    std::vector<std::string> names(const State& before, const Allowed& may_differ = {}) {
        std::vector<std::string> all;
        for (const Difference& one : compare(before, take(), may_differ))
            all.push_back(one.name);
        return all;
    }

    Fd file_{::memfd_create("faultline-state", MFD_CLOEXEC)};
    Pages memory_;
    Pages mapping_{file_.get()};
};

// statfs is of the file system: a memfd's is the whole machine's.
const Allowed of_others = {{"file f statfs", "other tasks have files there"},
                           {"mapping * smaps Pss", "rounded by the kernel"}};

TEST_F(StateOfMemoryTest, DoesNotChangeByBeingTaken) {
    const State before = take();
    EXPECT_EQ(before.pages(), 3 * Pages::count);
    EXPECT_THAT(names(before, of_others), IsEmpty());
    EXPECT_THAT(names(before, of_others), IsEmpty());
    EXPECT_EQ(before.value("file f st_size"), memory_.bytes());
    EXPECT_EQ(before.value("file f st_blocks"), (Pages::count - 1) * memory_.page_bytes() / 512);
    EXPECT_EQ(before.value("mapping a smaps Rss"),
              (Pages::count - 1) * memory_.page_bytes() / 1024);
    EXPECT_FALSE(before.value("no such name"));
    EXPECT_EQ(before.pages_with("mapping f", "mincore"), Pages::count - 1);
    EXPECT_EQ(before.pages_with("mapping g", "mincore"), 0U);
    EXPECT_EQ(before.pages_with("mapping f", "pagemap-present"), Pages::count - 1);
    EXPECT_EQ(before.pages_with("mapping f", "pagemap-file"), Pages::count - 1);
    EXPECT_EQ(before.pages_with("mapping a", "pagemap-file"), 0U);
    EXPECT_EQ(before.page_value("mapping f", "mincore", 2), 1U);
    EXPECT_EQ(before.page_value("mapping f", "mincore", absent), 0U);
    EXPECT_EQ(before.page_value("mapping f", "bytes", 2), before.page_value("file f", "bytes", 2));
    EXPECT_FALSE(before.page_value("mapping f", "bytes", absent));
    EXPECT_FALSE(before.page_value("mapping f", "mincore", Pages::count));
}

// Where nothing is mapped a load shows the file's bytes, or zeroes: an entry more is no difference.
TEST_F(StateOfMemoryTest, ShowsWhatALoadWould) {
    StateScope loads = scope();
    for (MappingScope& one : loads.mappings)
        one.as_loaded = true;
    loads.mappings[1].file = "f";
    const auto bytes = [&loads](const char* mapping, std::size_t page) {
        const Result<State> state = State::take(loads);
        EXPECT_TRUE(state.ok()) << state.error().to_string();
        return state->page_value(mapping, "bytes", page);
    };
    const std::optional<std::uint64_t> data = bytes("mapping f", 2);
    ASSERT_TRUE(data);
    ASSERT_EQ(::madvise(mapping_.at(2), mapping_.page_bytes(), MADV_DONTNEED), 0);
    EXPECT_EQ(bytes("mapping f", 2), data) << "of the file";
    const std::optional<std::uint64_t> zeroes = bytes("mapping f", absent);
    EXPECT_EQ(zeroes, bytes("file f", absent));
    EXPECT_EQ(bytes("mapping a", absent), zeroes);
    EXPECT_NE(bytes("mapping a", 2), zeroes);
    ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(mapping_.page_bytes())), 0);
    EXPECT_EQ(bytes("mapping f", 2), zeroes) << "beyond the end";
}

TEST_F(StateOfMemoryTest, GivesAnyValueByItsName) {
    const State before = take();
    EXPECT_EQ(before.any_value("mapping f page 2 mincore"), 1U);
    EXPECT_EQ(before.any_value("mapping f page 2 pagemap-present"), 1U);
    EXPECT_EQ(before.any_value("mapping a page 2 pagemap-file"), 0U);
    EXPECT_EQ(before.any_value("mapping a page 5 pagemap-present"), 0U);
    EXPECT_EQ(before.any_value("file f page 2 bytes"), before.page_value("file f", "bytes", 2));
    EXPECT_EQ(before.any_value("file f st_size"), memory_.bytes());
    EXPECT_FALSE(before.any_value("file f page 99 bytes"));
    EXPECT_FALSE(before.any_value("file f page x bytes"));
    EXPECT_FALSE(before.any_value("file g st_size"));
}

TEST(ValueText, IsTheGrowthOfWhatCountsUp) {
    const State before = State::of({{"machine vmstat nr_shmem", 10}, {"file f st_blocks", 10}});
    const State after = State::of({{"machine vmstat nr_shmem", 7}, {"file f st_blocks", 7}});
    EXPECT_EQ(value_text(&before, after, "machine vmstat nr_shmem"), "-3");
    EXPECT_EQ(value_text(nullptr, after, "machine vmstat nr_shmem"), "7");
    EXPECT_EQ(value_text(&before, after, "file f st_blocks"), "7");
    EXPECT_EQ(value_text(&before, after, "file f st_size"), "-");
}

TEST_F(StateOfMemoryTest, SeesTheLastByteOfAPage) {
    const State before = take();
    char* last = memory_.at(3) + memory_.page_bytes() - 1;
    *last = static_cast<char>(*last ^ 1);
    EXPECT_THAT(names(before, of_others), ElementsAre("mapping a page 3 bytes"));
    EXPECT_THAT(names(before, {{"mapping a page 3 bytes", "written"}, of_others[0], of_others[1]}),
                IsEmpty());
    *last = static_cast<char>(*last ^ 1);
    EXPECT_THAT(names(before, of_others), IsEmpty());
}

TEST_F(StateOfMemoryTest, SeesAByteOfAFile) {
    const State before = take();
    const auto at = static_cast<off_t>(3 * memory_.page_bytes() - 1);
    ASSERT_EQ(::pwrite(file_.get(), "x", 1, at), 1);
    EXPECT_THAT(names(before, of_others),
                ElementsAre("file f page 2 bytes", "mapping f page 2 bytes"));
}

TEST_F(StateOfMemoryTest, SeesAHole) {
    const State before = take();
    const auto page = static_cast<off_t>(memory_.page_bytes());
    ASSERT_EQ(::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * page, page),
              0);
    const std::vector<Difference> all = compare(before, take(), of_others);
    std::vector<std::string> found;
    found.reserve(all.size());
    for (const Difference& one : all)
        found.push_back(one.name);
    EXPECT_THAT(found,
                ElementsAre("mapping f smaps Rss", "mapping f smaps Pss_Dirty",
                            "mapping f smaps Private_Dirty", "file f st_blocks",
                            "file f page 2 bytes", "mapping f page 2 mincore",
                            "mapping f page 2 pagemap-present", "mapping f page 2 pagemap-file",
                            "mapping f page 2 pagemap-exclusive", "mapping f page 2 bytes"));
    const auto named = [&all](std::string_view name) {
        return *std::find_if(all.begin(), all.end(),
                             [name](const Difference& one) { return one.name == name; });
    };
    EXPECT_EQ(to_string({named("mapping f page 2 mincore")}),
              "mapping f page 2 mincore: 1 before, 0 after");
    EXPECT_FALSE(named("mapping f page 2 bytes").after) << "it is not mapped";
    EXPECT_THAT(to_string(all, 1), testing::EndsWith("; and 9 more"));
}

TEST_F(StateOfMemoryTest, SeesADroppedPage) {
    const State before = take();
    ASSERT_EQ(::madvise(memory_.at(4), memory_.page_bytes(), MADV_DONTNEED), 0);
    EXPECT_THAT(names(before, {{"mapping a smaps", "as its pages"}, of_others[0]}),
                ElementsAre("mapping a page 4 mincore", "mapping a page 4 pagemap-present",
                            "mapping a page 4 pagemap-exclusive", "mapping a page 4 bytes"));
    EXPECT_THAT(names(before, of_others), Contains("mapping a smaps Rss"));
}

TEST_F(StateOfMemoryTest, SeesAPageThatCame) {
    const State before = take();
    *mapping_.at(absent) = 0; // the bytes of the file are what they were
    const std::vector<std::string> found = names(before, of_others);
    EXPECT_THAT(found, Contains("file f st_blocks"));
    EXPECT_THAT(found, Contains("mapping f page 5 mincore"));
    EXPECT_THAT(found, Contains("mapping f page 5 bytes"));
    EXPECT_THAT(found, Not(Contains("file f page 5 bytes")));
}

TEST_F(StateOfMemoryTest, SeesAnotherSize) {
    const State before = take();
    ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(memory_.bytes()) + 3), 0);
    EXPECT_THAT(names(before, of_others), ElementsAre("file f st_size", "file f page 8 bytes"));
}

// A page that cannot be read has no bytes, and is no error.
TEST_F(StateOfMemoryTest, TakesWhatCannotBeRead) {
    const State before = take();
    ASSERT_EQ(::mprotect(memory_.at(1), memory_.page_bytes(), PROT_NONE), 0);
    EXPECT_THAT(names(before, {{"mapping a smaps", "three mappings"}, of_others[0]}),
                ElementsAre("mapping a page 1 bytes"));
}

TEST_F(StateOfMemoryTest, SaysWhatFailed) {
    StateScope bad = scope();
    bad.files[0].file = -1;
    EXPECT_EQ(State::take(bad).error().number, EBADF);
    EXPECT_EQ(State::take(bad).error().path, "file f");
    bad = scope();
    bad.mappings[0].smaps = false;
    bad.mappings[0].start += 1; // mincore() wants whole pages
    EXPECT_EQ(State::take(bad).error().number, EINVAL);
    EXPECT_EQ(State::take(bad).error().path, "mapping a");
}

// An actor may have unmapped a page: that it is not mapped is its state.
TEST_F(StateOfMemoryTest, KnowsAPageThatIsNotMapped) {
    const State before = take();
    // Nothing of the test's own may come to lie there.
    ASSERT_EQ(::munmap(memory_.at(1), memory_.page_bytes()), 0);
    const State after = take();
    EXPECT_NE(after.page_value("mapping a", "mincore", 0), std::nullopt);
    EXPECT_EQ(after.page_value("mapping a", "mincore", 1), std::nullopt);
    EXPECT_THAT(names(before),
                testing::IsSupersetOf({"mapping a page 1 mincore", "mapping a page 1 bytes"}));
}

// The test can only check that the State of the machine exists, or that an error says that it does
// not.
TEST(StateOfMachineTest, HasItsCountersOrSaysSo) {
    const Result<State> state = State::take({});
    ASSERT_TRUE(state.ok()) << state.error().to_string();
    EXPECT_TRUE(state->value("machine meminfo Shmem"));
    EXPECT_TRUE(state->value("machine vmstat nr_shmem"));
    EXPECT_TRUE(state->value("process status VmPTE"));
    bool said = false;
    for (const std::string& one : state->absent())
        said = said || one.starts_with("cgroup ");
    EXPECT_NE(state->value("cgroup driver memory.stat file").has_value(), said);
}

} // namespace
} // namespace faultline
